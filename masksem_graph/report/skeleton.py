"""A skeleton on paper: its joints at rest as seen from the front, its bones, its parts."""

from collections.abc import Collection, Mapping
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from adjustText import adjust_text
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from masksem_graph.report.names import drawn, shown
from masksem_graph.topology import Topology

# Okabe and Ito's colours, told apart with any colour vision; the markers tell parts apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "p", "X", "h")
BONE, LINK = "#9A9A9A", "#0072B2"
FAR = 4
CLOSEST, CLOSEST_OF_MANY, MANY = 0.085, 0.105, 28
"""Joints are drawn at least this far apart, in heights of the body; further where there are many."""

Places = Mapping[str, Float[np.ndarray, "2"]]
"""Joint -> (to the right, up)."""


def front_view(topology: Topology) -> Places:
    """Where to draw each joint, the body's left side to the right.

    From the rest pose, with joints that would cover each other pushed apart; a topology without one is laid out by its hops
    (Kamada and Kawai, 1989).
    """
    if not topology.rest_pose:
        return {joint: np.array(place) for joint, place in nx.kamada_kawai_layout(topology.graph).items()}
    names = [joint for joint in topology.inputs if joint in topology.rest_pose]
    places = np.array([topology.rest_pose[joint][:2] for joint in names]) * (-1, 1)
    places /= max(float(np.ptp(places, axis=0).max()), 1e-9)
    return dict(zip(names, _apart(places, CLOSEST if len(names) <= MANY else CLOSEST_OF_MANY), strict=True))


def _apart(places: Float[np.ndarray, "V 2"], closest: float) -> Float[np.ndarray, "V 2"]:
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
        places = places + 0.5 * (push[..., None] * direction).sum(1)
    return places


def long_links(topology: Topology) -> set[frozenset[str]]:
    """Bones that somebody added to a body: those before them in the file join their ends already, in `FAR` steps or more."""
    graph, found = nx.Graph(), set()
    graph.add_nodes_from(topology.joints)
    for a, b in topology.bones:
        if nx.has_path(graph, a, b) and nx.shortest_path_length(graph, a, b) >= FAR:
            found.add(frozenset((a, b)))
        else:
            graph.add_edge(a, b)
    return found


def draw_bones(
    axes: Axes, topology: Topology, places: Places, *, accent: Collection[frozenset[str]] | None = None, width: float = 1.3
) -> None:
    """Draw bones, hair lines where they are very many, and ``accent`` ones, or else `long_links`, as blue dashes."""
    marked = long_links(topology) if accent is None else accent
    for chosen, colour, style in ((False, BONE, "solid"), (True, LINK, (0, (3, 1.5)))):
        bones = [bone for bone in topology.bones if (frozenset(bone) in marked) == chosen]
        look: dict[str, Any] = {"colors": colour, "linewidths": width, "linestyles": [style], "zorder": 1 - 0.5 * chosen}
        if is_dense(len(bones), topology):
            look |= {"linewidths": 0.3, "linestyles": ["solid"]}
        axes.add_collection(LineCollection([np.array([places[a], places[b]]) for a, b in bones], **look))


def is_dense(bones: int, topology: Topology) -> bool:
    """Whether so many bones would cover everything, drawn as those of a body are."""
    return bones > 3 * len(topology)


def without_axes(axes: Axes, across: float, along: float) -> None:
    """A drawing with equal scales and such margins."""
    axes.set_aspect("equal")
    axes.margins(across, along)
    axes.set_axis_off()


def draw_dots(axes: Axes, places: Float[np.ndarray, "*n 2"], **look: Any) -> Any:
    """A dot at each place."""
    return axes.scatter(places[..., 0], places[..., 1], **look)


def draw_skeleton(
    axes: Axes, topology: Topology, *, accent: Collection[frozenset[str]] | None = None, size: float = 34
) -> Places:
    """Draw a topology: a colour and a marker for each part, a ring around the centre, small crosses for context joints.

    ``accent`` is that of `draw_bones`, ``size`` that of a joint in square points. Returns the places, for `write_names`.
    """
    places = front_view(topology)
    draw_bones(axes, topology, places, accent=accent, width=1.8)
    for part, (colour, marker) in part_looks(topology).items():
        dots = np.array([places[joint] for joint in topology.parts[part]])
        draw_dots(axes, dots, s=size, c=colour, marker=marker, edgecolors="white", linewidths=0.6, zorder=3)
    if aside := [places[joint] for joint in topology.context if joint in places]:
        draw_dots(axes, np.array(aside), s=size * 0.6, c="#7F7F7F", marker="x", linewidths=1, zorder=3)
    draw_dots(axes, places[topology.centre], s=size * 3.2, facecolors="none", edgecolors="black", linewidths=1, zorder=6)
    without_axes(axes, 0.08, 0.04)
    return places


