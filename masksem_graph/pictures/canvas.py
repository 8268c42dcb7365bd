"""What several pictures draw: a value for each node as a map of joints and segments, or on the moving skeleton."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, Normalize

from masksem_graph.pictures.clip import ShownClip
from masksem_graph.report.skeleton import shown
from masksem_graph.topology import Topology

COLOURS = "viridis_r"
"""Light is little and dark is much, on white paper and in grey as well."""
MOMENTS, LONGEST = 8, 5.6
"""A strip shows the skeleton at most so many times, and is at most so many times as wide as high."""
BONE = "#9A9A9A"

Paint = Callable[[Axes, Float[np.ndarray, "V 2"], int, int], None]
"""Draws the nodes of a body in a segment: axes, places, body, segment."""


def part_order(topology: Topology) -> list[int]:
    """Joints part by part."""
    return [topology.index[joint] for joints in topology.parts.values() for joint in joints]


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
    edges = [0, *accumulate(len(joints) for joints in topology.parts.values())]
    for edge in edges[1:-1]:
        axes.axhline(edge - 0.5, color="white", linewidth=1.6)
    if names == "joints":
        ordered = [shown(joint) for joints in topology.parts.values() for joint in joints]
        axes.set_yticks(range(joints), ordered, fontsize=7 if joints > 20 else 8)
    elif names == "parts":
        middles = [(low + high - 1) / 2 for low, high in pairwise(edges)]
        axes.set_yticks(middles, [shown(part) for part in topology.parts], fontsize=7)
    else:
        axes.set_yticks([])
    step = -(-segments // 10)
    axes.set_xticks(range(0, segments, step), [str(i) for i in range(1, segments + 1, step)], fontsize=8)
    axes.tick_params(length=2 if names == "joints" else 0)
    axes.set_xlabel(f"segment ({clip.length / segments:.1f} frames each)", fontsize=9)
    if clock:
        forward, back = _clock(clip)
        top = axes.secondary_xaxis("top", functions=(forward, back))
        top.tick_params(labelsize=8)
        top.set_xlabel(clip.clock, fontsize=9)
    return image


def _clock(clip: ShownClip) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """From a place on an axis of segments to the moment, and back."""
    first, a_segment = clip.time(clip.segment / 2 - 0.5), clip.time(clip.segment) - clip.time(0)
    return lambda x: first + a_segment * np.asarray(x), lambda t: (np.asarray(t) - first) / a_segment


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
        shift = np.array((step * (i + 0.5), 0)) - (_middle(clip, frame), 0)
        for body, places in enumerate(clip.places[:, frame]):
            draw_bones(axes, clip.topology, places + shift)
            paint(axes, places + shift, body, segment)
        if labels:
            axes.text(step * (i + 0.5), low[1], f"segment {segment + 1}", ha="center", va="top", fontsize=7)
    # As high without labels as with them, so that strips below each other stand in line.
    axes.set(xlim=(0, step * len(strip_moments(clip))), ylim=(low[1] - 0.06 * (high[1] - low[1]), high[1]))
    axes.set_aspect("equal")
    axes.set_axis_off()


def draw_bones(axes: Axes, topology: Topology, places: Float[np.ndarray, "V 2"]) -> LineCollection:
    """Bones between joints at these places."""
    many = len(topology.bones) > 3 * len(topology)
    lines = LineCollection(bone_lines(topology, places), colors=BONE, linewidths=0.3 if many else 1.3, zorder=1)
    axes.add_collection(lines)
    return lines


def bone_lines(topology: Topology, places: Float[np.ndarray, "V 2"]) -> list[Any]:
    """Both ends of each bone."""
    return [places[[topology.index[a], topology.index[b]]] for a, b in topology.bones]


def shaded(values: Float[np.ndarray, "B Te V"], norm: Normalize, size: float = 42) -> Paint:
    """Nodes by value: the larger, the darker and the bigger."""

    def paint(axes: Axes, places: Float[np.ndarray, "V 2"], body: int, segment: int) -> None:
        own = values[body, segment]
        # What matters is drawn over what does not.
        order = np.argsort(own, kind="stable")
        x, y = places[order].T
        axes.scatter(x, y, s=node_sizes(own, norm, size)[order], c=own[order], norm=norm, cmap=COLOURS, **EDGE)

    return paint


EDGE: dict[str, Any] = {"edgecolors": "#303030", "linewidths": 0.4, "zorder": 3}


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


def centred_places(clip: ShownClip) -> tuple[Float[np.ndarray, "B T V 2"], Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Places of a clip that moves within one frame, and that frame's corners."""
    low, high = clip.places.min((0, 1, 2)), clip.places.max((0, 1, 2))
    margin = 0.06 * max(float((high - low).max()), 1e-6)
    return clip.places, low - margin, high + margin


def say_when(clip: ShownClip, frame: int) -> str:
    """A moment as a caption."""
    moment = clip.time(frame)
    return f"{moment:.2f} s" if clip.rate else f"frame {moment:.0f} of {clip.length}"
