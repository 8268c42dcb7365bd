"""What a pickle says, without doing anything it asks for: containers and numbers now, arrays when they are wanted."""

from __future__ import annotations

import math
import os
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from masksem_graph.data.source import CLIP_BYTES
from masksem_graph.errors import InputError

SMALL = 1024
"""Strings of more bytes stay in the file; names are shorter, arrays longer."""
LINE, LONG = 65536, 255
"""Longest line of text and longest number, in bytes."""
NUMBERS = "biuf"


@dataclass(frozen=True)
class Payload:
    """Bytes that lie in the file.

    Args:
        offset, length: where.
        text: they are UTF-8 text whose characters are the bytes meant, as protocol 2 writes bytes.
    """

    offset: int
    length: int
    text: bool = False


@dataclass
class StoredArray:
    """An array of numbers inside a pickle.

    Args:
        shape, dtype: of the array.
        data: its bytes, or where they lie.
        fortran: columns are stored first.
    """

    shape: tuple[int, ...] = (0,)
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float32))
    data: Payload | bytes = b""
    fortran: bool = False

    def build(self, state: tuple[Any, ...]) -> None:
        """Take on what numpy's own ``__setstate__`` is given: version, shape, dtype, order, bytes."""
        _, shape, dtype, fortran, data = state
        known = _stored(data, dtype, shape, fortran)
        self.shape, self.dtype, self.data, self.fortran = known.shape, known.dtype, known.data, known.fortran

    def load(self, path: Path) -> np.ndarray:
        """Read it from the file that it was found in.

        Raises:
            InputError: its size and its shape do not agree, or it is larger than a clip may be.
        """
        wanted = math.prod(self.shape) * self.dtype.itemsize
        if wanted > CLIP_BYTES:
            raise InputError(f"found an array of shape {list(self.shape)}, expected at most {CLIP_BYTES >> 20} MiB")
        data = self._bytes(path)
        if len(data) != wanted:
            raise InputError(f"found {len(data)} bytes for an array of shape {list(self.shape)}, expected {wanted}")
        return np.frombuffer(data, self.dtype).reshape(self.shape, order="F" if self.fortran else "C")

    def _bytes(self, path: Path) -> bytes:
        if isinstance(self.data, bytes):
            return self.data
        # Two bytes of UTF-8 at most are one byte of data.
        if self.data.length > 2 * CLIP_BYTES:
            raise InputError(f"found {self.data.length:,} bytes, expected at most {CLIP_BYTES >> 20} MiB")
        try:
            with path.open("rb") as file:
                file.seek(self.data.offset)
                data = file.read(self.data.length)
            return data.decode().encode("latin-1") if self.data.text else data
        except (OSError, UnicodeError) as error:
            raise InputError(f"damaged array: {' '.join(str(error).split())}") from None


def read_pickle(path: Path) -> Any:
    """The containers, strings and numbers of a pickle; arrays as `StoredArray`.

    Nothing that the file names is imported or called: a handful of names that numpy's arrays are made of stand for functions
    of this module, every other one is an error. Memory is a fraction of the file's size: arrays are left where they lie.

    Raises:
        InputError: it names anything else, or is damaged.
    """
    try:
        with path.open("rb") as file:
            return _Machine(_Bounded(file)).load()
    except _Refused as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    # Whatever a damaged stream makes of the stack ends in one of the many errors of Python's own types.
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not a whole pickle: {reason or type(error).__name__}") from None


def shown(value: Any) -> str:
    """A value for a message: never long, never deep."""
    if isinstance(value, str):
        return repr(value[:60])
    return repr(value)[:60] if value is None or isinstance(value, bool | int | float) else f"a {type(value).__name__}"


class _Refused(Exception):
    """The pickle wants something that is no data."""


class _Bounded:
    """A file that never gives, nor makes room for, more than it has."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size = file, os.fstat(file.fileno()).st_size

    def read(self, count: int) -> bytes:
        if count > self.size - self.file.tell():
            raise EOFError(f"the file ends before the {count} bytes that it promises at byte {self.file.tell()}")
        return self.file.read(count)

    def readline(self) -> bytes:
        line = self.file.readline(LINE)
        if not line.endswith(b"\n"):
            raise _Refused("found a text line without an end; expected protocol 2 or later")
        return line

    def skip(self, count: int) -> int:
        """Leave bytes unread; returns where they begin."""
        start = self.file.tell()
        if count > self.size - start:
            raise EOFError(f"the file ends before the {count} bytes that it promises at byte {start}")
        self.file.seek(count, os.SEEK_CUR)
        return start


class _Dtype:
    """A dtype while it is put together."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or len(code) > 8 or np.dtype(code).kind not in NUMBERS:
            raise _Refused(f"found an array of {shown(code)}, expected numbers")
        self.dtype = np.dtype(code)

    def build(self, state: tuple[Any, ...]) -> None:
        """Take on the byte order, the one thing in a dtype's state that a number has."""
        if state[1] in ("<", ">", "="):
            self.dtype = self.dtype.newbyteorder(state[1])


