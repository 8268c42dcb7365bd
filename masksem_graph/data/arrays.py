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
from jaxtyping import Float32

from masksem_graph.data.source import CLIP_BYTES, ZIP_ERRORS, reason, zip_names
from masksem_graph.errors import InputError
from masksem_graph.files import require_regular

NPY_ERRORS = (ValueError, TypeError, EOFError, SyntaxError, tokenize.TokenError, OverflowError, MemoryError, OSError)
"""All that numpy raises over a damaged header, which it reads as Python."""


def map_npy(path: Path) -> np.ndarray:
    """A .npy file as a read-only memory map; one that is damaged, shorter than its header says, or of objects is refused."""
    try:
        require_regular(path)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except NPY_ERRORS as error:
        raise InputError(f"{path}: not a readable .npy array: {reason(error)}") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: not a readable .npy array: found an archive")
    return array


def as_float32(place: str, values: np.ndarray) -> Float32[np.ndarray, "..."]:
    """Numbers of any type as coordinates. NaN stays, infinity is refused at its index behind ``place``."""
    with np.errstate(over="ignore"):
        out = np.array(values, np.float32)
    if np.isinf(out).any():
        at = np.argwhere(np.isinf(out))[0].tolist()
        raise InputError(f"{place}{at}: found {values[tuple(at)]}, expected a finite number, or NaN")
    return out


class GrowingArray:
    """A .npy file of rows of one shape that grows; its header, of constant size, is completed when it closes."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape = path, np.dtype(dtype), (0, *shape)

    def __enter__(self) -> GrowingArray:
        self.file: BinaryIO = self.path.open("wb")
        self._write_header()
        return self

    def __exit__(self, *_: object) -> None:
        with self.file:
            self.file.seek(0, os.SEEK_SET)
            self._write_header()

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        self.shape = (self.shape[0] + len(rows), *rows.shape[1:])
        self.file.write(np.ascontiguousarray(rows, self.dtype).data)

    def _write_header(self) -> None:
        # numpy leaves room in it for a first axis of any length.
        header = io.BytesIO()
        fields = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(header, fields)
        self.file.write(header.getvalue())


class NpzRows:
    """An array of an .npz file, read row by row, forwards at the cost of reading it once.

    Raises:
        InputError: no such array, one of objects, damaged, or larger by its header than what the file holds.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.place = f"{path}: {name}"
        try:
            require_regular(path)
            archive = zipfile.ZipFile(path)
            member = archive.getinfo(f"{name}.npy")
            self._stream = cast(zipfile.ZipExtFile, archive.open(member))
            self.shape, fortran, self.dtype = _header(self._stream)
            self._start = self._stream.tell()
        except (*ZIP_ERRORS, *NPY_ERRORS) as error:
            raise InputError(f"{self.place}: not a readable array of an .npz: {reason(error)}") from None
        self._row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        promised, there = self.shape[0] * self._row_bytes, member.file_size - self._start
        if self.dtype.kind not in "fiub":
            raise InputError(f"{self.place}: found an array of {self.dtype}, expected numbers")
        if fortran:
            raise InputError(f"{self.place}: found columns stored first, expected rows; see np.ascontiguousarray")
        if promised != there:
            found = f"shape {list(self.shape)} of {self.dtype} over {there:,} bytes"
            raise InputError(f"{self.place}: damaged: found {found}, expected {promised:,}")
        if self._row_bytes > CLIP_BYTES:
            raise InputError(f"{self.place}: found rows of {self._row_bytes:,} bytes, expected at most {CLIP_BYTES:,}")

    def __getitem__(self, i: int) -> np.ndarray:
        return self._read(i, 1)[0]

    def whole(self) -> np.ndarray:
        """The array, which has to be no larger than a clip may be."""
        if (size := self.shape[0] * self._row_bytes) > CLIP_BYTES:
            raise InputError(f"{self.place}: found {size:,} bytes, expected at most {CLIP_BYTES:,}")
        return self._read(0, self.shape[0])

    def _read(self, first: int, count: int) -> np.ndarray:
        try:
            self._stream.seek(self._start + first * self._row_bytes)
            data = self._stream.read(count * self._row_bytes)
            return np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])
        except ZIP_ERRORS as error:
            raise InputError(f"{self.place}[{first}]: damaged: {reason(error)}") from None


def npz_names(path: Path) -> list[str]:
    """The names of the arrays in an .npz."""
    return [name.removesuffix(".npy") for name in zip_names(path)]


def _header(stream: zipfile.ZipExtFile) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the .npy format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if not shape or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"shape {shape}")
    return shape, fortran, dtype
