"""What several pictures draw: a value for each node as a map of joints and segments, or on the moving skeleton."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from masksem_graph.errors import InputError
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.picture import Animation, Picture, shown_frames
from masksem_graph.report.names import drawn, shown
from masksem_graph.report.skeleton import draw_bones, draw_dots, part_order
from masksem_graph.topology import Topology

COLOURS = "viridis_r"
"""Light is little and dark is much, on white paper and in grey as well."""
SHARES = Normalize(0, 1)
MOMENTS, LONGEST = 8, 6.6
"""A strip shows the skeleton at most so many times, and is at most so many times as wide as high."""
PANELS = 4
"""An animation has at most so many skeletons in a row."""
EDGE: dict[str, Any] = {"edgecolors": "#303030", "linewidths": 0.4, "zorder": 3}

Paint = Callable[[Axes, Float[np.ndarray, "V 2"], int, int], None]
"""Draws the nodes of a body in a segment: axes, places, body, segment."""


def require_joints(topology: Topology, joints: Sequence[str]) -> None:
    """Raises ``InputError`` where a topology lacks one of the joints."""
    if unknown := [joint for joint in joints if joint not in topology.index]:
        names = ", ".join(topology.joints)
        raise InputError(f"--joints: {topology.name} has no joint called {unknown[0]!r}, expected some of {names}")


def draw_map(
    axes: Axes,
    clip: ShownClip,
    values: Float[np.ndarray, "Te V"],
    *,
    norm: Normalize,
    names: Literal["joints", "parts", "none"] = "joints",
    clock: bool = True,
    colours: str | Colormap = COLOURS,
) -> Any:
    """Joints downwards, part by part, segments to the right, on top with a ``clock``; returns the image, for a colour bar."""
    order, (segments, joints) = part_order(clip.topology), values.shape
    image = axes.imshow(values[:, order.joints].T, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
    for edge in order.edges[1:-1]:
        axes.axhline(edge - 0.5, color="white", linewidth=1.6)
    if names == "joints":
        axes.set_yticks(range(joints), order.names, fontsize=7 if joints > 20 else 8)
    else:
        parts = [shown(part) for part in clip.topology.parts] if names == "parts" else []
        axes.set_yticks(order.middles if parts else [], parts, fontsize=7)
    step = -(-segments // 10)
    axes.set_xticks(range(0, segments, step), [str(i) for i in range(1, segments + 1, step)], fontsize=8)
    axes.tick_params(length=2 if names == "joints" else 0)
    axes.set_xlabel(f"segment ({clip.length / segments:.1f} frames each)", fontsize=9)
    if clock:
        first, a_segment = clip.time(clip.segment / 2 - 0.5), clip.time(clip.segment) - clip.time(0)
        there_and_back = (lambda x: first + a_segment * np.asarray(x), lambda t: (np.asarray(t) - first) / a_segment)
        top = axes.secondary_xaxis("top", functions=there_and_back)
        top.tick_params(labelsize=8)
        top.set_xlabel(clip.clock, fontsize=9)
    return image


def _strip(clip: ShownClip) -> tuple[list[int], Any, Any, Any, float]:
    """Segments of a strip, joints about the bodies' middle [B, moments, V, 2], lower left, upper right, how far apart.

    The moments are evenly spaced; the wider the bodies stand, the fewer there are.
    """
    places = clip.places[:, clip.segment // 2 :: clip.segment][:, : clip.segments]
    across = places[..., 0]
    places[..., 0] -= ((across.min((0, 2)) + across.max((0, 2))) / 2)[:, None]
    low, high = places.min((0, 1, 2)), places.max((0, 1, 2))
    height = max(float(high[1] - low[1]), 1e-6)
    apart = 0.14 if len(places) == 1 else 0.4
    step = max(float(2 * np.abs(places[..., 0]).max()) + apart * height, 0.45 * height)
    count = min(MOMENTS, clip.segments, max(3, int(LONGEST * 1.1 * height / step)))
    segments = [int(segment) for segment in (np.arange(count) + 0.5) / count * clip.segments]
    margin = np.array((0, 0.05 * height))
    return segments, places[:, segments], low - margin, high + margin, step


def strip_shape(clip: ShownClip) -> float:
    """Width of a strip by its height."""
    segments, _, low, high, step = _strip(clip)
    return step * len(segments) / (high[1] - low[1])


def draw_strip(axes: Axes, clip: ShownClip, paint: Paint, *, labels: bool = True) -> None:
    """The skeleton at moments from the clip's start to its end, side by side, on one scale; ``labels`` name the segments.

    Where not all segments fit, they also say how many are drawn.
    """
    segments, places, low, high, step = _strip(clip)
    for i, segment in enumerate(segments):
        _draw_bodies(axes, clip, places[:, i] + (step * (i + 0.5), 0), paint, segment)
        if labels:
            axes.text(step * (i + 0.5), low[1], f"segment {segment + 1}", ha="center", va="top", fontsize=7)
    if labels and len(segments) < clip.segments:
        told = f"{len(segments)} of {clip.segments} segments are drawn"
        axes.annotate(told, (0, low[1]), (0, -10), textcoords="offset points", ha="left", va="top", fontsize=7)
    # As high without labels as with them, so that strips below each other stand in line.
    height = high[1] - low[1]
    top = high[1] + (0.08 * height if len(places) > 1 else 0)
    axes.set(xlim=(0, step * len(segments)), ylim=(low[1] - 0.06 * height, top), aspect="equal")
    axes.set_axis_off()


def _draw_bodies(axes: Axes, clip: ShownClip, bodies: Float[np.ndarray, "B V 2"], paint: Paint, segment: int) -> None:
    """Bones, nodes, and the bodies' numbers where there are several."""
    for body, (places, name) in enumerate(zip(bodies, clip.bodies, strict=True)):
        draw_bones(axes, clip.bones, dict(zip(clip.topology.joints, places, strict=True)), accent=clip.links)
        paint(axes, places, body, segment)
        if name:
            x, y = places[:, 0].mean(), places[:, 1].max() + 0.04 * np.ptp(places[:, 1])
            axes.text(x, y, name, ha="center", va="bottom", fontsize=6, color="#404040")


