"""Splits that somebody describes for their own clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksem_graph.data.own_splits import Table, own_splits
from masksem_graph.errors import InputError


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """24 clips: labels 0 and 1 in turn, six people with four clips each."""
    rows = [{"who": f"p{i // 4}", "part": ("train", "test", "")[i % 3]} for i in range(24)]
    names = [f"c{i}" for i in range(24)]
    clips = {"name": np.array(names), "label": np.arange(24) % 2}
    known = dict(zip(names, rows, strict=True)) | {"bad": {"who": "p7", "part": ""}}
    return Table(tmp_path / "dataset.yaml", clips, known)


def one(table: Table, described: dict[str, Any]) -> np.ndarray:
    (parts,) = own_splits({"s": described}, table).values()
    return parts


def test_by_groups(table: Table) -> None:
    assert one(table, {"train": {"who": ["p0", "p5"]}}).tolist() == [1] * 4 + [0] * 16 + [1] * 4
    assert one(table, {"train": {"who": "p0"}, "test": {"who": ["p1"]}}).tolist() == [1] * 4 + [0] * 4 + [-1] * 16
    both = one(table, {"train": {"who": ["p0"], "part": ["train"]}})
    assert np.flatnonzero(both == 1).tolist() == [0, 3], "all columns have to fit"
    assert not one(table, {"train": {"who": ["p7"]}}).any(), "a clip that was skipped still says who there is"


def test_by_lists_and_by_column(table: Table) -> None:
    (table.file.parent / "a.txt").write_bytes(b"\xef\xbb\xbfc3\r\n\r\nc5.npy\r\nbad\r\n")
    assert np.flatnonzero(one(table, {"train": "a.txt"})).tolist() == [3, 5], "bad was skipped, and is known"
    assert one(table, {"column": "part"}).tolist() == [1, 0, -1] * 8


def test_folds(table: Table) -> None:
    folds = own_splits({"k": {"folds": 4, "seed": 3}}, table)
    assert list(folds) == ["k_1", "k_2", "k_3", "k_4"]
    tested = np.array([parts == 0 for parts in folds.values()])
    assert (tested.sum(0) == 1).all(), "every clip is tested once"
    assert [tested[k][table.clips["label"] == 1].sum() for k in range(4)] == [3] * 4, "stratified"
    again, other = own_splits({"k": {"folds": 4, "seed": 3}}, table), own_splits({"k": {"folds": 4, "seed": 4}}, table)
    np.testing.assert_array_equal(list(folds.values()), list(again.values()))
    assert (np.array(list(folds.values())) != np.array(list(other.values()))).any()


def test_folds_keep_groups_together(table: Table) -> None:
    folds = own_splits({"k": {"folds": 3, "group": "who"}}, table)
    for parts in folds.values():
        assert all(len(set(parts[4 * g : 4 * g + 4])) == 1 for g in range(6))
        assert (parts == 0).sum() == 8


def test_leave_one_out(table: Table) -> None:
    splits = own_splits({"loso": {"leave_one_out": "who"}}, table)
    assert list(splits) == [f"loso_p{g}" for g in range(6)]
    assert np.flatnonzero(splits["loso_p2"] == 0).tolist() == [8, 9, 10, 11]
    assert (splits["loso_p2"] >= 0).all()


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({}, "splits.s: expected a mapping with one of train, column, folds, leave_one_out"),
        ({"folds": 2, "column": "part"}, "expected a mapping with one of"),
        (None, "expected a mapping with one of"),
        ({"folds": 2, "sed": 1}, "splits.s.sed: unknown field, expected folds, seed, group"),
        ({"folds": 1}, "splits.s.folds: found 1, expected a number from 2 to the 24 clips"),
        ({"folds": 25}, "splits.s.folds: found 25"),
        ({"folds": "three"}, "splits.s.folds: found 'three'"),
        ({"folds": 2, "seed": -1}, "splits.s.seed: found -1"),
        ({"folds": 7, "group": "who"}, "splits.s.group: found 6 groups, expected at least the 7 folds"),
        ({"leave_one_out": "colour"}, "splits.s.leave_one_out: found 'colour', expected a column of the table: who, part"),
        ({"column": "who"}, "splits.s.column: found 'p0' for a clip, expected train, test or nothing"),
        ({"train": {"who": ["p9"]}}, "splits.s.train.who: found 'p9', which no clip has"),
        ({"train": {"who": ["p0"]}, "test": {"part": ["test"]}}, "splits.s: c1 is in train and in test"),
        ({"train": 7}, "splits.s.train: found 7, expected a file with clip names, or column: [values]"),
        ({"train": "b.txt"}, "b.txt: line 2: found 'c99', which is none of the 25 clips"),
    ],
)
def test_faults(table: Table, described: Any, message: str) -> None:
    (table.file.parent / "b.txt").write_text("c1\nc99\n")
    with pytest.raises(InputError) as error:
        own_splits({"s": described}, table)
    assert message in str(error.value)
