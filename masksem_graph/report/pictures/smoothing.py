"""What a smoothing operator does: as a matrix, as weights on the graph, to an impulse, and to a clip's saliency."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from masksem_graph.errors import InputError
from masksem_graph.operators import (
    Adjacency,
    Heat,
    Identity,
    Operator,
    OperatorFactory,
    PartAverage,
    PersonalisedPageRank,
    SpatioTemporal,
    hop_distance,
)
from masksem_graph.report.pictures.canvas import (
    COLOURS,
    EDGE,
    bone_lines,
    centred_places,
    draw_bones,
    draw_map,
    draw_strip,
    node_sizes,
    part_order,
    say_when,
    shaded,
    strip_shape,
)
from masksem_graph.report.pictures.clip import ShownClip
from masksem_graph.report.pictures.picture import Motion, Picture, shown_frames
from masksem_graph.report.pictures.saliency import UNIT, as_share
from masksem_graph.report.skeleton import front_view, shown
from masksem_graph.topology import Topology

NAMES: dict[str, type[Operator]] = {
    "none": Identity,
    "adjacency": Adjacency,
    "parts": PartAverage,
    "ppr": PersonalisedPageRank,
    "heat": Heat,
    "spatio_temporal": SpatioTemporal,
}
SIDE_BY_SIDE: dict[str, OperatorFactory] = {
    "none": Identity,
    "adjacency, 1 hop": Adjacency,
    "adjacency, 2 hops": partial(Adjacency, hops=2),
    "body parts": PartAverage,
    "PageRank, restart 0.15": PersonalisedPageRank,
    "heat, time 1": Heat,
    "spatio-temporal": SpatioTemporal,
}
SEGMENTS = 5
"""An impulse starts in the middle of so many."""
COLUMNS = 3
WIDEST = 4.5
"""Width in points of the edge with the largest weight."""


def named_operator(name: str, numbers: Mapping[str, float]) -> dict[str, OperatorFactory]:
    """Nothing at all and one operator, by what they are called in pictures.

    Args:
        name: a short name, or the dotted path of a class of one's own.
        numbers: options of its constructor.

    Raises:
        InputError: no such operator, or it has no such option.
    """
    kind = NAMES[name] if name in NAMES else _own(name)
    factory = partial(kind, **numbers)
    try:
        factory(topology=_pair(), segments=2)
    except TypeError:
        option = next(iter(numbers), "")
        raise InputError(f"--{option}: the operator {name} has no such option") from None
    told = "".join(f", {option} {value:g}" for option, value in numbers.items())
    return {"none": Identity} | ({} if kind is Identity else {name.rpartition(".")[2].replace("_", "-") + told: factory})


def _own(path: str) -> type[Operator]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, Operator)):
        known = ", ".join(NAMES)
        raise InputError(f"--operator: expected one of {known}, or the dotted path of an Operator's class, found {path}")
    return found


def _pair() -> Topology:
    """The smallest skeleton: to try an operator's options on."""
    return Topology("pair", ("a", "b"), (("b", "a"),), {"all": ("a", "b")}, {"a": "a", "b": "b"}, "a")


