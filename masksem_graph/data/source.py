"""What a reader reads a clip from: a file, or a part of one."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

import numpy as np
from jaxtyping import Float64

from masksem_graph.errors import InputError
from masksem_graph.files import require_regular

TEXT_BYTES = 64 * 2**20  # of one recording: four minutes of two bodies, as in PKU-MMD, take about 13 MB
CLIP_BYTES = 256 * 2**20  # the arrays of a clip: an hour of two bodies at 30 frames a second takes 65 MB
ENDLESS = 1e30  # no coordinate is as large, and sums of such are still a float32's
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, ValueError)
"""All that ``zipfile`` raises where an archive is damaged, encrypted or packed in an unknown way."""


@dataclass(frozen=True)
class Part:
    """One clip of a file that holds several: a member of a .zip, a row of an array, a stretch of a recording."""

    path: Path
    name: str

    def __str__(self) -> str:
        return f"{self.path}: {self.name}"


Source: TypeAlias = Path | Part


def stem(source: Source) -> str:
    """The name, without folders and ending, of a file or of a member of a .zip."""
    return PurePosixPath(source.name).stem


def read_text_file(source: Source) -> bytes:
    """The bytes of a text file, or of a member of a .zip; one that is larger than any clip's is refused."""
    file: IO[bytes]
    try:
        if isinstance(source, Part):
            file = _archive(source.path, stamp(source.path)).open(source.name)
        else:
            require_regular(source)
            file = source.open("rb")
        with file:
            data = file.read(TEXT_BYTES + 1)
    except ZIP_ERRORS as error:
        raise InputError(f"{source}: cannot be read: {reason(error)}") from None
    if len(data) > TEXT_BYTES:
        raise InputError(f"{source}: is larger than {TEXT_BYTES >> 20} MiB, expected the text of one clip")
    return data


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of UTF-8 text that are not blank, stripped, with their numbers; a byte-order mark is left out."""
    found = []
    for number, line in enumerate(read_text_file(path).removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise InputError(f"{path}: line {number}: is not UTF-8, expected a text file of UTF-8") from None
        if text:
            found.append((number, text))
    return found


def parse_numbers(
    place: str, words: Sequence[str], count: int | None = None, *, nan: bool = False
) -> Float64[np.ndarray, " n"]:
    """The finite numbers that words stand for, ``count`` of them; with ``nan`` one may be NaN, too.

    Raises:
        InputError: another count, a word that is no number, or one that is too large.
    """
    if count not in (None, len(words)):
        raise InputError(f"{place}: found {len(words)} numbers, expected {count}")
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError as error:
        raise InputError(f"{place}: {str(error)[:80]}, expected numbers") from None
    fits = (np.abs(numbers) < ENDLESS) | (np.isnan(numbers) & nan)
    if not fits.all():
        found = words[int(np.argmin(fits))][:60]
        raise InputError(f"{place}: found {found!r}, expected finite numbers{', or NaN' if nan else ''}")
    return numbers


def require_clip_size(place: object, size: int, found: str) -> None:
    """Refuse a clip whose arrays would take too many bytes."""
    if size > CLIP_BYTES:
        raise InputError(f"{place}: found {found}, {size:,} bytes, expected at most {CLIP_BYTES >> 20} MiB a clip")


def zip_names(path: Path) -> list[str]:
    """The files in a .zip or an .npz."""
    try:
        require_regular(path)
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except ZIP_ERRORS as error:
        raise InputError(f"{path}: not a readable {path.suffix or 'archive'}: {reason(error)}") from None


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of change: a file with the same is taken for the same."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def reason(error: Exception) -> str:
    """What an error of Python's says, in a short line."""
    told = " ".join(str(getattr(error, "strerror", None) or error).split())
    return told[:120] or type(error).__name__


@lru_cache(maxsize=4)
def _archive(path: Path, stamp: tuple[int, int]) -> zipfile.ZipFile:
    # The list of 60,000 members takes a second to read: once in each process, not once a clip.
    return zipfile.ZipFile(path)
