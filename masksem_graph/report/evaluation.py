"""What an evaluation leaves behind: ``results.json``, the confusion matrix, and a table on the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from masksem_graph.errors import InputError
from masksem_graph.files import write_beside
from masksem_graph.report.figures import confusion_figure, save_figure


def write_results(folder: Path, results: dict[str, Any], *, classes: tuple[str, ...]) -> None:
    """Write an evaluation's folder; ``results.json`` comes last, so that it stands only beside its pictures."""
    title = f"{results['data']} {results['split']}, {results['protocol']}: {results['top1']:.1f} %"
    save_figure(confusion_figure(results["confusion"], classes, title=title), folder / "figures" / "confusion")
    with write_beside(folder / "results.json") as partial:
        partial.write_text(json.dumps(results, indent=1) + "\n")


def read_results(folder: Path) -> dict[str, Any]:
    """What an evaluation found.

    Raises:
        InputError: the folder holds no results.
    """
    path = folder / "results.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not the results of an evaluation: {error}") from None


def print_results(console: Console, results: dict[str, Any], folder: Path) -> None:
    """The main figures as a table."""
    table = Table(title=f"{results['protocol']} on {results['data']} {results['split']}", title_justify="left")
    for column in ("encoder", "top-1 %", "top-5 %", "class mean %", "test clips", "seconds"):
        table.add_column(column, justify="left" if column == "encoder" else "right")
    runs = len(results["seeds"])
    top1 = f"{results['top1']:.1f}" + (f" ± {results['std']:.1f} ({runs} runs)" if runs > 1 else "")
    table.add_row(
        "untrained" if results["untrained"] else results["checkpoint"],
        top1,
        f"{results['top5']:.1f}",
        f"{results['mean_class_accuracy']:.1f}",
        str(results["test_clips"]),
        f"{results['wall_seconds']:.1f}",
    )
    console.print(table)
    console.print(f"written: {folder}")