def write_names(axes: Axes, topology: Topology, places: Places, *, fontsize: float = 8) -> list[Text]:
    """Write the joints' names beside them, moved by adjustText until they cover neither each other nor joints nor bones.

    The figure is laid out for good first: draw everything else before.
    """
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    dots = np.array([places[joint] for joint in topology.joints])
    gap = 0.025 * max(float(np.ptp(dots, axis=0).max()), 1e-9)
    texts = []
    for joint, (x, y) in zip(topology.joints, dots, strict=True):
        left = x < dots[:, 0].mean() - 1e-3
        look: dict[str, Any] = {"ha": "right" if left else "left", "va": "center", "fontsize": fontsize, "zorder": 5}
        texts.append(axes.text(x - gap if left else x + gap, y, shown(joint), **look))
        texts[-1].set_path_effects([withStroke(linewidth=2, foreground="white")])
    around = [dots + 0.5 * gap * np.array(way) for way in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    links = long_links(topology)
    body = [(places[a], places[b]) for a, b in topology.bones if frozenset((a, b)) not in links]
    along = [start + share * (end - start) for start, end in body for share in (0.2, 0.4, 0.6, 0.8)]
    arrows = {"arrowstyle": "-", "color": BONE, "linewidth": 0.5}
    look = {"target_x": dots[:, 0], "target_y": dots[:, 1], "ax": axes, "min_arrow_len": 14, "arrowprops": arrows}
    # Bounded by steps, not by time: the same names stand in the same places on any machine.
    look |= {"iter_lim": 100, "force_static": (0.05, 0.1), "force_explode": (0, 0), "explode_radius": 1}
    x, y = np.concatenate([*around, np.array(along).reshape(-1, 2)]).T
    adjust_text(texts, x, y, ensure_inside_axes=False, **look)
    return texts


class PartOrder(NamedTuple):
    """Joints part by part: their numbers, their names as a reader sees them, where parts begin and end, and their middles."""

    joints: list[int]
    names: list[str]
    edges: list[int]
    middles: list[float]


def part_order(topology: Topology) -> PartOrder:
    """The order of `draw_matrix`."""
    names = [joint for joints in topology.parts.values() for joint in joints]
    edges = [0, *accumulate(len(joints) for joints in topology.parts.values())]
    middles = [(low + high - 1) / 2 for low, high in pairwise(edges)]
    return PartOrder([topology.index[joint] for joint in names], [shown(joint) for joint in names], edges, middles)


def draw_matrix(
    axes: Axes, topology: Topology, values: Shaped[np.ndarray, "V V"], *, names: bool = True, parts: bool = True, **look: Any
) -> AxesImage:
    """A value for each pair of joints, in the order of their parts, which lines keep apart.

    Below the columns stand the parts' names, or those of the joints. ``look`` are colours, for ``imshow``.
    """
    order, fontsize = part_order(topology), 6.5 if len(topology) > 16 else 8
    image = axes.imshow(values[np.ix_(order.joints, order.joints)], interpolation="nearest", **look)
    for edge in order.edges[1:-1]:
        axes.axhline(edge - 0.5, color="#808080", linewidth=0.6)
        axes.axvline(edge - 0.5, color="#808080", linewidth=0.6)
    if parts:
        told = [shown(part) for part in topology.parts]
        axes.set_xticks(order.middles, told, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    else:
        axes.set_xticks(range(len(topology)), order.names, rotation=90, fontsize=fontsize)
    axes.set_yticks(range(len(topology)) if names else [], order.names if names else [], fontsize=fontsize)
    axes.tick_params(length=0)
    return image


def part_looks(topology: Topology) -> dict[str, tuple[str, str]]:
    """Part -> colour and marker."""
    return {part: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, part in enumerate(topology.parts)}


def part_legend(topology: Topology) -> list[Line2D]:
    """An entry for each part, one for context joints, and one for the centre."""
    looks: dict[str, dict[str, Any]] = {
        shown(part): {"color": colour, "marker": marker, "markersize": 6}
        for part, (colour, marker) in part_looks(topology).items()
    }
    if topology.context:
        looks["context: input, no node"] = {"color": "#7F7F7F", "marker": "x"}
    looks["centre"] = {"color": "black", "marker": "o", "markerfacecolor": "none", "markersize": 10}
    return [Line2D([], [], linestyle="", label=label, **look) for label, look in looks.items()]


def topology_title(topology: Topology) -> str:
    """Name, joints, bones, and its `long_links`."""
    links = len(long_links(topology))
    further = f" and {links} long link{'s' * (links > 1)}" if links else ""
    return f"{drawn(topology.name)}: {len(topology)} joints, {len(topology.bones) - links} bones{further}"
