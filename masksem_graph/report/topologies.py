"""One topology, or two side by side: as tables and as pictures."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator
from rich.table import Table
from torch import Tensor

from masksem_graph.edges import hop_distance
from masksem_graph.operators import Adjacency, Heat, PersonalisedPageRank
from masksem_graph.report.names import cell, drawn
from masksem_graph.report.skeleton import MANY, draw_matrix, draw_skeleton, is_dense, part_legend, topology_title, write_names
from masksem_graph.topology import Topology

SMOOTHING: dict[str, Callable[[Topology], Tensor]] = {
    "adjacency, 1 hop": Adjacency().matrix,
    "personalised PageRank, restart 0.15": PersonalisedPageRank().matrix,
    "heat, time 1": Heat().matrix,
}


def spectrum(topology: Topology) -> Float[np.ndarray, " V"]:
    """Eigenvalues of the symmetric normalised Laplacian, ascending, in [0, 2]."""
    return np.sort(nx.normalized_laplacian_spectrum(topology.graph)) if len(topology) > 1 else np.zeros(1)


def facts(topology: Topology) -> dict[str, str]:
    """What a table says of a topology; bones at rest are measured in largest extents of the body."""
    graph, values = topology.graph, spectrum(topology)
    hops = hop_distance(topology).numpy()
    pairs = hops[np.triu_indices(len(topology), 1)]
    alike = Counter(np.round(values, 8).tolist())
    cycles = len(topology.bones) - len(topology) + 1
    bone = "-"
    if topology.rest_pose and topology.bones:
        places = np.array([topology.rest_pose[joint] for joint in topology.joints])
        ends = places[[[topology.index[joint] for joint in bone] for bone in topology.bones]]
        mean = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).mean()
        bone = f"{mean / np.ptp(places, axis=0).max():.2f} of the body's size"
    return {
        "joints": f"{len(topology)}" + (f", and {len(topology.context)} of context" if topology.context else ""),
        "bones": f"{len(topology.bones)}, {'a tree' if nx.is_tree(graph) else f'{cycles} independent cycles'}",
        "parts": ", ".join(f"{part} {len(joints)}" for part, joints in topology.parts.items()),
        "mirror pairs": f"{sum(a != b for a, b in topology.mirror.items()) // 2}",
        "centre": topology.centre,
        "units": topology.units,
        "mean bone at rest": bone,
        "largest degree": f"{max(dict(graph.degree).values())}",
        "hops: largest, mean": f"{hops.max()}, {pairs.mean() if len(pairs) else 0:.2f}",
        "smallest eigenvalue above 0": f"{values[1]:.4f}" if len(values) > 1 else "-",
        "largest eigenvalue": f"{values[-1]:.4f}",
        "largest eigenspace": f"{max(alike.values())} dimensions",
        "source": topology.source,
    }


def check_table(topology: Topology) -> Table:
    """The facts of one."""
    table = Table(title=cell(topology.name), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts(topology).items():
        table.add_row(name, cell(value))
    return table


def compare_table(one: Topology, other: Topology) -> Table:
    """The facts of two, what they share, and how much of a score each operator leaves at its joint."""
    table = Table(title=cell(f"{one.name} and {other.name}"), title_justify="left")
    for column in ("", one.name, other.name):
        table.add_column(cell(column), overflow="fold")
    rows = {name: (told, facts(other)[name]) for name, told in facts(one).items()}
    source = rows.pop("source")
    joints, others = set(one.joints), set(other.joints)
    rows["joints of this one alone"] = _listed(joints - others), _listed(others - joints)
    bones, others = ({" - ".join(sorted(bone)) for bone in topology.bones} for topology in (one, other))
    rows["bones of this one alone"] = _listed(bones - others), _listed(others - bones)
    for name, matrix in SMOOTHING.items():
        own, its = (f"{100 * matrix(topology).diagonal().mean():.0f} %" for topology in (one, other))
        rows[f"stays at a joint: {name}"] = own, its
    for name, told in (rows | {"source": source}).items():
        table.add_row(name, *map(cell, told))
    return table


def _listed(names: set[str], at_most: int = 8) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - at_most} more" if len(ordered) > at_most else ""
    return f"{len(ordered)}" + (f": {', '.join(ordered[:at_most])}{more}" if ordered else "")


def check_figure(topology: Topology) -> Figure:
    """A topology with the names of its joints, as seen from the front."""
    figure = Figure(figsize=(6.4, 7.4), layout="constrained")
    axes = figure.add_subplot()
    places = draw_skeleton(axes, topology, size=46)
    axes.margins(0.3, 0.04)
    figure.legend(handles=part_legend(topology), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    seen = "; seen from the front, at rest, close joints pushed apart" if topology.rest_pose else ""
    axes.set_title(f"{topology_title(topology)}{seen}", fontsize=9)
    write_names(axes, topology, places, fontsize=8 if len(topology) <= MANY else 6.5)
    return figure


def compare_figure(one: Topology, other: Topology) -> Figure:
    """Two topologies, a row each: bones, hop distances, smoothing operators; below them both spectra and hop counts."""
    figure = Figure(figsize=(17, 12.8), layout="constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=(1, 1, 0.62))
    rows = [figure.add_subfigure(grid[i]) for i in range(3)]
    largest = max(int(hop_distance(topology).max()) for topology in (one, other))
    strongest = max(float(matrix(topology).max()) for matrix in SMOOTHING.values() for topology in (one, other))
    for row, topology, against in ((rows[0], one, other), (rows[1], other, one)):
        _draw_row(row, topology, against, hops=largest, strength=strongest)
    left, right = rows[2].subplots(1, 2)
    _draw_spectra(left, right, one, other)
    return figure


def _draw_row(row: FigureBase, topology: Topology, against: Topology, *, hops: int, strength: float) -> None:
    first, *panels = row.subplots(1, 2 + len(SMOOTHING), width_ratios=(1.25, 1, 1, 1, 1))
    own = set(map(frozenset, topology.bones)) - set(map(frozenset, against.bones))
    some = 0 < len(own) < len(topology.bones)
    draw_skeleton(first, topology, accent=own if some else ())
    first.set_title(f"{drawn(topology.name)}: {len(topology)} joints, {len(topology.bones)} bones", fontsize=11)
    if some:
        told = "blue hair lines" if is_dense(len(own), topology) else "blue dashes"
        note = f"{told}: {len(own)} bones that {drawn(against.name)} lacks"
        first.text(0.5, 0, note, transform=first.transAxes, ha="center", va="top", fontsize=9)
    look: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.06), "ncols": 3, "frameon": False, "fontsize": 8}
    first.legend(handles=part_legend(topology), handletextpad=0.1, columnspacing=0.9, **look)
    shown: list[tuple[str, Any, str, str, float]] = [("hop distance", hop_distance, "bones", "viridis_r", hops)]
    shown += [(name, matrix, "weight", "magma_r", strength) for name, matrix in SMOOTHING.items()]
    for axes, (name, matrix, unit, colours, largest) in zip(panels, shown, strict=True):
        look = {"names": axes is panels[0], "cmap": colours, "vmin": 0, "vmax": largest}
        image = draw_matrix(axes, topology, matrix(topology).numpy(), **look)
        axes.set_title(name, fontsize=10)
        ticks = MaxNLocator(nbins=5, integer=unit == "bones")
        row.colorbar(image, ax=axes, shrink=0.7, location="bottom", label=unit, pad=0.02, ticks=ticks)


def _draw_spectra(left: Axes, right: Axes, one: Topology, other: Topology) -> None:
    """The spectra of both, and how far their joints are apart."""
    for topology, shift, colour, face, marker, hatch in (
        (one, -0.2, "#0072B2", "#0072B2", "o", ""),
        (other, 0.2, "#D55E00", "white", "s", "////"),
    ):
        values, name = spectrum(topology), drawn(topology.name)
        line: dict[str, Any] = {"color": colour, "marker": marker, "markerfacecolor": face, "markersize": 5, "lw": 1}
        left.plot(np.linspace(0, 1, len(values)), values, label=name, **line)
        counts = np.bincount(hop_distance(topology).numpy()[np.triu_indices(len(topology), 1)], minlength=2)[1:]
        bars: dict[str, Any] = {"facecolor": face, "edgecolor": colour, "hatch": hatch, "label": name}
        right.bar(np.arange(1, len(counts) + 1) + shift, 100 * counts / max(counts.sum(), 1), 0.4, **bars)
    left.set(xlabel="eigenvalue's place, from the first to the last", ylabel="eigenvalue", ylim=(-0.05, 2.05))
    left.set_title("Spectrum of the symmetric normalised Laplacian", fontsize=11)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set(xlabel="hops between two joints", ylabel="pairs of joints (%)")
    right.set_title("How far joints are apart", fontsize=11)
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
