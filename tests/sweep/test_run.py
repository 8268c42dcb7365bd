"""Cells as processes: what fails is named, what is finished is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from masksem_graph.sweep import Cell, Step, run_cells
from masksem_graph.sweep.run import _done, room


def test_what_fails_is_named_and_what_is_finished_is_not_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = Cell({"a": "bad"}, 0, tmp_path / "bad", [Step("look", ["nosuch"])])
    done = Cell({"a": "done"}, 0, tmp_path / "done", [Step("look", ["nosuch"])])
    (done.folder / "look").mkdir(parents=True)
    (done.folder / "look" / "results.json").write_text("{}")
    failed = run_cells([bad, done], tmp_path, jobs=2)
    assert failed.keys() == {bad.folder} and failed[bad.folder].startswith("error: nosuch: no such command")
    assert "masksem-graph nosuch" in (bad.folder / "log.txt").read_text()
    assert list(done.folder.iterdir()) == [done.folder / "look"]
    assert "FAILED: bad, seed 0: error: nosuch" in capfd.readouterr().err


def test_how_far_a_cell_has_come(tmp_path: Path) -> None:
    cell = Cell({"a": "b"}, 0, tmp_path, [Step("first", [], 10), Step("run", [], 30), Step("linear", []), Step("knn", [])])
    assert _done(cell) == (0, "first: epoch 1 of 10")
    for name, epochs, expected in (("first", 10, (10, "run: epoch 1 of 30")), ("run", 4, (14, "run: epoch 5 of 30"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("epoch\n" + "1\n" * epochs)
        assert _done(cell) == expected
    (tmp_path / "run" / "metrics.csv").write_text("epoch\n" + "1\n" * 30)
    assert _done(cell) == (40, "linear")
    for name, expected in (("linear", (42, "knn")), ("knn", (44, ""))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text("{}")
        assert _done(cell) == expected


def test_there_is_always_room_for_one() -> None:
    assert room(accelerator="cpu") >= 1
