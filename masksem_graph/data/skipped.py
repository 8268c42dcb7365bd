"""The list of clips that are not in a store, beside the stores of a folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from masksem_graph.errors import InputError
from masksem_graph.files import locked, write_beside

SKIPPED = "skipped.csv"
"""Lies beside the stores and lists the clips that are in none of them, and why."""

COLUMNS = ("file", "error", "store")


def check_skipped(store: Path) -> None:
    """Refuse, before any work, to write over somebody's own list.

    Raises:
        InputError: there is a file of the list's name that is none.
    """
    _rows_of_others(store)


def write_skipped(store: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """Put a store's skipped clips in the place of those of its last writing; other stores' lines stay.

    Args:
        store: the store's folder; the list lies beside it.
        skipped: place and error of each clip.

    Raises:
        InputError: there is a file of the list's name that is none, or the disk is full.
    """
    path = store.with_name(SKIPPED)
    if not skipped and not path.is_file():
        return
    with locked(path, wait=True):
        rows = [*_rows_of_others(store), *((place, error, store.name) for place, error in skipped)]
        if not rows:
            path.unlink()
            return
        try:
            with (
                write_beside(path) as partial,
                partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
            ):
                csv.writer(file).writerows([COLUMNS, *rows])
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _rows_of_others(store: Path) -> list[Sequence[str]]:
    path = store.with_name(SKIPPED)
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.reader(file))
    except csv.Error:
        rows = []
    if not rows or tuple(rows[0]) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise InputError(
            f"{path}: is there and is no list of skipped clips, expected a folder without such a file for the store"
        )
    return [row for row in rows[1:] if row[2] != store.name]
