"""metrics.csv: a row an epoch, the right ones kept when a run goes on."""

from __future__ import annotations

import csv
import errno
from pathlib import Path

import pytest

from masksem_graph.errors import InputError
from masksem_graph.training.metrics import MetricsLog


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write(folder: Path, upto: int, *given: dict[str, float]) -> None:
    log = MetricsLog(folder, upto)
    for row in given:
        log.write(row)
    log.close()


def test_a_row_an_epoch(tmp_path: Path) -> None:
    write(tmp_path, 0, {"epoch": 1, "loss": 0.123456789}, {"epoch": 2, "loss": 1e-9})
    assert rows(tmp_path) == [{"epoch": "1", "loss": "0.123457"}, {"epoch": "2", "loss": "1e-09"}]


def test_a_column_may_come_later(tmp_path: Path) -> None:
    write(tmp_path, 0, {"epoch": 1, "loss": 2}, {"epoch": 2, "loss": 1, "knn": 50})
    assert rows(tmp_path) == [{"epoch": "1", "loss": "2", "knn": ""}, {"epoch": "2", "loss": "1", "knn": "50"}]


def test_a_resumed_run_keeps_what_is_done_and_writes_the_rest_again(tmp_path: Path) -> None:
    write(tmp_path, 0, *({"epoch": epoch, "loss": epoch} for epoch in (1.0, 2.0, 3.0)))
    write(tmp_path, 2, {"epoch": 3, "loss": 30}, {"epoch": 4, "loss": 40})
    assert [(row["epoch"], row["loss"]) for row in rows(tmp_path)] == [("1", "1"), ("2", "2"), ("3", "30"), ("4", "40")]


def test_a_new_run_keeps_nothing(tmp_path: Path) -> None:
    write(tmp_path, 0, {"epoch": 1, "old": 1})
    write(tmp_path, 0, {"epoch": 1, "loss": 5})
    assert rows(tmp_path) == [{"epoch": "1", "loss": "5"}]


def test_a_full_disk_names_the_file_of_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    log = MetricsLog(tmp_path)

    def add_scalar(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # of the thread that writes

    assert log.board is not None
    log.board.add_scalar = add_scalar  # type: ignore[method-assign]
    with pytest.raises(InputError, match=rf"{tmp_path}/tensorboard: cannot be written: No space left on device"):
        log.write({"epoch": 1.0, "loss": 2.0})
    log.close()
