"""What several pictures draw: a value for each node as a map of joints and segments, or on the moving skeleton."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.picture import Animation, shown_frames
from masksem_graph.report.names import drawn, shown
from masksem_graph.report.skeleton import draw_bones, joint_names, part_edges, part_order

COLOURS = "viridis_r"
"""Light is little and dark is much, on white paper and in grey as well."""
MOMENTS, LONGEST = 8, 5.6
"""A strip shows the skeleton at most so many times, and is at most so many times as wide as high."""
PANELS = 4
"""An animation has at most so many skeletons in a row."""
EDGE: dict[str, Any] = {"edgecolors": "#303030", "linewidths": 0.4, "zorder": 3}

Paint = Callable[[Axes, Float[np.ndarray, "V 2"], int, int], None]
"""Draws the nodes of a body in a segment: axes, places, body, segment."""


def body_names(clip: ShownClip) -> list[str]:
    """``body 1``, ``body 2``; nothing to tell apart where there is one alone."""
    bodies = len(clip.coordinates)
    return [f"body {body + 1}" for body in range(bodies)] if bodies > 1 else [""]


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
    """Joints downwards, part by part, segments to the right.

    Args:
        axes: where to.
        clip: whose nodes these are.
        values: one a node.
        norm: from values to colours.
        names: what is written beside them.
        clock: also say on top when a segment is.
        colours: the colour map.

    Returns:
        the image, for a colour bar.
    """
    topology, (segments, joints) = clip.topology, values.shape
    image = axes.imshow(values[:, part_order(topology)].T, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
    edges, middles = part_edges(topology)
    for edge in edges[1:-1]:
        axes.axhline(edge - 0.5, color="white", linewidth=1.6)
    if names == "joints":
        axes.set_yticks(range(joints), joint_names(topology), fontsize=7 if joints > 20 else 8)
    else:
        parts = names == "parts"
        axes.set_yticks(middles if parts else [], [shown(part) for part in topology.parts] if parts else [], fontsize=7)
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


def strip_moments(clip: ShownClip) -> list[int]:
    """Segments that a strip shows, evenly spaced; the wider the bodies stand, the fewer."""
    low, high, step = _extent(clip)
    count = min(MOMENTS, clip.segments, max(3, int(LONGEST * (high[1] - low[1]) / step)))
    return [int(segment) for segment in (np.arange(count) + 0.5) / count * clip.segments]


def strip_shape(clip: ShownClip) -> float:
    """Width of a strip by its height."""
    low, high, step = _extent(clip)
    return step * len(strip_moments(clip)) / (high[1] - low[1])


def draw_strip(axes: Axes, clip: ShownClip, paint: Paint, *, labels: bool = True) -> None:
    """The skeleton at moments from the clip's start to its end, side by side, on one scale.

    Args:
        axes: where to.
        clip: the clip.
        paint: draws the nodes of a body.
        labels: say below each which segment it is.
    """
    low, high, step = _extent(clip)
    for i, segment in enumerate(strip_moments(clip)):
        frame = clip.middle(segment)
        _draw_bodies(axes, clip, frame, paint, np.array((step * (i + 0.5) - _middle(clip, frame), 0)))
        if labels:
            axes.text(step * (i + 0.5), low[1], f"segment {segment + 1}", ha="center", va="top", fontsize=7)
    # As high without labels as with them, so that strips below each other stand in line.
    height = high[1] - low[1]
    top = high[1] + (0.08 * height if len(clip.coordinates) > 1 else 0)
    axes.set(xlim=(0, step * len(strip_moments(clip))), ylim=(low[1] - 0.06 * height, top))
    axes.set_aspect("equal")
    axes.set_axis_off()


def _draw_bodies(axes: Axes, clip: ShownClip, frame: int, paint: Paint, shift: Float[np.ndarray, "2"]) -> None:
    """All bodies of a frame: bones, nodes, and the bodies' numbers where there are several."""
    for body, (places, name) in enumerate(zip(clip.places[:, frame] + shift, body_names(clip), strict=True)):
        draw_bones(axes, clip.bones, dict(zip(clip.topology.joints, places, strict=True)), accent=clip.links)
        paint(axes, places, body, min(frame // clip.segment, clip.segments - 1))
        if name:
            x, y = places[:, 0].mean(), places[:, 1].max() + 0.04 * np.ptp(places[:, 1])
            axes.text(x, y, name, ha="center", va="bottom", fontsize=6, color="#404040")


def shaded(values: Float[np.ndarray, "B Te V"], norm: Normalize, size: float = 42) -> Paint:
    """Nodes by value: the larger, the darker and the bigger."""

    def paint(axes: Axes, places: Float[np.ndarray, "V 2"], body: int, segment: int) -> None:
        own = values[body, segment]
        # What matters is drawn over what does not.
        order = np.argsort(own, kind="stable")
        x, y = places[order].T
        axes.scatter(x, y, s=node_sizes(own, norm, size)[order], c=own[order], norm=norm, cmap=COLOURS, **EDGE)

    return paint


def node_sizes(values: Float[np.ndarray, "*n"], norm: Normalize, size: float) -> Float[np.ndarray, "*n"]:
    """Area of a node's mark: from a fifth of ``size`` to all of it."""
    return size * (0.2 + 0.8 * np.clip(np.asarray(norm(values), dtype=float), 0, 1))


def hidden_or_seen(hidden: Bool[np.ndarray, "B Te V"], size: float = 30) -> Paint:
    """Nodes that are hidden as crosses, the others as full dots."""

    def paint(axes: Axes, places: Float[np.ndarray, "V 2"], body: int, segment: int) -> None:
        own = hidden[body, segment]
        (x, y), (seen_x, seen_y) = places[own].T, places[~own].T
        axes.scatter(x, y, s=0.5 * size, c="#56B4E9", marker="x", linewidths=0.9, zorder=2)
        axes.scatter(seen_x, seen_y, s=size, c="black", marker="o", edgecolors="white", linewidths=0.5, zorder=3)

    return paint


def motion_figure(
    clip: ShownClip,
    panels: Mapping[str, Paint],
    *,
    title: str,
    colours: tuple[Normalize, str] | None = None,
    legend: Sequence[Line2D] = (),
) -> tuple[Figure, Animation]:
    """The moving skeleton, once for each paint.

    Args:
        clip: the clip.
        panels: by what stands over each.
        title: over all.
        colours: for a colour bar, and what it is labelled with.
        legend: entries below.
    """
    columns = min(len(panels), PANELS)
    rows, cell = -(-len(panels) // columns), (2.3, 2.7) if len(panels) > 1 else (3.4, 4.0)
    width, height = cell[0] * columns + (0.9 if colours else 0.1), cell[1] * rows + 0.6
    figure = Figure(figsize=(width, height))
    cells = list(figure.subplots(rows, columns, squeeze=False).ravel())
    figure.subplots_adjust(
        0.01, 0.3 / height if legend else 0.01, 1 - (0.9 if colours else 0.1) / width, 1 - 0.65 / height, 0.02, 0.12
    )
    low, high = clip.places.min((0, 1, 2)), clip.places.max((0, 1, 2))
    margin = 0.06 * max(float((high - low).max()), 1e-6)
    for axes in cells:
        axes.set_axis_off()
    for axes, name in zip(cells, panels, strict=False):
        axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + 2 * margin), aspect="equal")
        axes.set_title(drawn(name), fontsize=8)
    if colours:
        bar = figure.add_axes((1 - 0.72 / width, 0.2, 0.13 / width, 0.6))
        figure.colorbar(ScalarMappable(norm=colours[0], cmap=COLOURS), cax=bar).set_label(colours[1], fontsize=7)
    if legend:
        figure.legend(handles=legend, loc="lower center", ncols=2, frameon=False, fontsize=8, borderaxespad=0)
    figure.text(0.01, 1 - 0.22 / height, title, fontsize=9, va="center")
    when = figure.text(0.99, 1 - 0.22 / height, "", fontsize=9, ha="right", va="center")

    def update(frame: int) -> None:
        for axes, paint in zip(cells, panels.values(), strict=False):
            for old in (*axes.collections, *axes.texts):
                old.remove()
            _draw_bodies(axes, clip, frame, paint, np.zeros(2))
        moment = clip.time(frame)
        when.set_text(f"{moment:.2f} s" if clip.rate else f"frame {moment:.0f} of {clip.length}")

    return figure, Animation(shown_frames(clip.frames), update)


def _extent(clip: ShownClip) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"], float]:
    """Lower left and upper right of all bodies, each moment about its middle, and how far apart two moments stand."""
    frames = [clip.middle(segment) for segment in range(clip.segments)]
    about = np.concatenate([(clip.places[:, f] - (_middle(clip, f), 0)).reshape(-1, 2) for f in frames])
    low, high = about.min(0), about.max(0)
    height = max(float(high[1] - low[1]), 1e-6)
    margin = np.array((0, 0.05 * height))
    apart = 0.14 if len(clip.places) == 1 else 0.4
    return low - margin, high + margin, max(float(2 * np.abs(about[:, 0]).max()) + apart * height, 0.45 * height)


def _middle(clip: ShownClip, frame: int) -> float:
    across = clip.places[:, frame, :, 0]
    return float(across.min() + across.max()) / 2