def shaded(values: Float[np.ndarray, "B Te V"], size: float) -> Paint:
    """Nodes by value in [0, 1]: the larger, the darker and the bigger."""

    def paint(axes: Axes, places: Float[np.ndarray, "V 2"], body: int, segment: int) -> None:
        own = values[body, segment]
        order = np.argsort(own, kind="stable")  # what matters is drawn over what does not
        draw_nodes(axes, places[order], own[order], SHARES, size)

    return paint


def draw_nodes(axes: Axes, places: Float[np.ndarray, "n 2"], values: Any, norm: Normalize, size: float) -> Any:
    """Nodes as dots, the larger their value the darker, with an area from a fifth of ``size`` to all of it."""
    sizes = size * (0.2 + 0.8 * np.clip(np.asarray(norm(values), dtype=float), 0, 1))
    return draw_dots(axes, places, s=sizes, c=values, norm=norm, cmap=COLOURS, **EDGE)


def hidden_or_seen(hidden: Bool[np.ndarray, "B Te V"]) -> Paint:
    """Nodes that are hidden as crosses, the others as full dots."""

    def paint(axes: Axes, places: Float[np.ndarray, "V 2"], body: int, segment: int) -> None:
        own = hidden[body, segment]
        draw_dots(axes, places[own], s=15, c="#56B4E9", marker="x", linewidths=0.9, zorder=2)
        draw_dots(axes, places[~own], s=30, c="black", marker="o", edgecolors="white", linewidths=0.5, zorder=3)

    return paint


def moving_picture(
    name: str, clip: ShownClip, panels: Mapping[str, Paint], *, unit: str = "", legend: Sequence[Line2D] = ()
) -> Picture:
    """The moving skeleton, once for each paint, by what stands over it; with a ``unit``, a colour bar for `SHARES`."""
    columns = min(len(panels), PANELS)
    rows, cell = -(-len(panels) // columns), (2.3, 2.7) if len(panels) > 1 else (3.4, 4.0)
    size = cell[0] * columns + (0.9 if unit else 0.1), cell[1] * rows + 0.6
    figure = Figure(figsize=size, layout="constrained")
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    places = clip.places
    (left, low), (right, high) = places.min((0, 1, 2)), places.max((0, 1, 2))
    margin = 0.06 * max(float(right - left), float(high - low), 1e-6)
    for axes in cells:
        axes.set(xlim=(left - margin, right + margin), ylim=(low - margin, high + 2 * margin), aspect="equal")
        axes.set_axis_off()
    for axes, title in zip(cells, panels, strict=False):
        axes.set_title(drawn(title), fontsize=8)
    if unit:
        bar = figure.colorbar(ScalarMappable(norm=SHARES, cmap=COLOURS), ax=cells, shrink=0.6, aspect=25)
        bar.set_label(unit, fontsize=7)
    if legend:
        figure.legend(handles=legend, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    heading = figure.suptitle(f"{clip.title}\n", x=0.02, ha="left", fontsize=9)
    figure.draw_without_rendering()  # laid out once, not for each frame
    figure.set_layout_engine("none")

    def update(frame: int) -> None:
        for axes, paint in zip(cells, panels.values(), strict=False):
            for old in (*axes.collections, *axes.texts):
                old.remove()
            _draw_bodies(axes, clip, places[:, frame], paint, min(frame // clip.segment, clip.segments - 1))
        moment = f"{clip.time(frame):.2f} s" if clip.rate else f"frame {clip.time(frame):.0f} of {clip.length}"
        heading.set_text(f"{clip.title}\n{moment}")

    return Picture(name, figure, Animation(shown_frames(clip.frames), update))
