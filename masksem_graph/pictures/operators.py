"""Smoothing operators of a topology: as matrices, as weights on the graph, and what becomes of an impulse."""

from collections.abc import Mapping, Sequence
from inspect import isabstract, signature
from textwrap import wrap
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from masksem_graph import trust
from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.operators import Adjacency, Heat, Identity, Operator, PartAverage, PersonalisedPageRank, SpatioTemporal
from masksem_graph.pictures.canvas import COLOURS, EDGE, draw_nodes, require_joints
from masksem_graph.pictures.picture import Picture
from masksem_graph.pictures.tasks import operator_name
from masksem_graph.report import skeleton
from masksem_graph.report.names import drawn, shown
from masksem_graph.topology import Topology

NAMES: dict[str, type[Operator]] = {
    "none": Identity,
    "adjacency": Adjacency,
    "parts": PartAverage,
    "ppr": PersonalisedPageRank,
    "heat": Heat,
    "spatio_temporal": SpatioTemporal,
}
SIDE_BY_SIDE: dict[str, Operator] = {
    "none": Identity(),
    "adjacency, 1 hop": Adjacency(),
    "adjacency, rows": Adjacency(normalise="row"),
    "adjacency, 2 hops": Adjacency(hops=2),
    "body parts": PartAverage(),
    "PageRank, restart 0.15": PersonalisedPageRank(),
    "heat, time 1": Heat(),
    "spatio-temporal": SpatioTemporal(),
}
SEGMENTS = 5
MIDDLE = SEGMENTS // 2
"""An impulse starts in the middle of so many."""
COLUMNS = 4
EDGE_COLOUR = "#0072B2"
UNIT = "weight (square-root scale)"
WIDEST = 4.5
"""Width in points of the edge with the largest weight."""

Named = str | type[Operator]
"""One of `NAMES`, the dotted path of a class, or the class."""
Response = Float[np.ndarray, "V Te V"]
"""What each node has of an impulse at each joint of the middle segment."""


def named_operator(given: Named, numbers: Mapping[str, Any]) -> dict[str, Operator]:
    """No smoothing and one operator with its options, by what they are called in pictures."""
    kind = _kind(given)
    name = given if isinstance(given, str) else kind.__name__
    if isabstract(kind):
        raise InputError(f"--operator: {name} is abstract; expected a class whose matrix(topology) is a [V, V] tensor")
    if unknown := numbers.keys() - signature(kind).parameters.keys():
        raise InputError(f"--operator.{min(unknown)}: the operator {name} has no such option")
    operator = parse_mapping(kind, numbers, source="--operator")
    options = {option: f"{value:g}" if isinstance(value, float) else value for option, value in numbers.items()}
    called = name.rpartition(".")[2].replace("_", "-") + "".join(f", {option} {value}" for option, value in options.items())
    return {"none": Identity()} | ({} if kind is Identity else {called: operator})


def beside_own(operator: Operator) -> dict[str, Operator]:
    """No smoothing, a run's own operator, and then the others of `SIDE_BY_SIDE`, which its own may be one of."""
    name = operator_name(operator)
    known = type(operator) in NAMES.values() and name in map(operator_name, SIDE_BY_SIDE.values())
    return {"none": Identity()} | ({} if known else {name: operator}) | SIDE_BY_SIDE


def _kind(given: Named) -> type[Operator]:
    if isinstance(given, type) and issubclass(given, Operator):
        return given
    if not isinstance(given, str) or (given not in NAMES and "." not in given):
        known = ", ".join(NAMES)
        raise InputError(f"--operator: expected one of {known}, or an Operator's class or its dotted path, found {given}")
    if given in NAMES:
        return NAMES[given]
    trust.allow_class(given, "--operator")
    return trust.import_class(given, Operator, field="--operator")  # type: ignore[type-abstract]


def spread(operator: Operator, topology: Topology) -> Response:
    """Where an impulse at each joint of the middle segment goes."""
    joints = len(topology)
    impulses = torch.zeros(joints, SEGMENTS, joints)
    impulses[range(joints), MIDDLE, range(joints)] = 1
    batch = SkeletonBatch.from_frames(torch.zeros(joints, SEGMENTS, len(topology.inputs), 1), topology=topology, segment=1)
    return operator(impulses, batch).numpy()


