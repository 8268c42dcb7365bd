"""Where the shipped files lie, and writing that never leaves half a file."""

import errno
import glob
import hashlib
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from filelock import FileLock, Timeout

from masksem_graph.errors import InputError, meant

PACKAGE = Path(__file__).resolve().parent


def shipped(kind: str) -> Path:
    """The folder of shipped ``graphs`` or ``configs``: inside the wheel, or beside the package in a checkout."""
    inside = PACKAGE / kind
    return inside if inside.is_dir() else PACKAGE.parent / kind


def find_yaml(name_or_path: str | os.PathLike[str], kind: str) -> Path:
    """The YAML file that a path means, or the name of a shipped one of the ``kind`` ``graphs`` or ``configs``: ``ntu25``."""
    path = Path(name_or_path)
    if os.path.isfile(path):  # False, where Path.is_file raises: a name of 5,000 letters
        return path
    relative = path.relative_to(kind) if path.parts[:1] == (kind,) else path
    candidate = shipped(kind) / f"{str(relative).removesuffix('.yaml')}.yaml"
    if not path.is_absolute() and os.path.isfile(candidate):
        return candidate
    folder = shipped(kind) / relative.parent
    names = sorted(p.stem for p in (folder.glob("*.yaml") if os.path.isdir(folder) else shipped(kind).rglob("*.yaml")))
    raise InputError(f"{str(name_or_path)[:200]}: no such file, and none of the shipped {kind}; {meant(relative.stem, names)}")


def require_regular(path: Path) -> None:
    """Raise `OSError` for a pipe or a device, which might never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")


@contextmanager
def write_beside(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Write to a temporary path beside ``target``; on success it takes the target's place, on failure it is removed.

    The body may create a file or a folder at the path it is given. What it wrote is on disk, with the permissions that the
    user's umask gives, before it takes the target's place. What processes that died left beside the target is removed. A
    full disk, or a folder without permission, is an `InputError`.
    """
    target = followed(target)
    partial = beside(target, "partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
        yield partial
        take_place(partial, target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # what cannot be there, as below a file, would hide the line above
            remove(partial)


def followed(target: str | os.PathLike[str]) -> Path:
    """Where writing to a path goes: what a link points to is replaced, the link stays."""
    target = Path(target)
    return target.resolve() if target.is_symlink() else target


def beside(target: Path, what: str) -> Path:
    """A hidden path next to the target that belongs to this process: ``.NAME.PID.partial``."""
    return target.with_name(f".{target.name}.{os.getpid()}.{what}")


def remove_leftovers(target: Path) -> None:
    """Remove what dead processes left beside a target; what one moved aside comes back where nothing took its place."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*"):
        found = re.fullmatch(r"(\d{1,9})\.(partial|old)", path.name.removeprefix(f".{target.name}."))
        if not found or _is_alive(int(found[1])):
            continue
        if found[2] == "old" and not target.exists():
            os.rename(path, target)
        else:
            remove(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return process != 0


def take_place(new: Path, target: Path) -> None:
    """Put what lies at ``new`` in the place of ``target``, once it is on disk; a file never replaces a folder (`InputError`).

    A file replaces the old one in one step; an old folder is moved aside first and deleted last, so that either the old or
    the new one is always whole on disk.
    """
    if target.is_dir() and not new.is_dir():
        raise InputError(f"{target}: is a folder; expected the path of a file to write")
    os.umask(umask := os.umask(0o022))
    for path in (new, *(new.rglob("*") if new.is_dir() else ())):
        if path.is_file():
            path.chmod(0o666 & ~umask)
        _sync(path)
    old = beside(target, "old")
    try:
        if target.is_dir():
            os.rename(target, old)
        os.replace(new, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
    _sync(target.parent)
    remove(old)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as text; the file need not fit in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def require_folder(folder: Path) -> None:
    """Raise `InputError` unless a folder can be made and written to; nothing is left of the trial."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--output: {folder}: cannot be written to: {error.strerror or error}") from None
    finally:
        for path in missing:
            with suppress(OSError):  # another process is there already
                path.rmdir()


@contextmanager
def locked(target: str | os.PathLike[str], *, wait: bool, file: Path | None = None, field: str = "") -> Iterator[None]:
    """Only one process at a time writes ``target``; without ``wait``, an `InputError` where another one is at it.

    The lock is a ``file`` beside the target, where none is given. ``field`` stands before the target in error lines.
    """
    target = Path(target).absolute()
    place = (file or target.with_name(f".{target.name}.lock")).absolute()
    lock = FileLock(place, blocking=wait)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        # As filelock's own do: where a file system has no flock it reads them.
        place.write_text(f"{os.getpid()}\n{socket.gethostname()}\n")
    except Timeout:
        raise InputError(f"{field}{target}: {_holder(place)} is writing it now and holds {place}; let it end") from None
    except OSError as error:
        lock.release()
        raise InputError(f"{field}{target}: cannot be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
        lock.release()


def _holder(lock: Path) -> str:
    """Who holds a lock, as far as it says."""
    with suppress(OSError, ValueError):
        process, host, *_ = lock.read_text(encoding="utf-8", errors="replace").split()
        return f"process {process} on {host}"
    return "another process"
