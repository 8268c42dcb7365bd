"""Files that grow while a store is written, and that a later process can go on with."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from masksem_graph.files import write_beside


class GrowingArray:
    """A .npy file whose first axis grows by appending; its header, of constant size, is completed when it closes.

    Args:
        path: the file.
        dtype: of its elements.
        shape: what of an existing file to keep; the rest is cut off. ``(0, ...)`` starts anew.
    """

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape = path, np.dtype(dtype), shape

    def __enter__(self) -> GrowingArray:
        self.file: BinaryIO = self.path.open("r+b" if self.shape[0] else "wb")
        self.file.truncate(HEADER + int(np.prod(self.shape)) * self.dtype.itemsize)
        self.file.seek(0, os.SEEK_END)
        return self

    def __exit__(self, *_: object) -> None:
        with self.file:
            self.file.seek(0)
            self.file.write(_header(self.dtype, self.shape))

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        self.shape = (self.shape[0] + len(rows), *rows.shape[1:])
        self.file.write(np.ascontiguousarray(rows, self.dtype).data)

    def sync(self) -> None:
        """Make sure that all rows are on disk."""
        self.file.flush()
        os.fsync(self.file.fileno())


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return header.getvalue()


HEADER = len(_header(np.dtype("<f4"), (0, 0, 0)))
"""Bytes before an array's first element; numpy leaves room for a first axis of any length."""


class Journal:
    """What was done, a line each, written only after what it speaks of is on disk.

    Args:
        path: the file; written anew, with the entries that are known already.
        key: of what is done; the first line.
        entries: those known already.
    """

    def __init__(self, path: Path, key: str, entries: Sequence[dict[str, Any]]) -> None:
        self.path = path
        self._waiting: list[bytes] = []
        with write_beside(path) as partial:
            partial.write_bytes(b"".join(map(_line, [{"key": key}, *entries])))

    def append(self, entry: dict[str, Any]) -> None:
        """Note an entry, to be written by the next `commit`."""
        self._waiting.append(_line(entry))

    def commit(self) -> None:
        """Write the noted entries."""
        with self.path.open("ab") as file:
            file.write(b"".join(self._waiting))
            file.flush()
            os.fsync(file.fileno())
        self._waiting.clear()


def read_journal(path: Path, key: str) -> list[dict[str, Any]] | None:
    """The entries of a journal up to where it was cut off; None where there is none of this key."""
    if not path.is_file():
        return None
    entries = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    return entries[1:] if entries and entries[0] == {"key": key} else None


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"