def operator_pictures(topology: Topology, operators: Mapping[str, Operator], impulses: Sequence[str] = ()) -> list[Picture]:
    """The operators as matrices, on the graph, and what becomes of an impulse; a weight has the same colour in all three.

    No smoothing is left out beside other operators. Impulses start at `far_joints` where none are given, ``InputError`` for
    unknown ones.
    """
    require_joints(topology, impulses)
    shown_ones = [name for name in operators if name != "none" or len(operators) == 1]
    responses = {name: spread(operators[name], topology) for name in shown_ones}
    norm = PowerNorm(0.5, 0, max(float(response.max()) for response in responses.values()))
    figures = {
        "smoothing_matrices": _matrices(topology, responses, norm),
        "smoothing_graphs": _graphs(topology, responses, norm),
        "smoothing_impulse": _impulses(topology, responses, norm, impulses or far_joints(topology)),
    }
    return [Picture(name, figure) for name, figure in figures.items()]


def far_joints(topology: Topology, count: int = 3) -> list[str]:
    """The centre and joints that are far from it and from each other, in other parts, of a mirror pair only one.

    Far in the rest pose, so that skeletons of one body that differ in their bones show the same joints.
    """
    places = topology.rest_pose or skeleton.front_view(topology)
    where = np.array([places[joint] for joint in topology.joints])
    chosen = [topology.centre]
    while len(chosen) < count:
        away = np.linalg.norm(where[:, None] - [places[joint] for joint in chosen], axis=2).min(1)
        taken = set(chosen) | {topology.mirror[joint] for joint in chosen}
        for joints in topology.parts.values():
            if taken & set(joints):
                away[[topology.index[joint] for joint in joints]] = 0
        if not away.any():
            break
        # Of a mirror pair the first, whatever rounding says.
        chosen.append(topology.joints[int(np.round(away, 6).argmax())])
    return chosen


