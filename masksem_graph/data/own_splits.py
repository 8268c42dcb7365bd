"""The splits that somebody describes for their own clips: lists, groups, a column, folds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from sklearn.model_selection import KFold, StratifiedKFold

from masksem_graph.data.source import read_lines
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError, shown
from masksem_graph.plain_yaml import read_yaml

Parts = Int64[np.ndarray, " clips"]
"""1 for the training set, 0 for the test set, -1 for neither."""


@dataclass(frozen=True)
class Table:
    """What splits are made of.

    Args:
        file: the description that they stand in; lists lie beside it.
        clips: ``name`` and ``label`` of each clip.
        known: the lines of the table, name -> column -> cell; also of clips that could not be read.
    """

    file: Path
    clips: Mapping[str, np.ndarray]
    known: Mapping[str, Mapping[str, str]]

    def __len__(self) -> int:
        return len(self.clips["name"])

    def column(self, place: str, name: Any) -> np.ndarray:
        """The clips' cells in a column; raises `InputError` where there is no such column."""
        columns = next(iter(self.known.values()))
        if not isinstance(name, str) or name not in columns:
            raise InputError(f"{place}: found {name!r}, expected a column of the table: {', '.join(columns)}")
        return np.array([self.known[str(clip)][name] for clip in self.clips["name"]])


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


def splits_of_file(path: Path, store: Store) -> dict[str, dict[str, Parts]]:
    """The splits that a YAML file describes for a store of any format, as `Store.splits` has them.

    Columns to split by are ``label``, ``subject``, ``camera`` and ``setup``.

    Raises:
        InputError: as `own_splits`, or the file cannot be read, or has a name that the store has already.
    """
    described = read_yaml(path, as_text=True)
    if not isinstance(described, dict) or not described:
        raise InputError(f"{path}: expected name: split, as docs/data.md has them, found {shown(described)}")
    if twice := [name for name in described if name in store.splits]:
        raise InputError(f"{path}: {twice[0]}: is a split of {store.path} already; expected another name")
    columns = {"label": [store.classes[i] if i >= 0 else "" for i in store.label]}
    columns |= {name: [str(i) for i in getattr(store, name)] for name in ("subject", "camera", "setup")}
    known = {str(name): {column: cells[i] for column, cells in columns.items()} for i, name in enumerate(store.name)}
    found = own_splits(described, Table(path, {"name": store.name, "label": store.label}, known))
    return {name: {"train": np.flatnonzero(one == 1), "test": np.flatnonzero(one == 0)} for name, one in found.items()}


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
    inside = np.ones(len(table), bool)
    for column, values in what.items():
        cells = table.column(place, column)
        wanted = [str(value) for value in (values if isinstance(values, list) else [values])]
        if unknown := sorted(set(wanted) - {line[column] for line in table.known.values()}):
            raise InputError(f"{place}.{column}: found {unknown[0]!r}, which no clip has")
        inside &= np.isin(cells, wanted)
    return inside


def _in_list(path: Path, table: Table) -> np.ndarray:
    names = []
    for number, line in read_lines(path):
        name = line if line in table.known else line.rpartition(".")[0] or line
        if name and name not in table.known:
            raise InputError(f"{path}: line {number}: found {name[:60]!r}, which is none of the {len(table.known)} clips")
        names.append(name)
    return np.isin(table.clips["name"], names)


def _column(place: str, fields: Mapping[str, Any], table: Table) -> dict[str, Parts]:
    cells = table.column(f"{place}.column", fields["column"])
    if len(unknown := cells[~np.isin(cells, ["train", "test", ""])]):
        raise InputError(f"{place}.column: found {str(unknown[0])!r} for a clip, expected train, test or nothing")
    return {"": np.where(cells == "train", 1, np.where(cells == "test", 0, -1))}


def _folds(place: str, fields: Mapping[str, Any], table: Table) -> dict[str, Parts]:
    clips, label = len(table), table.clips["label"]
    folds = _whole(f"{place}.folds", fields["folds"], 2, clips, f"a number from 2 to the {clips} clips")
    seed = _whole(f"{place}.seed", fields.get("seed", 0), 0, 2**32 - 1, "a number from 0")
    cells = table.column(f"{place}.group", fields["group"]) if "group" in fields else np.arange(clips)
    found, group = np.unique(cells, return_inverse=True)
    if len(found) < folds:
        raise InputError(f"{place}.group: found {len(found)} groups, expected at least the {folds} folds")
    # As many clips of each class in every fold, where there are enough and no groups to keep together.
    even = "group" not in fields and np.unique(label, return_counts=True)[1].min() >= folds
    splitter = (StratifiedKFold if even else KFold)(folds, shuffle=True, random_state=seed)
    tested = [test for _, test in splitter.split(np.zeros(len(found)), label if even else None)]
    return {f"_{i}": np.where(np.isin(group, test), 0, 1) for i, test in enumerate(tested, 1)}


def _whole(place: str, value: Any, least: int, most: int, expected: str) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 11 and least <= int(text) <= most):
        raise InputError(f"{place}: found {shown(value)}, expected {expected}")
    return int(text)


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
