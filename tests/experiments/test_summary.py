"""The table, the CSV and the picture, from folders written by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from masksem_graph.experiments import ExperimentPlan, Step, summarise
from masksem_graph.experiments.summary import variants_figure
from masksem_graph.training.checkpoint import save_checkpoint

ACCURACY = {("motion", 0): (50.0, 40.0), ("motion", 1): (54.0, 41.0), ("semantic", 0): (52.26, 44.0), ("semantic", 1): ()}

RESULTS = {
    **{"protocol": "linear", "data": "demo", "split": "xsub", "stream": "joint", "untrained": False, "seeds": [0]},
    **{"top5": 90.0, "mean_class_accuracy": 50.0, "test_clips": 10, "wall_seconds": 1.0, "top1_interval": [40.0, 60.0]},
    "data_set": {"format": "demo", "topology": "ntu25", "classes": 12, "clips": 20},
}
"""What else results say."""


@pytest.fixture
def plan(tmp_path: Path) -> ExperimentPlan:
    """Two variants with two seeds; the last one is half done."""
    steps = []
    for (mask, seed), accuracy in ACCURACY.items():
        folder = f"variants/{mask}/seed{seed}"
        steps.append(Step(f"{folder}/run", "train", row=(mask,), seed=seed))
        (tmp_path / folder / "run").mkdir(parents=True)
        (tmp_path / folder / "run" / "metrics.csv").write_text("epoch,loss,seconds\n1,1,60\n2,1,30\n")
        save_checkpoint(tmp_path / folder / "run" / "last.pt", {"finished": bool(accuracy)})
        (tmp_path / folder / "run" / "report.html").touch()
        for i, name in enumerate(("linear", "knn")):
            steps.append(Step(f"{folder}/{name}", "evaluate", row=(mask,), column=name, seed=seed))
            if accuracy:
                (tmp_path / folder / name).mkdir()
                (tmp_path / folder / name / "results.json").write_text(json.dumps(RESULTS | {"top1": accuracy[i]}))
                (tmp_path / folder / name / "report.html").touch()
    return ExperimentPlan("Masks", ("mask",), steps, True)


def test_files(plan: ExperimentPlan, tmp_path: Path) -> None:
    summarise(plan, tmp_path).write(tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["mask", "seed", "linear", "knn", "training (min)"],
        ["motion", "0", "50.0000", "40.0000", "1.5000"],
        ["motion", "1", "54.0000", "41.0000", "1.5000"],
        ["semantic", "0", "52.2600", "44.0000", "1.5000"],
        ["semantic", "1", "", "", ""],
    ]
    lines = [
        [cell.strip() for cell in line.strip(" |").split("|")] for line in (tmp_path / "table.md").read_text().split("\n")
    ]
    assert [line for line in lines if len(line) > 1 and "-" not in line[0]] == [
        ["mask", "linear", "knn", "training (min)", "seeds"],
        ["motion", "52.0 ± 2.8", "40.5 ± 0.7", "1.5 ± 0.0", "2"],
        ["semantic", "**52.3**", "**44.0**", "1.5", "1 of 2"],
    ]
    assert (tmp_path / "figures" / "variants.png").stat().st_size > 5000
    page = (tmp_path / "report.html").read_text()
    assert "<h1>Masks</h1>" in page and "52.3 (best)" in page and "52.0 ± 2.8</td>" in page and page.count("<img ") == 1
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/**/report.html")}
    assert set(re.findall('href="([^"#]+)"', page)) == there and len(there) > 3


def test_the_terminals_table_marks_the_best(plan: ExperimentPlan, tmp_path: Path) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summarise(plan, tmp_path).table())
    lines = console.export_text().splitlines()
    assert any("52.3 *" in line and "44.0 *" in line for line in lines)
    assert not any("52.0 ± 2.8 *" in line for line in lines)


def test_a_recipe_has_no_best_row_and_no_picture(plan: ExperimentPlan, tmp_path: Path) -> None:
    summarise(ExperimentPlan("R", ("run",), plan.steps, False), tmp_path).write(tmp_path)
    assert "52.3" in (tmp_path / "table.md").read_text() and "**" not in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "figures").exists()


def test_both_trainings_of_a_warm_start_count(tmp_path: Path) -> None:
    steps = [Step(name, "train", row=("warm",)) for name in ("first", "run")]
    for name in ("first", "run"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("epoch,seconds\n1,60\n")
        save_checkpoint(tmp_path / name / "last.pt", {"finished": True})
        (tmp_path / name / "report.html").touch()
    assert summarise(ExperimentPlan("W", ("variant",), steps, True), tmp_path).figures == {
        ("warm",): {0: {"training (min)": 2.0}}
    }


def test_nothing_finished_is_no_error(plan: ExperimentPlan, tmp_path: Path) -> None:
    for path in [*tmp_path.rglob("results.json"), *tmp_path.rglob("last.pt")]:
        path.unlink()
    summarise(plan, tmp_path).write(tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [cell.strip() for cell in next(line for line in lines if "motion" in line).strip("| ").split("|")] == [
        *("motion", "-", "-", "-", "0 of 2")
    ]
    assert not (tmp_path / "figures").exists()


def test_a_number_gets_a_curve_and_names_get_lines() -> None:
    points = {"linear": [[70.0, 71.0], [], [75.0]]}
    curve = variants_figure("t", ["method.mask_ratio"], [("0.5",), ("0.7",), ("0.9",)], points).axes[0]
    assert curve.get_xlabel() == "method.mask_ratio" and list(curve.lines[0].get_xdata()) == [0.5, 0.9]
    assert list(curve.lines[0].get_ydata()) == [70.5, 75.0]
    lines = variants_figure("t", ["a", "b"], [("x", "y"), ("x", "z"), ("w", "y")], points).axes[0]
    assert [text.get_text() for text in lines.get_yticklabels()] == ["x, y", "x, z", "w, y"]
    assert [text.get_text() for text in lines.texts] == ["70.5", "75.0"]
