"""Arrays in .npy and .npz files, whose headers are not believed and whose objects are not loaded."""

from __future__ import annotations

import io
import math
import os
import tokenize
import zipfile
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from masksem_graph.data.source import CLIP_BYTES, ZIP_ERRORS
from masksem_graph.errors import InputError
from masksem_graph.files import require_regular

NPY_ERRORS = (ValueError, TypeError, EOFError, SyntaxError, tokenize.TokenError, OverflowError, MemoryError, OSError)
"""All that numpy raises over a damaged header, which it reads as Python."""


def map_npy(path: Path) -> np.ndarray:
    """A .npy file as a read-only memory map: nothing is read, and what the header promises is held against the file's size.

    Raises:
        InputError: it is missing, damaged, shorter than its header says, or holds objects; the line lacks the way out, which
            the caller adds.
    """
    try:
        require_regular(path)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except NPY_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(f"{path}: not a readable .npy array: {reason or ' '.join(str(error).split())}") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: not a readable .npy array: found an archive")
    return array


class GrowingArray:
    """A .npy file that grows along its first axis; its header, of constant size, is completed when it closes.

    Args:
        path: the file, written anew.
        dtype: of its elements.
        shape: of one row.
    """

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape = path, np.dtype(dtype), (0, *shape)

    def __enter__(self) -> GrowingArray:
        self.file: BinaryIO = self.path.open("wb")
        self.file.write(_npy_header(self.dtype, self.shape))
        return self

    def __exit__(self, *_: object) -> None:
        with self.file:
            self.file.seek(0, os.SEEK_SET)
            self.file.write(_npy_header(self.dtype, self.shape))

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        self.shape = (self.shape[0] + len(rows), *rows.shape[1:])
        self.file.write(np.ascontiguousarray(rows, self.dtype).data)


def _npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    # numpy leaves room in it for a first axis of any length.
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return header.getvalue()


class NpzRows:
    """An array of an .npz file, read row by row, forwards at the cost of reading it once.

    Args:
        path: the file.
        name: the array's name.

    Attributes:
        shape: of the whole array, from its header.
        dtype: of numbers; anything else is refused, unread.

    Raises:
        InputError: no such array, one of objects, damaged, or larger by its header than what the file holds.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        try:
            require_regular(path)
            archive = zipfile.ZipFile(path)
            member = archive.getinfo(f"{name}.npy")
            self._stream = cast(zipfile.ZipExtFile, archive.open(member))
            self.shape, fortran, self.dtype = _header(self._stream)
            self._start = self._stream.tell()
        except (*ZIP_ERRORS, *NPY_ERRORS) as error:
            raise self._fault(error) from None
        if self.dtype.kind not in "fiub":
            raise InputError(f"{path}: {name}: found an array of {self.dtype}, expected numbers")
        if fortran:
            raise InputError(f"{path}: {name}: found columns stored first, expected rows; see np.ascontiguousarray")
        if self.nbytes != member.file_size - self._start:
            found = f"shape {list(self.shape)} of {self.dtype} over {member.file_size - self._start:,} bytes"
            raise InputError(f"{path}: {name}: damaged: found {found}, expected {self.nbytes:,}")
        if self.row_bytes > CLIP_BYTES:
            raise InputError(f"{path}: {name}: found rows of {self.row_bytes:,} bytes, expected at most {CLIP_BYTES:,}")

    @property
    def nbytes(self) -> int:
        """Of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def row_bytes(self) -> int:
        """Of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def __getitem__(self, i: int) -> np.ndarray:
        """Row i, a fresh array.

        Raises:
            InputError: the file is cut off or damaged here.
        """
        return self._read(i, 1)[0]

    def whole(self) -> np.ndarray:
        """The array, where it is small.

        Raises:
            InputError: it is damaged, or larger than a clip may be.
        """
        if self.nbytes > CLIP_BYTES:
            raise InputError(f"{self.path}: {self.name}: found {self.nbytes:,} bytes, expected at most {CLIP_BYTES:,}")
        return self._read(0, self.shape[0])

    def _read(self, first: int, count: int) -> np.ndarray:
        wanted = count * self.row_bytes
        try:
            self._stream.seek(self._start + first * self.row_bytes)
            data = self._stream.read(wanted)
        except ZIP_ERRORS as error:
            raise self._fault(error) from None
        if len(data) != wanted:
            raise InputError(f"{self.path}: {self.name}[{first}]: damaged: the file ends here")
        return np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])

    def _fault(self, error: Exception) -> InputError:
        return InputError(f"{self.path}: {self.name}: not a readable array of an .npz: {' '.join(str(error).split())}")


def npz_names(path: Path) -> list[str]:
    """The names of the arrays in an .npz.

    Raises:
        InputError: not an .npz.
    """
    try:
        require_regular(path)
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except ZIP_ERRORS as error:
        raise InputError(f"{path}: not a readable .npz: {' '.join(str(error).split())}") from None


def _header(stream: zipfile.ZipExtFile) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the .npy format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if not shape or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"shape {shape}")
    return shape, fortran, dtype