def spread(factory: OperatorFactory, topology: Topology, segments: int = SEGMENTS) -> Float[np.ndarray, "V Te V"]:
    """Where an impulse at each joint of the middle segment goes."""
    joints = len(topology)
    impulses = torch.zeros(joints, segments, joints)
    impulses[range(joints), segments // 2, range(joints)] = 1
    return factory(topology=topology, segments=segments)(impulses).numpy()


def operator_pictures(
    topology: Topology, operators: Mapping[str, OperatorFactory], impulses: Sequence[str] = ()
) -> list[Picture]:
    """The operators as matrices, on the graph, and what becomes of an impulse.

    Args:
        topology: the skeleton.
        operators: by what they are called.
        impulses: joints that an impulse starts at; chosen by `far_joints` where none is given.
    """
    responses = {name: spread(factory, topology) for name, factory in operators.items()}
    return [
        Picture("smoothing_matrices", matrices_figure(topology, responses)),
        Picture("smoothing_graphs", graphs_figure(topology, responses)),
        Picture("smoothing_impulse", impulse_figure(topology, responses, impulses or far_joints(topology))),
    ]


def far_joints(topology: Topology, count: int = 3) -> list[str]:
    """The centre and joints that are far from it and from each other, in other parts, of a mirror pair only one."""
    hops, chosen = hop_distance(topology).numpy(), [topology.centre]
    while len(chosen) < count:
        away = hops[[topology.index[joint] for joint in chosen]].min(0)
        taken = set(chosen) | {topology.mirror[joint] for joint in chosen}
        for joints in topology.parts.values():
            if taken & set(joints):
                away[[topology.index[joint] for joint in joints]] = 0
        if not away.any():
            break
        chosen.append(topology.joints[int(away.argmax())])
    return chosen


def _grid(count: int, cell: tuple[float, float], **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure with so many cells, at most `COLUMNS` in a row."""
    rows = -(-count // COLUMNS)
    columns = -(-count // rows)
    figure = Figure(figsize=(cell[0] * columns + 1.6, cell[1] * rows + 0.6), layout="constrained")
    cells = list(figure.subplots(rows, columns, squeeze=False, **options).ravel())
    for unused in cells[count:]:
        unused.set_axis_off()
    return figure, cells[:count]


def matrices_figure(topology: Topology, responses: Mapping[str, Float[np.ndarray, "V Te V"]]) -> Figure:
    """Each operator as a matrix: from the joint of a row to that of a column, and into the next segment where it goes there."""
    middle, order = SEGMENTS // 2, part_order(topology)
    panels = {name: response[:, middle] for name, response in responses.items() if name != "none" or len(responses) == 1}
    for name, response in responses.items():
        if response[:, middle + 1].any():
            panels[f"{name}: to the next segment"] = response[:, middle + 1]
    norm = PowerNorm(0.5, 0, max(float(matrix.max()) for matrix in panels.values()))
    names = [shown(topology.joints[joint]) for joint in order]
    edges = [0, *np.cumsum([len(joints) for joints in topology.parts.values()]).tolist()]
    middles = [(low + high - 1) / 2 for low, high in pairwise(edges)]
    size = max(0.125 * len(topology), 1.6)
    figure, cells = _grid(len(panels), (size + 0.3, size + 1.3))
    fontsize = 6.5 if len(topology) > 16 else 8
    for axes, (name, matrix) in zip(cells, panels.items(), strict=True):
        image = axes.imshow(matrix[np.ix_(order, order)], cmap=COLOURS, norm=norm, interpolation="nearest")
        for edge in edges[1:-1]:
            axes.axhline(edge - 0.5, color="white", linewidth=1.2)
            axes.axvline(edge - 0.5, color="white", linewidth=1.2)
        if len(panels) > 2:
            axes.set_xticks(middles, [shown(p) for p in topology.parts], rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
        else:
            axes.set_xticks(range(len(names)), names, rotation=90, fontsize=fontsize)
        first = axes.get_subplotspec().is_first_col()  # type: ignore[union-attr]
        axes.set_yticks(range(len(names)), names if first else [], fontsize=fontsize)
        axes.tick_params(length=0)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("to joint", fontsize=9)
        if first:
            axes.set_ylabel("from joint", fontsize=9)
    figure.colorbar(image, ax=cells, label="weight (square-root scale)", shrink=0.7, aspect=30)
    return figure


def graphs_figure(topology: Topology, responses: Mapping[str, Float[np.ndarray, "V Te V"]]) -> Figure:
    """Each operator on the skeleton: what stays at a joint as its shade, what goes from one to another as an edge's width."""
    panels = {name: response[:, SEGMENTS // 2] for name, response in responses.items() if name != "none" or len(responses) == 1}
    places = front_view(topology)
    where = np.array([places[joint] for joint in topology.joints])
    largest = max(float((m - np.diag(np.diag(m))).max()) for m in panels.values()) or 1.0
    norm = Normalize(0, max(float(m.diagonal().max()) for m in panels.values()))
    figure, cells = _grid(len(panels), (2.6, 3.5))
    for axes, (name, matrix) in zip(cells, panels.items(), strict=True):
        _draw_weights(axes, where, (matrix + matrix.T) / 2, largest)
        stays = matrix.diagonal()
        dots = axes.scatter(*where.T, s=54, c=stays, norm=norm, cmap=COLOURS, **EDGE)
        axes.set_title(name, fontsize=10)
        axes.set_aspect("equal")
        axes.margins(0.12, 0.05)
        axes.set_axis_off()
    figure.colorbar(dots, ax=cells, label="weight that stays at the joint", shrink=0.6, aspect=30)
    widths = [round(share * largest, 2) for share in (0.25, 0.5, 1)]
    lines = [Line2D([], [], color=LINK, lw=WIDEST * w / largest, label=f"{w:.2f}") for w in widths]
    title = "weight between two joints"
    figure.legend(handles=lines, title=title, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


LINK = "#0072B2"


def _draw_weights(
    axes: Axes, where: Float[np.ndarray, "V 2"], weights: Float[np.ndarray, "V V"], largest: float
) -> None:
    """Edges as wide as their weights; those too thin to be seen are left out."""
    pairs = [(i, j) for i in range(len(weights)) for j in range(i) if weights[i, j] > 0.01 * largest]
    widths = [WIDEST * weights[i, j] / largest for i, j in pairs]
    axes.add_collection(LineCollection([where[list(p)] for p in pairs], colors=LINK, linewidths=widths, alpha=0.75, zorder=1))


def impulse_figure(
    topology: Topology, responses: Mapping[str, Float[np.ndarray, "V Te V"]], impulses: Sequence[str]
) -> Figure:
    """What becomes of one unit of saliency at a joint: a row a joint, a column an operator.

    Raises:
        InputError: the topology has no such joint.
    """
    if unknown := [joint for joint in impulses if joint not in topology.index]:
        raise InputError(f"--joints: {topology.name} has no joint called {unknown[0]!r}, expected some of {', '.join(topology.joints)}")
    panels = {name: response for name, response in responses.items() if name != "none" or len(responses) == 1}
    places = front_view(topology)
    where = np.array([places[joint] for joint in topology.joints])
    norm = PowerNorm(0.5, 0, max(float(r[topology.index[j]].max()) for r in panels.values() for j in impulses))
    figure = Figure(figsize=(1.75 * len(panels) + 1.2, 2.1 * len(impulses) + 0.5), layout="constrained")
    cells = figure.subplots(len(impulses), len(panels), squeeze=False)
    for row, joint in zip(cells, impulses, strict=True):
        for axes, (name, response) in zip(row, panels.items(), strict=True):
            dots = _draw_impulse(axes, topology, where, response[topology.index[joint]], topology.index[joint], norm)
            if joint == impulses[0]:
                axes.set_title(name.replace(", ", ",\n"), fontsize=9)
        row[0].text(
            -0.06, 0.5, f"1 at {shown(joint)}", transform=row[0].transAxes, rotation=90, va="center", ha="right", fontsize=9
        )
    figure.colorbar(dots, ax=cells, label="what a joint then has (square-root scale)", shrink=0.6, aspect=35)
    return figure


def _draw_impulse(
    axes: Axes,
    topology: Topology,
    where: Float[np.ndarray, "V 2"],
    response: Float[np.ndarray, "Te V"],
    joint: int,
    norm: Normalize,
) -> Any:
    here = response[SEGMENTS // 2]
    draw_bones(axes, topology, where)
    dots = axes.scatter(*where.T, s=node_sizes(here, norm, 80), c=here, norm=norm, cmap=COLOURS, **EDGE)
    axes.scatter(*where[joint], s=150, facecolors="none", edgecolors="black", linewidths=1, zorder=4)
    beside = np.delete(response, SEGMENTS // 2, axis=0)
    told = f"sum {here.sum():.2f}" + (f", and {beside.sum():.2f} in time" if beside.any() else "")
    axes.text(0.5, 0.0, told, transform=axes.transAxes, ha="center", va="top", fontsize=8)
    axes.set_aspect("equal")
    axes.margins(0.14, 0.06)
    axes.set_axis_off()
    return dots


def smoothed(
    eta: Float[torch.Tensor, "B Te V"],
    joints: Sequence[str],
    topology: Topology,
    operators: Mapping[str, OperatorFactory],
    finish: Callable[[Any], Any],
) -> dict[str, Float[np.ndarray, "B Te V"]]:
    """Scores smoothed by each operator, divided by the largest.

    Args:
        eta: the scores before.
        joints: of its last axis.
        topology: what the operators are made of, with the same joints in any order.
        operators: by what they are called.
        finish: what is done to smoothed scores.

    Raises:
        InputError: the topology has other joints.
    """
    if set(joints) != set(topology.joints):
        odd = sorted(set(joints) ^ set(topology.joints))
        raise InputError(
            f"--topology: {topology.name} does not fit the run: {odd[0]!r} is a joint of only one of them; "
            f"expected the run's {len(joints)} joints"
        )
    to, back = [list(joints).index(j) for j in topology.joints], [topology.index[j] for j in joints]
    out = {}
    for name, factory in operators.items():
        operator = factory(topology=topology, segments=eta.shape[1])
        out[name] = as_share(finish(operator(eta.cpu()[..., to]))[..., back].numpy())
    return out


def saliency_pictures(
    clip: ShownClip, values: Mapping[str, Float[np.ndarray, "B Te V"]], *, moving: bool = True
) -> list[Picture]:
    """A clip's saliency under each operator: a row an operator, and side by side on the moving skeleton.

    Args:
        clip: the clip.
        values: of its nodes by operator, in [0, 1].
        moving: also make the animation.
    """
    pictures = [Picture("smoothing_saliency", saliency_figure(clip, values))]
    return pictures + ([Picture("smoothing_saliency", *saliency_motion(clip, values))] if moving else [])


def saliency_figure(clip: ShownClip, values: Mapping[str, Float[np.ndarray, "B Te V"]]) -> Figure:
    """A row for each operator: the map of the first body's nodes, and a strip of skeletons."""
    norm = Normalize(0, 1)
    strip = 5.6
    row = min(max(strip / strip_shape(clip), 1.0), 1.8)
    figure = Figure(figsize=(3.4 + strip + 0.9, row * len(values) + 1.2), layout="constrained")
    cells = figure.subplots(len(values), 2, squeeze=False, width_ratios=(2.3, strip))
    for (left, right), (name, own) in zip(cells, values.items(), strict=True):
        image = draw_map(left, clip, own[0], norm=norm, names="parts", clock=left is cells[0][0])
        left.set_ylabel("none (before)" if name == "none" else name.replace(", ", ",\n"), fontsize=9)
        if left is not cells[-1][0]:
            left.set_xlabel("")
            left.set_xticklabels([])
        draw_strip(right, clip, shaded(own, norm, 30), labels=left is cells[-1][0])
    cells[0][1].set_title(clip.title, fontsize=11)
    figure.colorbar(image, ax=cells, label=UNIT, shrink=min(0.9, 3 / row / len(values) + 0.25), aspect=30)
    return figure


def saliency_motion(clip: ShownClip, values: Mapping[str, Float[np.ndarray, "B Te V"]]) -> tuple[Figure, Motion]:
    """The moving skeleton under each operator."""
    norm = Normalize(0, 1)
    columns = min(len(values), 4)
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(2.0 * columns + 0.9, 2.5 * rows + 0.4))
    cells = list(figure.subplots(rows, columns, squeeze=False).ravel())
    figure.subplots_adjust(0.01, 0.01, 1 - 0.9 / figure.get_figwidth(), 1 - 0.65 / figure.get_figheight(), 0.02, 0.12)
    places, low, high = centred_places(clip)
    drawn = []
    for axes in cells:
        axes.set_axis_off()
    for axes, (name, own) in zip(cells, values.items(), strict=False):
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        axes.set_title("none (before)" if name == "none" else name, fontsize=8)
        for body, there in enumerate(places):
            lines = draw_bones(axes, clip.topology, there[0])
            marks = axes.scatter(*there[0].T, c=np.zeros(there.shape[1]), norm=norm, cmap=COLOURS, **EDGE)
            drawn.append((body, own[body], lines, marks))
    bar = figure.add_axes((1 - 0.72 / figure.get_figwidth(), 0.2, 0.13 / figure.get_figwidth(), 0.6))
    figure.colorbar(drawn[0][3], cax=bar, label=UNIT)
    figure.text(0.01, 1 - 0.22 / figure.get_figheight(), clip.title, fontsize=9)
    when = figure.text(0.99, 1 - 0.22 / figure.get_figheight(), "", fontsize=9, ha="right")

    def update(frame: int) -> None:
        for body, own, lines, marks in drawn:
            now = own[frame // clip.segment]
            lines.set_segments(bone_lines(clip.topology, places[body, frame]))
            marks.set_offsets(places[body, frame])
            marks.set_array(now)
            marks.set_sizes(node_sizes(now, norm, 36))
        when.set_text(say_when(clip, frame))

    return figure, Motion(shown_frames(clip.frames), update)
