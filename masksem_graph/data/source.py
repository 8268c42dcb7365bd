"""What a reader reads a clip from: a file, or a part of one."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TypeAlias, cast

from masksem_graph.errors import InputError
from masksem_graph.files import require_regular

TEXT_BYTES = 64 * 2**20
"""A larger text file is no recording: four minutes of two bodies, as in PKU-MMD, take about 13 MB."""

CLIP_BYTES = 256 * 2**20
"""The arrays of a clip may take this much memory: an hour of two bodies at 30 frames a second takes 65 MB."""

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, ValueError)
"""All that ``zipfile`` raises where an archive is damaged, encrypted or packed in an unknown way."""


@dataclass(frozen=True)
class Part:
    """One clip of a file that holds several: a member of a .zip, a row of an array, a stretch of a recording.

    Args:
        path: the file.
        name: what the part is called in it; ``str()`` gives both, for messages.
    """

    path: Path
    name: str

    def __str__(self) -> str:
        return f"{self.path}: {self.name}"


Source: TypeAlias = Path | Part


def file_of(source: Source) -> Path:
    """The file that a source lies in."""
    return source.path if isinstance(source, Part) else source


def stem(source: Source) -> str:
    """The name, without folders and ending, of a file or of a member of a .zip."""
    return PurePosixPath(source.name).stem


def read_text_file(source: Source) -> bytes:
    """The bytes of a text file, or of a member of a .zip.

    Raises:
        InputError: it cannot be read, or is larger than any clip's.
    """
    try:
        with _open(source) as file:
            data = file.read(TEXT_BYTES + 1)
    except ZIP_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise InputError(f"{source}: cannot be read: {reason or type(error).__name__}") from None
    if len(data) > TEXT_BYTES:
        raise InputError(f"{source}: is larger than {TEXT_BYTES >> 20} MiB, expected the text of one clip")
    return data


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a list, of UTF-8 text with or without a byte-order mark, with their numbers; stripped, empty ones too.

    Raises:
        InputError: it cannot be read, or a line is not UTF-8.
    """
    lines = read_text_file(path).removeprefix(b"\xef\xbb\xbf").splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append((number, line.decode().strip()))
        except UnicodeDecodeError:
            raise InputError(f"{path}: line {number}: is not UTF-8, expected a text file of UTF-8") from None
    return found


def zip_members(path: Path, ending: str) -> list[Part]:
    """The files in a .zip whose name has this ending.

    Raises:
        InputError: not a .zip, or a damaged one.
    """
    try:
        require_regular(path)
        with zipfile.ZipFile(path) as archive:
            return [Part(path, name) for name in archive.namelist() if name.endswith(ending)]
    except ZIP_ERRORS as error:
        raise InputError(f"{path}: not a readable .zip: {' '.join(str(error).split())}") from None


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of change: a file with the same is taken for the same."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _open(source: Source) -> io.BufferedIOBase:
    if isinstance(source, Part):
        return cast(zipfile.ZipExtFile, _archive(source.path, stamp(source.path)).open(source.name))
    require_regular(source)
    return source.open("rb")


@lru_cache(maxsize=4)
def _archive(path: Path, stamp: tuple[int, int]) -> zipfile.ZipFile:
    # The list of 60,000 members takes a second to read: once in each process, not once a clip.
    return zipfile.ZipFile(path)
