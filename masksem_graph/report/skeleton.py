"""A skeleton on paper: its joints at rest as seen from the front, its bones, its parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import networkx as nx
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from masksem_graph.topology import Topology

# Okabe and Ito's colours, told apart with any colour vision; the markers tell parts apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "p", "X", "h")
CLOSEST, CLOSEST_OF_MANY, MANY = 0.085, 0.105, 28
"""Joints are drawn at least this far apart, in heights of the body; further where there are many."""
POINTS = 420
"""About how many points high a body is drawn where its joints have names."""


def front_view(topology: Topology) -> dict[str, Float[np.ndarray, "2"]]:
    """Where to draw each joint: (to the right, up), the body's left side to the right.

    From the rest pose, with joints that would cover each other pushed apart; a topology without one is laid out by its hops
    (Kamada and Kawai, 1989).

    Args:
        topology: the skeleton.
    """
    if not topology.rest_pose:
        return {joint: np.array(place) for joint, place in nx.kamada_kawai_layout(topology.graph).items()}
    names = [joint for joint in topology.inputs if joint in topology.rest_pose]
    places = np.array([topology.rest_pose[joint][:2] for joint in names]) * (-1, 1)
    height = max(float(np.ptp(places, axis=0).max()), 1e-9)
    return dict(zip(names, _apart(places / height, CLOSEST if len(names) <= MANY else CLOSEST_OF_MANY), strict=True))


def _apart(places: Float[np.ndarray, "V 2"], closest: float) -> Float[np.ndarray, "V 2"]:
    places = places.copy()
    for _ in range(300):
        away = places[:, None] - places[None]
        distance = np.hypot(*np.moveaxis(away, 2, 0))
        push = np.where(distance < closest, (closest - distance) / 2, 0)
        np.fill_diagonal(push, 0)
        if push.max() < 1e-4:
            break
        # Two in the very same place go up and down.
        order = np.sign(np.arange(len(places))[:, None] - np.arange(len(places)))
        direction = np.where(distance[..., None] > 1e-9, away / np.maximum(distance, 1e-9)[..., None], 0)
        direction[..., 1] += np.where(distance > 1e-9, 0, order)
        places += 0.5 * (push[..., None] * direction).sum(1)
    return places


def draw_skeleton(
    axes: Axes,
    topology: Topology,
    *,
    accent: Collection[frozenset[str]] = (),
    names: bool = True,
    size: float = 34,
    fontsize: float = 7,
) -> None:
    """Draw a topology: a colour and a marker for each part, a ring around the centre, small crosses for context joints.

    Args:
        axes: where to.
        topology: the skeleton.
        accent: bones to mark by black dashes, or by hair lines where they are very many.
        names: write the joints' names.
        size: of a joint, square points.
        fontsize: of the names, points.
    """
    places = front_view(topology)
    looks = part_looks(topology)
    for marked in (False, True):
        bones = [bone for bone in topology.bones if (frozenset(bone) in accent) == marked]
        width, colour, style = _line(many=is_dense(len(bones), topology), marked=marked, any_marked=bool(accent))
        lines = [[tuple(places[a]), tuple(places[b])] for a, b in bones]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=width, linestyles=[style], zorder=1 + marked))
    for part, joints in topology.parts.items():
        colour, marker = looks[part]
        x, y = np.array([places[joint] for joint in joints]).T
        axes.scatter(x, y, s=size, c=colour, marker=marker, edgecolors="white", linewidths=0.6, zorder=3)
    aside = [places[joint] for joint in topology.context if joint in places]
    if aside:
        x, y = np.array(aside).T
        axes.scatter(x, y, s=size * 0.6, c="#7F7F7F", marker="x", linewidths=1, zorder=3)
    x, y = places[topology.centre]
    axes.scatter([x], [y], s=size * 3.2, facecolors="none", edgecolors="black", linewidths=1, zorder=6)
    if names:
        _write_names(axes, topology, places, fontsize)
    axes.set_aspect("equal")
    axes.margins(0.3 if names else 0.08, 0.04)
    axes.set_axis_off()


def is_dense(bones: int, topology: Topology) -> bool:
    """Whether so many bones would cover everything, drawn as those of a body are."""
    return bones > 3 * len(topology)


def _line(*, many: bool, marked: bool, any_marked: bool) -> tuple[float, str, Any]:
    """Width in points, colour and style of bones."""
    if many:
        return 0.35, "#606060" if marked else "#9A9A9A", "solid"
    if marked:
        return 1.8, "black", (0, (3, 1.5))
    return (1.2 if any_marked else 2.0), "#9A9A9A", "solid"


def _write_names(axes: Axes, topology: Topology, places: Mapping[str, Float[np.ndarray, "2"]], fontsize: float) -> None:
    for joint, (box, align) in place_names(topology, places, fontsize).items():
        middle = box.mean(0)
        x = {"left": box[0, 0], "right": box[1, 0], "center": middle[0]}[align]
        text = axes.text(x, middle[1], shown(joint), ha=align, va="center", fontsize=fontsize, zorder=5)
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def shown(name: str) -> str:
    """A joint's or a part's name as a reader sees it."""
    return name.replace("_", " ")


def place_names(
    topology: Topology, places: Mapping[str, Float[np.ndarray, "2"]], fontsize: float
) -> dict[str, tuple[Float[np.ndarray, "2 2"], str]]:
    """Where names stand: beside, above or below their joints, covering as little as possible of each other and of the bones.

    Args:
        topology: the skeleton.
        places: of all joints.
        fontsize: points.

    Returns:
        for each joint the name's lower left and upper right corner, and how it is aligned in this box.
    """
    point = 1 / POINTS
    height, gap = 1.15 * fontsize * point, 6 * point
    dots = np.array([places[joint] for joint in topology.joints])
    ends = np.array([(places[a], places[b]) for a, b in topology.bones]).reshape(-1, 2, 2)
    along = np.linspace(0.06, 0.94, 24)[:, None]
    lines = np.concatenate([dots[:0], *(start + along * (end - start) for start, end in ends)])
    taken: list[Float[np.ndarray, "2 2"]] = []
    out: dict[str, tuple[Float[np.ndarray, "2 2"], str]] = {}
    # From the outside inwards: those in the middle have more to choose from.
    for joint in sorted(topology.joints, key=lambda name: (-abs(round(float(places[name][0]), 3)), topology.index[name])):
        size = np.array((0.56 * fontsize * len(joint) * point, height))
        options = [(_box(places[joint], size, way, gap), way) for way in _directions(float(places[joint][0]))]
        costs = [
            0.3 * rank + _inside(lines, box) + 12 * _inside(dots, box) + 60 * sum(_overlap(box, other) for other in taken)
            for rank, (box, _) in enumerate(options)
        ]
        box, (across, _) = options[int(np.argmin(costs))]
        taken.append(box)
        out[joint] = box, ("right", "center", "left")[across + 1]
    return out


def _box(
    place: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"], way: tuple[int, int], gap: float
) -> Float[np.ndarray, "2 2"]:
    (across, up), (width, height) = way, size
    rise = up * (gap + height / 2 if across == 0 else 0.6 * gap)
    low = place + np.array((gap * across + (across - 1) / 2 * width, rise - height / 2))
    return np.stack([low, low + size])


def _inside(points: Float[np.ndarray, "n 2"], box: Float[np.ndarray, "2 2"]) -> int:
    return int(((points > box[0]) & (points < box[1])).all(1).sum())


def _overlap(one: Float[np.ndarray, "2 2"], other: Float[np.ndarray, "2 2"]) -> float:
    """Area in common, as a share of the first."""
    common = np.clip(np.minimum(one[1], other[1]) - np.maximum(one[0], other[0]), 0, None)
    return float(np.prod(common) / np.prod(one[1] - one[0]))


def _directions(x: float) -> list[tuple[int, int]]:
    """(across, up) to try, the nicest first: outwards, then above and below."""
    outward = -1 if x < -1e-3 else 1
    beside = [(outward, 0), (outward, 1), (outward, -1), (0, 1), (0, -1)]
    return [*beside, (-outward, 0), (-outward, 1), (-outward, -1)]


def part_looks(topology: Topology) -> dict[str, tuple[str, str]]:
    """Part -> colour and marker."""
    return {part: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, part in enumerate(topology.parts)}


def part_legend(topology: Topology) -> list[Line2D]:
    """An entry for each part, and one for the centre."""
    entries = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=6, label=shown(part))
        for part, (colour, marker) in part_looks(topology).items()
    ]
    if topology.context:
        entries.append(Line2D([], [], color="#7F7F7F", marker="x", linestyle="", label="context: input, no node"))
    ring = Line2D([], [], color="black", marker="o", markerfacecolor="none", linestyle="", markersize=10, label="centre")
    return [*entries, ring]
