"""Numbers in a MATLAB file (version 5 to 7.2), read by bounds: scipy's own reader can crash the process on a damaged one."""

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np

LARGEST = 2**24  # bytes of one variable
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Type of an element -> of its numbers (MATLAB, MAT-File Format, table 1-1)."""
MATRIX, COMPRESSED, COMPLEX = 14, 15, 0x0800
NUMERIC = range(6, 16)  # classes of arrays: double to uint64


def read_numbers(content: bytes, name: str) -> np.ndarray | None:
    """The array of numbers of that name; None where there is none.

    Raises:
        ValueError: damaged, of another version, or the variable is no real array of numbers.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or content[124:126] not in (b"\x00\x01", b"\x01\x00"):
        raise ValueError("no MATLAB file of version 5 to 7.2")
    for kind, data in _elements(content[128:], order, padded=False):
        if kind == COMPRESSED:
            unpack = zlib.decompressobj()
            try:
                inside = unpack.decompress(data, LARGEST)
            except zlib.error:
                raise ValueError("a variable cannot be decompressed") from None
            if unpack.unconsumed_tail:
                raise ValueError(f"a variable of more than {LARGEST:,} bytes")
            kind, data = next(_elements(inside, order), (0, b""))
        if kind == MATRIX and (found := _array(data, order, name)) is not None:
            return found
    return None


def _elements(content: bytes, order: str, *, padded: bool = True) -> Iterator[tuple[int, bytes]]:
    """The type and the bytes of each element; small ones hold their bytes in their tag."""
    place = 0
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        if kind >> 16:
            kind, size, start, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
            if size > 4:
                raise ValueError("a small element of more than 4 bytes")
        else:
            start = place + 8
            # A compressed element is not padded.
            end = start + size + (-size % 8 if padded or kind != COMPRESSED else 0)
        if start + size > len(content):
            raise ValueError("cut short")
        yield kind, content[start : start + size]
        place = end


def _array(data: bytes, order: str, name: str) -> np.ndarray | None:
    parts = _elements(data, order)
    (_, flags), (_, lengths), (_, own) = (next(parts, (0, b"")) for _ in range(3))
    if own != name.encode():
        return None
    if len(flags) != 8 or len(lengths) % 4:
        raise ValueError(f"{name}: damaged")
    (about,) = struct.unpack(f"{order}I", flags[:4])
    kind, values = next(parts, (0, b""))
    if about & 0xFF not in NUMERIC or about & COMPLEX or kind not in NUMBERS:
        raise ValueError(f"{name}: expected an array of real numbers")
    shape = struct.unpack(f"{order}{len(lengths) // 4}i", lengths)
    found = np.dtype(f"{order}{NUMBERS[kind]}")
    if min(shape, default=0) < 0 or math.prod(shape) * found.itemsize != len(values):
        raise ValueError(f"{name}: found {len(values)} bytes, expected those of {list(shape)}")
    return np.frombuffer(values, found).reshape(shape, order="F")
