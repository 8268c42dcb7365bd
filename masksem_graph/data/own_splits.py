"""The splits that somebody describes for their own clips: lists, groups, a column, folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from sklearn.model_selection import KFold, StratifiedKFold

from masksem_graph.data.source import read_text_file
from masksem_graph.errors import InputError

Parts = Int64[np.ndarray, " clips"]
"""1 for the training set, 0 for the test set, -1 for neither."""


@dataclass(frozen=True)
class Table:
    """What splits are made of.

    Args:
        file: the description that they stand in; lists lie beside it.
        clips: ``name`` and ``label`` of each clip.
        rows: each clip's line of the table, column -> cell.
        known: the names of all clips, with those that could not be read.
    """

    file: Path
    clips: Mapping[str, np.ndarray]
    rows: Sequence[Mapping[str, str]]
    known: frozenset[str]

    def column(self, place: str, name: Any) -> np.ndarray:
        """A column's cells.

        Raises:
            InputError: there is no such column.
        """
        if not isinstance(name, str) or name not in self.rows[0]:
            raise InputError(f"{place}: found {name!r}, expected a column of the table: {', '.join(self.rows[0])}")
        return np.array([row[name] for row in self.rows])


def own_splits(described: Mapping[Any, Any], table: Table) -> dict[str, np.ndarray]:
    """The splits of a description.

    Each is one of::

        NAME: {train: {COLUMN: [VALUE, ...]}}          the others are the test set; with test: {...} those alone
        NAME: {train: train.txt, test: test.txt}       clip names, one a line
        NAME: {column: COLUMN}                         cells train, test, or nothing for neither
        NAME: {folds: K, seed: 0}                      NAME_1 ... NAME_K: stratified by label; with group: COLUMN, whole groups
        NAME: {leave_one_out: COLUMN}                  NAME_VALUE for each value: tested on it, trained on the others

    Raises:
        InputError: none of these, or it names a clip, a column or a value that is not there.
    """
    out: dict[str, np.ndarray] = {}
    for name, fields in described.items():
        place = f"{table.file}: splits.{name}"
        kinds = [kind for kind in KINDS if isinstance(fields, dict) and kind in fields]
        if len(kinds) != 1:
            raise InputError(f"{place}: expected a mapping with one of {', '.join(KINDS)}")
        make, options = KINDS[kinds[0]]
        if unknown := sorted(set(map(str, fields)) - {kinds[0], *options}):
            raise InputError(f"{place}.{unknown[0]}: unknown field, expected {', '.join((kinds[0], *options))}")
        out |= {f"{name}{ending}": parts for ending, parts in make(place, fields, table).items()}
    return out


def _listed(place: str, fields: Mapping[str, Any], table: Table) -> dict[str, Parts]:
    train = _chosen(f"{place}.train", fields["train"], table)
    test = _chosen(f"{place}.test", fields["test"], table) if "test" in fields else ~train
    if (both := train & test).any():
        raise InputError(f"{place}: {table.clips['name'][both][0]} is in train and in test")
    return {"": np.where(train, 1, np.where(test, 0, -1))}


def _chosen(place: str, what: Any, table: Table) -> np.ndarray:
    """Where the clips are that a list names, or that have given values in columns."""
    if isinstance(what, str):
        return _in_list(table.file.parent / what, table)
    if not isinstance(what, dict) or not what:
        raise InputError(f"{place}: found {what!r}, expected a file with clip names, or column: [values]")
    inside = np.ones(len(table.rows), bool)
    for column, values in what.items():
        cells = table.column(place, column)
        wanted = [str(value) for value in (values if isinstance(values, list) else [values])]
        if unknown := [value for value in wanted if value not in cells]:
            raise InputError(f"{place}.{column}: found {unknown[0]!r}, which no clip has")
        inside &= np.isin(cells, wanted)
    return inside


def _in_list(path: Path, table: Table) -> np.ndarray:
    lines = read_text_file(path).decode("utf-8", "replace").splitlines()
    names = [(number, line.strip().removesuffix(".npy")) for number, line in enumerate(lines, 1) if line.strip()]
    if unknown := next(((number, name) for number, name in names if name not in table.known), None):
        raise InputError(
            f"{path}: line {unknown[0]}: found {unknown[1][:60]!r}, which is none of the {len(table.known)} clips"
        )
    return np.isin(table.clips["name"], [name for _, name in names])


def _column(place: str, fields: Mapping[str, Any], table: Table) -> dict[str, Parts]:
    cells = table.column(f"{place}.column", fields["column"])
    if len(unknown := cells[~np.isin(cells, ["train", "test", ""])]):
        raise InputError(f"{place}.column: found {str(unknown[0])!r} for a clip, expected train, test or nothing")
    return {"": np.where(cells == "train", 1, np.where(cells == "test", 0, -1))}


def _folds(place: str, fields: Mapping[str, Any], table: Table) -> dict[str, Parts]:
    folds, seed, clips = fields["folds"], fields.get("seed", 0), len(table.rows)
    if type(folds) is not int or not 2 <= folds <= clips:
        raise InputError(f"{place}.folds: found {folds!r}, expected a number from 2 to the {clips} clips")
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise InputError(f"{place}.seed: found {seed!r}, expected a number from 0")
    members = _members(place, fields, table, folds)
    label = table.clips["label"]
    # As many clips of each class in every fold, where there are enough and no groups to keep together.
    even = "group" not in fields and np.unique(label, return_counts=True)[1].min() >= folds
    splitter = (StratifiedKFold if even else KFold)(folds, shuffle=True, random_state=seed)
    out = {}
    for i, (_, test) in enumerate(splitter.split(np.zeros(len(members)), label if even else None), 1):
        parts = np.ones(clips, np.int64)
        parts[np.concatenate([members[m] for m in test])] = 0
        out[f"_{i}"] = parts
    return out


def _members(place: str, fields: Mapping[str, Any], table: Table, folds: int) -> list[np.ndarray]:
    """What folds are drawn from: each the positions of its clips, one clip, or all of a group."""
    if "group" not in fields:
        return list(np.arange(len(table.rows))[:, None])
    cells = table.column(f"{place}.group", fields["group"])
    members = [np.flatnonzero(cells == value) for value in np.unique(cells)]
    if len(members) < folds:
        raise InputError(f"{place}.group: found {len(members)} groups, expected at least the {folds} folds")
    return members


def _leave_one_out(place: str, fields: Mapping[str, Any], table: Table) -> dict[str, Parts]:
    cells = table.column(f"{place}.leave_one_out", fields["leave_one_out"])
    values = [str(value) for value in np.unique(cells)]
    if len(values) < 2:
        raise InputError(f"{place}.leave_one_out: found one value, {values[0]!r}, expected at least two to leave one out")
    return {f"_{value or 'unknown'}": (cells != value).astype(np.int64) for value in values}


Maker = Callable[[str, Mapping[str, Any], Table], dict[str, Parts]]
KINDS: dict[str, tuple[Maker, tuple[str, ...]]] = {
    "train": (_listed, ("test",)),
    "column": (_column, ()),
    "folds": (_folds, ("seed", "group")),
    "leave_one_out": (_leave_one_out, ()),
}