def _grid(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with so many cells, at most `COLUMNS` in a row."""
    rows = -(-count // COLUMNS)
    columns = -(-count // rows)
    figure = Figure(figsize=(width * columns + 1.6, height * rows + 0.9), layout="constrained")
    cells = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for unused in cells[count:]:
        unused.set_axis_off()
    return figure, cells[:count]


def _matrices(topology: Topology, responses: Mapping[str, Response], norm: Normalize) -> Figure:
    """Each operator as a matrix: from the joint of a row to that of a column, and into the next segment where it goes."""
    panels = {name: response[:, MIDDLE] for name, response in responses.items()}
    later = {f"{name}: to the next segment": response[:, MIDDLE + 1] for name, response in responses.items()}
    panels |= {name: matrix for name, matrix in later.items() if matrix.any()}
    size, many = max(0.125 * len(topology), 1.6), len(panels) > 2
    figure, cells = _grid(len(panels), size + (0.3 if many else 0.9), size + (0.95 if many else 1.3))
    for axes, (name, matrix) in zip(cells, panels.items(), strict=True):
        first = axes.get_subplotspec().is_first_col()  # type: ignore[union-attr]
        image = skeleton.draw_matrix(axes, topology, matrix, names=first, parts=many, cmap=COLOURS, norm=norm)
        # A letter is about 0.09 inches wide.
        axes.set_title("\n".join(wrap(drawn(name), int((size + 0.3) / 0.09))), fontsize=10)
        axes.set_xlabel("to joint", fontsize=9)
        axes.set_ylabel("from joint" if first else "", fontsize=9)
    figure.suptitle(skeleton.topology_title(topology), fontsize=10)
    figure.colorbar(image, ax=cells, label=UNIT, shrink=0.7, aspect=30)
    return figure


def _graphs(topology: Topology, responses: Mapping[str, Response], norm: Normalize) -> Figure:
    """The joints by name, then each operator: what stays at a joint as its shade, what goes to another as an edge's width."""
    panels = {name: response[:, MIDDLE] for name, response in responses.items()}
    largest = max(float((m - np.diag(np.diag(m))).max()) for m in panels.values()) or 1.0
    figure, (first, *cells) = _grid(1 + len(panels), 3.7, 4.2)
    places = skeleton.draw_skeleton(first, topology, size=20)
    where = np.array([places[joint] for joint in topology.joints])
    first.set_title("joints and bones", fontsize=10)
    first.margins(0.3, 0.05)
    for axes, (name, matrix) in zip(cells, panels.items(), strict=True):
        _draw_weights(axes, where, (matrix + matrix.T) / 2, largest)
        dots = skeleton.draw_dots(axes, where, s=54, c=matrix.diagonal(), norm=norm, cmap=COLOURS, **EDGE)
        axes.set_title(drawn(name), fontsize=10)
        if topology.rest_pose:
            axes.text(0.02, 0.02, "right", transform=axes.transAxes, ha="left", fontsize=8)
            axes.text(0.98, 0.02, "left", transform=axes.transAxes, ha="right", fontsize=8)
        skeleton.without_axes(axes, 0.12, 0.05)
    bar = figure.colorbar(dots, ax=[first, *cells], shrink=0.6, aspect=30)
    bar.set_label(f"{UNIT}\nthat stays at the joint", fontsize=8)
    widths = [round(share * largest, 2) for share in (0.25, 0.5, 1)]
    look: dict[str, Any] = {"color": EDGE_COLOUR}
    lines = [Line2D([], [], lw=WIDEST * w / largest, label=f"between two joints: {w:.2f}", **look) for w in widths]
    handles = [*skeleton.part_legend(topology), *lines]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.suptitle(skeleton.topology_title(topology), fontsize=10)
    skeleton.write_names(first, topology, places, fontsize=7)
    return figure


def _draw_weights(axes: Axes, where: Float[np.ndarray, "V 2"], weights: Float[np.ndarray, "V V"], largest: float) -> None:
    """Edges as wide as their weights; those too thin to be seen are left out."""
    pairs = [(i, j) for i in range(len(weights)) for j in range(i) if weights[i, j] > 0.01 * largest]
    widths = [WIDEST * weights[i, j] / largest for i, j in pairs]
    look: dict[str, Any] = {"colors": EDGE_COLOUR, "linewidths": widths, "alpha": 0.75, "zorder": 1}
    axes.add_collection(LineCollection([where[list(p)] for p in pairs], **look))


def _impulses(topology: Topology, responses: Mapping[str, Response], norm: Normalize, impulses: Sequence[str]) -> Figure:
    """What becomes of one unit of saliency at a joint: a row a joint, a column an operator."""
    down, across = [f"1 at {shown(joint)}" for joint in impulses], [drawn(name).replace(", ", ",\n") for name in responses]
    side_by_side = len(responses) == 1  # joints, rather than below each other
    if side_by_side:
        down, across = across, down
    figure = Figure(figsize=(1.75 * len(across) + 1.2, 2.1 * len(down) + 0.8), layout="constrained")
    grid = figure.subplots(len(down), len(across), squeeze=False)
    for row, joint in zip(grid.T if side_by_side else grid, impulses, strict=True):
        for axes, response in zip(row, responses.values(), strict=True):
            dots = _draw_impulse(axes, topology, response[topology.index[joint]], joint, norm)
    look: dict[str, Any] = {"rotation": 90, "va": "center", "ha": "right", "fontsize": 9}
    for axes, told in zip(grid[:, 0], down, strict=True):
        axes.text(-0.06, 0.5, told, transform=axes.transAxes, **look)
    for axes, told in zip(grid[0], across, strict=True):
        axes.set_title(told, fontsize=9)
    figure.suptitle(skeleton.topology_title(topology), fontsize=10)
    figure.colorbar(dots, ax=grid, label=f"{UNIT}\nthat a joint then has", shrink=0.7)
    return figure


def _draw_impulse(axes: Axes, topology: Topology, response: Float[np.ndarray, "Te V"], joint: str, norm: Normalize) -> Any:
    places, here = skeleton.front_view(topology), response[MIDDLE]
    skeleton.draw_bones(axes, topology, places)
    dots = draw_nodes(axes, np.array([places[name] for name in topology.joints]), here, norm, 80)
    skeleton.draw_dots(axes, places[joint], s=150, facecolors="none", edgecolors="black", linewidths=1, zorder=4)
    beside = np.delete(response, MIDDLE, axis=0)
    told = f"sum {here.sum():.2f}" + (f", and {beside.sum():.2f} in time" if beside.any() else "")
    axes.text(0.5, 0.0, told, transform=axes.transAxes, ha="center", va="top", fontsize=8)
    skeleton.without_axes(axes, 0.14, 0.06)
    return dots
