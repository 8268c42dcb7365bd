"""Checkpoints to go on from: written beside and renamed, read without running anything that they contain."""

import math
import os
import re
import shutil
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from masksem_graph.console import console
from masksem_graph.errors import InputError, shown
from masksem_graph.files import require_regular, write_beside

FORMAT = 1
PREVIOUS = "previous.pt"
DEEPEST = 20  # levels of mappings and lists in a file of tensors


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and strings so that ``path`` is always a whole checkpoint; the one before stays as `PREVIOUS`."""
    with write_beside(path) as partial:
        write_tensors(partial, {"format": FORMAT, **state})
        if path.is_file():
            with write_beside(path.with_name(PREVIOUS)) as previous:
                try:
                    os.link(path, previous)
                except OSError:  # a file system without links
                    shutil.copyfile(path, previous)


def write_tensors(path: Path, content: Any) -> None:
    """Write a file that `read_tensors` reads; the same content gives the same bytes."""
    with path.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # how torch's writer passes on what a full disk raised
            raise OSError(f"{' '.join(str(error).split())[:100]}; is the disk full?") from None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; see `read_tensors` for what is refused."""
    state = read_tensors(path, "a checkpoint of a run")
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else state
        raise InputError(f"{path}: format: expected {FORMAT}, found {shown(found)}")
    return state


def newest_checkpoint(folder: Path) -> dict[str, Any]:
    """A run's last checkpoint; where that is damaged or gone the one before, and a line says so."""
    try:
        return load_checkpoint(folder / "last.pt")
    except InputError as error:
        if not (older := folder / PREVIOUS).is_file():
            raise
        state = load_checkpoint(older)
        console.print(f"{error}; going on from {older.name}, the checkpoint before it", markup=False, soft_wrap=True)
        return state


def read_tensors(path: Path, what: str, *, allow: Sequence[Any] = (), named: str = "") -> Any:
    """What a file written by ``torch.save`` holds, on the CPU.

    Args:
        path, what: the file, and what it should be, for error lines.
        allow, named: classes that may be in it beside plain data and tensors, and what error lines call them.

    Raises:
        InputError: missing, changed after it was written, or with anything in it but plain data and finite numbers.
    """
    try:
        require_regular(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}; expected {what}") from None
    try:
        _check_archive(path)
        with torch.serialization.safe_globals(list(allow)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles in another dialect; what cannot be read is an error below
            content = torch.load(path, map_location="cpu", weights_only=True)
        _check_tensors(content, room=path.stat().st_size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # torch's reader of damaged bytes raises IndexError, struct.error, TypeError and more
        # Only a culprit's name is passed on: torch's own line advises how to run such code after all.
        if found := re.search(r"GLOBAL ([A-Za-z_][\w.]*)", str(error)):
            kinds = f"tensors, plain data, {named}" if named else "tensors and plain data"
            raise InputError(f"{path}: refused, as it holds {found[1]}; expected {kinds} alone") from None
        fault = "not a checkpoint that can be read: damaged, cut short, or of another kind"
        raise InputError(f"{path}: {fault}; expected {what}") from None
    return content


def _check_archive(path: Path) -> None:
    """Hold every member of the archive against its checksum; torch itself does not look at them."""
    if not zipfile.is_zipfile(path):
        return  # as torch wrote files before 1.6
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise InputError("found a compressed archive, expected one as torch writes it")
            if any(member.external_attr & 0x10 for member in members):  # torch would not read the bytes of a folder
                raise InputError("one of its members is marked as a folder")
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise InputError("its members overlap")
            if damaged := archive.testzip():
                raise InputError(f"the checksum of {shown(damaged)} does not fit")
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
        fault = " ".join(str(error).split())[:200]
        raise InputError(f"was changed or damaged after it was written: {fault}") from None


def _check_tensors(content: Any, room: int) -> None:
    """Refuse what is larger in memory than on disk, and numbers that are none."""
    total = 0
    for name, value in _tensors_in(content, ""):
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_nested:
            raise InputError(f"{name}: found a tensor of another kind, expected plain numbers")
        # Steps of zero make a few bytes look like gigabytes; tensors that share their numbers are few.
        total += value.numel() * value.element_size()
        if total > 4 * room:
            raise InputError(f"{name}: found tensors of more than {total:,} bytes in a file of {room:,}")
        if not torch.isfinite(value).all():
            raise InputError(f"{name}: found numbers that are not finite, expected weights")


def _tensors_in(content: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    if depth > DEEPEST:
        raise InputError(f"is nested deeper than {DEEPEST} levels")
    if isinstance(content, Tensor):
        yield name.strip("."), content
    elif isinstance(content, Mapping | list | tuple | set):
        for key, value in content.items() if isinstance(content, Mapping) else enumerate(content):
            yield from _tensors_in(value, f"{name}.{key}", depth + 1)


def check_alike(found: Any, expected: Any, name: str) -> None:
    """Refuse state that is not built as ``expected``, which this program would write: other keys, types, shapes or dtypes."""
    inside: Any = ()
    if isinstance(expected, Tensor):
        right = isinstance(found, Tensor) and found.shape == expected.shape and found.dtype == expected.dtype
        told = f"{expected.dtype} of shape {list(expected.shape)}"
    elif isinstance(expected, dict):
        right, inside = isinstance(found, dict) and found.keys() == expected.keys(), expected
        told = f"entries {', '.join(map(str, expected))}"
    elif isinstance(expected, list):
        right, inside = isinstance(found, list) and len(found) == len(expected), range(len(expected))
        told = f"a list of {len(expected)}"
    else:
        right = type(found) is type(expected) and (not isinstance(found, float) or math.isfinite(found))
        told = f"a {type(expected).__name__}"
    if not right:
        what = f"{found.dtype} of shape {list(found.shape)}" if isinstance(found, Tensor) else shown(found)
        raise InputError(f"{name}: expected {told[:200]}, found {what}")
    for key in inside:
        check_alike(found[key], expected[key], f"{name}.{key}")
