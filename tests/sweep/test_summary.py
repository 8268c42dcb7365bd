"""The table, the CSV and the picture of a sweep, from folders written by hand."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from masksem_graph.sweep import Cell, Plan, Step, summarise
from masksem_graph.sweep.figure import variants_figure
from masksem_graph.training.checkpoint import save_checkpoint

ACCURACY = {("motion", 0): (50.0, 40.0), ("motion", 1): (54.0, 41.0), ("semantic", 0): (52.26, 44.0), ("semantic", 1): None}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two variants with two seeds; the last cell is half done."""
    cells = []
    for (mask, seed), accuracy in ACCURACY.items():
        folder = tmp_path / "cells" / mask / f"seed{seed}"
        cells.append(Cell({"mask": mask}, seed, folder, [Step("run", ["train"], 2), Step("linear", []), Step("knn", [])]))
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "metrics.csv").write_text("epoch,loss,seconds\n1,1,60\n2,1,30\n")
        save_checkpoint(folder / "run" / "last.pt", {"finished": accuracy is not None})
        for name, value in zip(("linear", "knn"), accuracy or (), strict=False):
            (folder / name).mkdir()
            (folder / name / "results.json").write_text(json.dumps({"top1": value}))
    return Plan("Masks", ("mask",), ("linear", "knn"), cells)


def test_markdown_by_hand(plan: Plan) -> None:
    assert summarise(plan).markdown().splitlines() == [
        "| mask | linear (%) | knn (%) | runs | pre-training (min) |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| motion | 52.0 ± 2.8 | 40.5 ± 0.7 | 2 | 1.5 |",
        "| semantic | **52.3** | **44.0** | 1 of 2 | 1.5 |",
    ]


def test_the_terminals_table_marks_the_best(plan: Plan) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summarise(plan).table())
    lines = console.export_text().splitlines()
    assert any("52.3 *" in line and "44.0 *" in line for line in lines)
    assert not any("52.0 ± 2.8 *" in line for line in lines)


def test_files(plan: Plan, tmp_path: Path) -> None:
    summarise(plan).write(tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row.values()) for row in rows] == [
        ["motion", "0", "50.0000", "40.0000", "90.0", "cells/motion/seed0/run"],
        ["motion", "1", "54.0000", "41.0000", "90.0", "cells/motion/seed1/run"],
        ["semantic", "0", "52.2600", "44.0000", "90.0", "cells/semantic/seed0/run"],
    ]
    assert "**52.3**" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "figures" / "variants.png").stat().st_size > 5000


def test_nothing_finished_is_no_error(plan: Plan, tmp_path: Path) -> None:
    for path in tmp_path.rglob("results.json"):
        path.unlink()
    summary = summarise(plan)
    summary.write(tmp_path)
    assert summary.markdown().splitlines()[2] == "| motion | - | - | 0 of 2 | - |"
    assert not (tmp_path / "figures").exists()


def test_a_number_gets_a_curve_and_names_get_lines() -> None:
    points = {"linear": [[70.0, 71.0], [], [75.0]]}
    curve = variants_figure("t", ["method.mask_ratio"], [("0.5",), ("0.7",), ("0.9",)], points).axes[0]
    assert curve.get_xlabel() == "method.mask_ratio" and list(curve.lines[0].get_xdata()) == [0.5, 0.9]
    assert list(curve.lines[0].get_ydata()) == [70.5, 75.0]
    lines = variants_figure("t", ["a", "b"], [("x", "y"), ("x", "z"), ("w", "y")], points).axes[0]
    assert [text.get_text() for text in lines.get_yticklabels()] == ["x, y", "x, z", "w, y"]
