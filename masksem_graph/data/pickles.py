"""Pickles of arrays, numbers, text and containers. Nothing that a pickle names is imported, and nothing in it is run."""

import math
import os
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from masksem_graph.data.source import CLIP_BYTES, reason
from masksem_graph.errors import InputError, shown
from masksem_graph.files import require_regular

PICKLE_BYTES = 16 * 2**30  # NTU RGB+D 120 takes about 2 GB


def read_pickle(path: Path) -> Any:
    """What a pickle holds, arrays as `PickledArray`. It is read into memory whole.

    ``Unpickler.find_class`` is the documented way to say what a pickle may name
    (https://docs.python.org/3/library/pickle.html#restricting-globals). Here it gives functions of this module for the few
    names that numpy's arrays are made of, and an error for every other name.

    Raises:
        InputError: the pickle names anything else, is damaged, or holds an array that is not of numbers.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            bounded = _Bounded(file)
            _check_memo(bounded)
            file.seek(0)
            return _ArrayUnpickler(bounded).load()
    except _Refused as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from None
    # A damaged stream ends in one of the many errors of Python's own types.
    except Exception as error:
        raise InputError(f"{path}: not a whole pickle: {reason(error)}") from None


class _Refused(Exception):
    """The pickle holds something that is no data."""


class _Bounded:
    """A file that never makes room for more than it has, whatever length a pickle claims."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size = file, os.fstat(file.fileno()).st_size
        self.readline, self.tell = file.readline, file.tell
        if self.size > PICKLE_BYTES:
            raise _Refused(f"found {self.size:,} bytes, expected at most {PICKLE_BYTES >> 30} GiB")

    def read(self, count: int) -> bytes:
        if count > self.size - self.tell():
            raise EOFError(f"the file ends before the {count} bytes that it promises at byte {self.tell()}")
        return self.file.read(count)


def _check_memo(file: _Bounded) -> None:
    """The unpickler makes room for whatever index a pickle remembers a value under; a pickler counts them up."""
    remembered = 0
    for opcode, index, _ in pickletools.genops(file):  # type: ignore[arg-type]
        if opcode.name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            remembered += 1
            if index is not None and index > 2 * remembered + 255:
                raise _Refused(f"damaged: it remembers value {remembered} under the index {index}")


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) not in ALLOWED:
            raise _Refused(f"refused: it wants {shown(f'{module}.{name}')} to run, expected arrays, numbers and text only")
        # A function of its own for each use: a pickle can set the attributes of what it is given.
        return lambda *arguments: ALLOWED[module, name](*arguments)

    def persistent_load(self, pid: Any) -> None:
        raise _Refused("refused: it names an object outside of the file")


class _Number:
    """The type of numbers, while a pickle puts it together. numpy's own would believe everything that it is told."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or len(code) > 8 or np.dtype(code).kind not in "biuf":
            raise _Refused(f"found an array of {shown(code)}, expected numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """An array in a pickle: ``values``, read-only; empty where the pickle never says what is in it."""

    def __init__(self, values: np.ndarray | None = None) -> None:
        self.values = np.zeros(0, np.float32) if values is None else values

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, number, fortran, data = state
        self.values = _values(data, number, shape, "F" if fortran else "C")


def _values(data: Any, number: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(number, _Number) or not isinstance(data, bytes | bytearray):
        raise _Refused("found an array of something else than numbers")
    if not isinstance(shape, tuple) or len(shape) > 16 or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise _Refused(f"found an array of shape {shown(shape)}, expected whole numbers")
    wanted, found = math.prod(shape) * number.dtype.itemsize, len(data)
    if wanted != found or wanted > CLIP_BYTES:
        expected = f"{wanted:,}, at most {CLIP_BYTES:,}"
        raise _Refused(f"found {found:,} bytes for an array of shape {list(shape)}, expected {expected}")
    values = np.frombuffer(data, number.dtype).reshape(shape, order="F" if order == "F" else "C")
    values.flags.writeable = False
    return values


def _scalar(number: Any, data: Any) -> int | float:
    return _values(data, number, (1,), "C")[0].item()


def _encode(text: Any, encoding: Any = "") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"found _codecs.encode to {shown(encoding)}, expected latin1")
    return text.encode("latin-1")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Number,
    ("numpy", "ndarray"): lambda *_: None,  # named as an argument of _reconstruct
    ("_codecs", "encode"): _encode,  # how protocols before 3 write bytes
}
for core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    ALLOWED[f"{core}.multiarray", "_reconstruct"] = lambda *_: PickledArray()
    ALLOWED[f"{core}.multiarray", "scalar"] = _scalar
    ALLOWED[f"{core}.numeric", "_frombuffer"] = lambda *of: PickledArray(_values(*of))
