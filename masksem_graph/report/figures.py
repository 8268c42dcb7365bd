"""Pictures, drawn with matplotlib and written as PNG and SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

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


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``path`` with the endings .png and .svg."""
    # Laid out once: every further drawing would do it again, which takes longer than to draw.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with write_beside(path.with_suffix(f".{ending}")) as partial:
            figure.savefig(partial, format=ending, dpi=150, bbox_inches="tight", metadata=metadata)


def confusion_figure(confusion: list[list[int]], classes: tuple[str, ...], *, title: str) -> Figure:
    """A confusion matrix: rows are true classes, cells say the share of the row in per cent.

    Args:
        confusion: clips, [true][predicted].
        classes: names by label.
        title: over the picture.
    """
    counts = np.array(confusion, dtype=float)
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = max(4.5, 0.42 * len(classes) + 2.2)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    names = [drawn(name) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), [f"{name} ({int(n)})" for name, n in zip(names, counts.sum(1), strict=True)])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (test clips)")
    axes.set_title(drawn(title))
    if len(classes) <= 30:
        for i, j in zip(*np.nonzero(counts), strict=True):
            ink = "white" if share[i, j] > 55 else "black"
            axes.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=8, color=ink)
    figure.colorbar(image, ax=axes, label="share of the true class's clips (%)", shrink=0.8)
    return figure


def curves_figure(rows: list[dict[str, float]]) -> Figure:
    """Loss and k-NN accuracy over the epochs of a run.

    Args:
        rows: of ``metrics.csv``; a figure that an epoch lacks is left out.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = [name for name in columns if name in LOSSES or name.startswith("loss_")]
    neighbours = {name: match.groups() for name in sorted(columns) if (match := NEIGHBOURS.match(name))}
    figure = Figure(figsize=(9 if neighbours else 5, 3.6), layout="constrained")
    left, *right = figure.subplots(1, 2 if neighbours else 1, squeeze=False)[0]
    for name, style in zip(shown, cycle(STYLES), strict=False):
        left.plot(*_points(rows, name), linestyle=style, label=drawn(name.replace("loss_", "loss, ")))
    left.set(xlabel="epoch", ylabel="loss (standardised units)", title="Pre-training")
    left.legend(frameon=False)
    for axes in right:
        for (name, (data_set, k)), style in zip(neighbours.items(), cycle(("o-", "s--", "^:", "d-.")), strict=False):
            told = drawn(f"{data_set}, {k} nearest" if data_set else f"{k} nearest")
            axes.plot(*_points(rows, name), style, label=told, markersize=4)
        axes.set(xlabel="epoch", ylabel="test accuracy (%)", title="k nearest neighbours")
        axes.legend(frameon=False)
    for axes in (left, *right):
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _points(rows: list[dict[str, float]], name: str) -> tuple[list[float], list[float]]:
    """Epochs and values of a figure, where there are some."""
    return [row["epoch"] for row in rows if name in row], [row[name] for row in rows if name in row]
