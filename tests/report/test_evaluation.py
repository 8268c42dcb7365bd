"""Results are written whatever becomes of their pictures, and read by type."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from masksem_graph.errors import InputError
from masksem_graph.report import evaluation
from masksem_graph.report.evaluation import ClassScores, print_results, read_results, read_scores, write_results
from masksem_graph.report.figures import curves_figure

CLASSES = ("$\\frac{$", "[/red]<script>")
RESULTS: dict[str, Any] = {
    "protocol": "linear",
    "data": "demo",
    "split": "[/red]",
    "stream": "joint",
    "data_set": {"format": "demo", "topology": "ntu25", "classes": 2, "clips": 9},
    "top1": 50.0,
    "top5": 100.0,
    "mean_class_accuracy": 50.0,
    "top1_interval": [0.0, 100.0],
    "test_clips": 2,
    "seeds": [0],
    "untrained": True,
    "wall_seconds": 1.0,
    "confusion": [[1, 0], [1, 0]],
}
SCORES = ClassScores(np.zeros((1, 2, 2), dtype=np.float32), np.array([0, 1]), np.array(["a", "b"]))


def test_results_outlive_their_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        assert (tmp_path / "results.json").is_file() and (tmp_path / "scores.npz").is_file()
        raise MemoryError("no room\nto draw")

    monkeypatch.setattr(evaluation, "save_figure", fail)
    write_results(tmp_path, RESULTS, SCORES, classes=CLASSES)
    assert capsys.readouterr().err == "confusion: not drawn: MemoryError: no room to draw\n"
    assert read_results(tmp_path)["top1"] == 50.0 and read_scores(tmp_path)[1] == CLASSES


def test_any_names_can_be_written_drawn_and_printed(tmp_path: Path) -> None:
    write_results(tmp_path, RESULTS, SCORES, classes=CLASSES)
    assert (tmp_path / "figures" / "confusion.png").is_file()
    out = io.StringIO()
    print_results(Console(file=out, width=200), read_results(tmp_path), tmp_path / "[/b]")
    assert "linear on demo [/red]" in out.getvalue() and "[/b]" in out.getvalue()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seeds", 3, "seeds: expected a list of numbers, found 3"),
        ("top1", True, "top1: expected a number, found True"),
        ("untrained", "no", "untrained: expected true or false, found 'no'"),
        ("confusion", [[1], [2]], "confusion: expected a square of numbers, found"),
        ("data_set", {"format": "demo"}, "data_set: expected format, topology, classes and clips, found"),
        ("top1_interval", [1.0], "top1_interval: expected two numbers"),
        ("per_class_recall", {"a": "b"}, "per_class_recall: expected a number for each class"),
        ("config", "text\nmore", "config: expected a mapping, found 'text"),
    ],
)
def test_a_field_of_another_type_is_named(tmp_path: Path, name: str, value: Any, message: str) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS | {name: value}))
    with pytest.raises(InputError) as error:
        read_results(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'results.json'}: {message}") and "\n" not in str(error.value)


def test_what_may_be_missing_is_none(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS | {"per_class_recall": {"a": 50.0, "b": None}}))
    found = read_results(tmp_path)
    assert found["pretraining"] is None and found["std"] is None and found["confusion"] == [[1, 0], [1, 0]]


@pytest.mark.parametrize("text", [b"[" * 5000, b'"\xff"', b"{", b"[]", b"{}"])
def test_what_is_no_result(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "results.json").write_bytes(text)
    with pytest.raises(InputError, match="not the results of an evaluation"):
        read_results(tmp_path)


def test_one_check_by_neighbours_has_whole_epochs() -> None:
    """An axis around a single epoch has no ticks between epochs."""
    figure = curves_figure([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "knn_top1_k1": 50.0}])
    assert all(float(tick).is_integer() for tick in figure.axes[-1].get_xticks())