def _stored(data: Any, dtype: Any, shape: Any, fortran: Any) -> StoredArray:
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise _Refused(f"found an array of shape {shown(shape)}, expected whole numbers")
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray | Payload):
        raise _Refused("found an array of something else than numbers")
    return StoredArray(shape, dtype.dtype, bytes(data) if isinstance(data, bytearray) else data, bool(fortran))


def _reconstruct(*_: Any) -> StoredArray:
    return StoredArray()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> StoredArray:
    return _stored(data, dtype, shape, order == "F")


def _encode(text: Any, encoding: Any = "") -> Any:
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"found _codecs.encode to {shown(encoding)}, expected latin1")
    return Payload(text.offset, text.length, text=True) if isinstance(text, Payload) else text.encode("latin-1")


def _scalar(dtype: Any, data: Any) -> int | float:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
        raise _Refused("found a numpy scalar of something else than a number")
    return np.frombuffer(data, dtype.dtype, count=1)[0].item()


KNOWN: dict[tuple[str, str], Callable[..., Any] | None] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): None,  # named as an argument only, and of no use otherwise
    ("_codecs", "encode"): _encode,
}
for core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    KNOWN[f"{core}.multiarray", "_reconstruct"] = _reconstruct
    KNOWN[f"{core}.multiarray", "scalar"] = _scalar
    KNOWN[f"{core}.numeric", "_frombuffer"] = _from_buffer


# The unpickler in C makes room for whatever index a damaged stream names; the one in Python does not.
_PythonUnpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Machine(_PythonUnpickler):
    """Python's own unpickler, with every opcode that imports, calls or takes memory replaced."""

    dispatch: ClassVar[dict[int, Any]] = dict(_PythonUnpickler.dispatch)

    def __init__(self, file: _Bounded) -> None:
        super().__init__(file)
        self.file = file

    def find_class(self, module: str, name: str) -> Callable[..., Any] | None:
        if (module, name) not in KNOWN:
            wanted = shown(f"{module}.{name}")
            raise _Refused(f"refused: it wants {wanted} to run, expected arrays, numbers and text only")
        return KNOWN[module, name]

    def get_extension(self, code: int) -> None:
        raise _Refused("refused: it names an extension of the pickle format")

    def load_frame(self) -> None:
        # A frame only says how much to buffer; without it, positions are the file's.
        self.file.read(8)

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.stack[-1](*arguments)

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Dtype | StoredArray):
            raise _Refused("refused: it wants to change an object that is no array")
        self.stack[-1].build(state)

    def load_refused(self) -> None:
        raise _Refused("refused: it wants to make an object that is no array")

    def load_long4(self) -> None:
        (length,) = struct.unpack("<i", self.file.read(4))
        if not 0 <= length <= LONG:
            raise _Refused(f"found a number of {length} bytes, expected at most {LONG}")
        self.append(int.from_bytes(self.file.read(length), "little", signed=True))

    def _text(self, length: int) -> None:
        if length <= SMALL:
            self.append(str(self.file.read(length), "utf-8", "surrogatepass"))
        else:
            self.append(Payload(self.file.skip(length), length))

    def _bytes(self, length: int) -> None:
        self.append(self.file.read(length) if length <= SMALL else Payload(self.file.skip(length), length))

    def load_text4(self) -> None:
        self._text(struct.unpack("<I", self.file.read(4))[0])

    def load_text8(self) -> None:
        self._text(struct.unpack("<Q", self.file.read(8))[0])

    def load_bytes4(self) -> None:
        self._bytes(struct.unpack("<I", self.file.read(4))[0])

    def load_bytes8(self) -> None:
        self._bytes(struct.unpack("<Q", self.file.read(8))[0])

    dispatch |= {
        pickle.FRAME[0]: load_frame,
        pickle.REDUCE[0]: load_reduce,
        pickle.BUILD[0]: load_build,
        pickle.LONG4[0]: load_long4,
        pickle.BINUNICODE[0]: load_text4,
        pickle.BINUNICODE8[0]: load_text8,
        pickle.BINBYTES[0]: load_bytes4,
        pickle.BINBYTES8[0]: load_bytes8,
        pickle.BYTEARRAY8[0]: load_bytes8,
        pickle.INST[0]: load_refused,
        pickle.OBJ[0]: load_refused,
        pickle.NEWOBJ[0]: load_refused,
        pickle.NEWOBJ_EX[0]: load_refused,
    }
