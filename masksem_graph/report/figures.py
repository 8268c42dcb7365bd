"""Pictures, drawn with matplotlib and written as PNG and SVG."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from masksem_graph.console import console
from masksem_graph.files import write_beside
from masksem_graph.report.names import drawn, line

LOSSES = ("loss", "velocity", "acceleration", "coordinates", "contrast")
NEIGHBOURS = re.compile(r"knn_(?:(.+)_)?top1_k(\d+)$")
STYLES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 4)))

# The same picture gives the same bytes: no random ids, no date.
matplotlib.rcParams["svg.hashsalt"] = "masksem_graph"


@contextmanager
def drawing(what: str) -> Iterator[None]:
    """Say in one line that a picture could not be drawn; results never die of their pictures."""
    try:
        yield
    except Exception as error:  # whatever matplotlib, scikit-learn or the disk may raise
        console.print(line(f"{what}: not drawn: {type(error).__name__}: {error}"), soft_wrap=True, markup=False)


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` with the endings .png and .svg; returns both."""
    # Laid out once: every further drawing would do it again, which takes longer than to draw.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    files = [path.with_name(f"{path.name}.{ending}") for ending in ("png", "svg")]
    for file, metadata in zip(files, ({"Software": None}, {"Date": None}), strict=True):
        with write_beside(file) as partial:
            figure.savefig(partial, format=file.suffix[1:], dpi=150, bbox_inches="tight", metadata=metadata)
    return files


def confusion_figure(confusion: list[list[int]], classes: tuple[str, ...], *, title: str) -> Figure:
    """A confusion matrix of clips, [true][predicted]: rows are true classes, cells say the share of the row in per cent."""
    counts = np.array(confusion, dtype=float)
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = max(4.5, 0.42 * len(classes) + 2.2)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    names = [drawn(name) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), [f"{name} ({int(n)})" for name, n in zip(names, counts.sum(1), strict=True)])
    axes.set(xlabel="predicted class", ylabel="true class (test clips)", title=drawn(title))
    if len(classes) <= 30:
        for i, j in zip(*np.nonzero(counts), strict=True):
            ink = "white" if share[i, j] > 55 else "black"
            axes.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=8, color=ink)
    figure.colorbar(image, ax=axes, label="share of the true class's clips (%)", shrink=0.8)
    return figure


def neighbours(row: dict[str, float]) -> dict[str, str]:
    """The figures of an epoch that are accuracies of nearest neighbours, and what they are called: ``20 nearest``."""
    found = {name: match.groups() for name in row if (match := NEIGHBOURS.match(name))}
    return {name: f"{data_set}, {k} nearest" if data_set else f"{k} nearest" for name, (data_set, k) in found.items()}


def curves_figure(rows: list[dict[str, float]]) -> Figure:
    """Loss and k-NN accuracy over the epochs of a run: the rows of ``metrics.csv``, where an epoch may lack a figure."""
    columns = {name: 0.0 for row in rows for name in row}
    losses = {name: name.replace("loss_", "loss, ") for name in columns if name in LOSSES or name.startswith("loss_")}
    near = dict(sorted(neighbours(columns).items()))
    figure = Figure(figsize=(9 if near else 5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2 if near else 1, squeeze=False)[0]
    panels[-1].set(ylabel="test accuracy (%)", title="k nearest neighbours")
    panels[0].set(ylabel="loss (standardised units)", title="Pre-training")
    looks: list[dict[str, Any]] = [{"linestyle": style} for style in STYLES]
    marks = [look | {"marker": mark, "markersize": 4} for look, mark in zip(looks, "os^d", strict=False)]
    for axes, names, styles in zip(panels, (losses, near), (looks, marks), strict=False):
        for (name, told), style in zip(names.items(), cycle(styles), strict=False):
            points = [(row["epoch"], row[name]) for row in rows if name in row]
            dot = {"marker": "o"} if len(points) == 1 else {}  # which a line does not show
            axes.plot(*zip(*points, strict=True), label=drawn(told), **dot | style)
        axes.set_xlabel("epoch")
        axes.legend(frameon=False)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
