"""Where the shipped files lie, and writing that never leaves half a file."""

from __future__ import annotations

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
from typing import Any

import yaml
from filelock import FileLock, Timeout

from masksem_graph.errors import InputError

try:
    from yaml import CBaseLoader as BaseLoader
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import BaseLoader, SafeLoader  # type: ignore[assignment]

PACKAGE = Path(__file__).resolve().parent

YAML_BYTES, YAML_DEPTH, YAML_VALUES = 2**20, 50, 100_000
"""A larger, deeper or longer YAML file is no description of anything here."""


def shipped(kind: str) -> Path:
    """The folder of shipped ``graphs`` or ``configs``: inside the wheel, or beside the package in a checkout."""
    inside = PACKAGE / kind
    return inside if inside.is_dir() else PACKAGE.parent / kind


def find_yaml(name_or_path: str | os.PathLike[str], kind: str) -> Path:
    """The YAML file that a path or the name of a shipped one means.

    Args:
        name_or_path: ``my/graph.yaml``, or a shipped name: ``ntu25``, ``data/demo_xsub``, ``configs/data/demo_xsub.yaml``.
        kind: ``graphs`` or ``configs``.

    Raises:
        InputError: neither a file nor a shipped name; the line lists the shipped ones.
    """
    path = Path(name_or_path)
    if os.path.isfile(path):  # False, where Path.is_file raises: a name of 5,000 letters
        return path
    relative = path.relative_to(kind) if path.parts[:1] == (kind,) else path
    candidate = shipped(kind) / f"{str(relative).removesuffix('.yaml')}.yaml"
    if not path.is_absolute() and os.path.isfile(candidate):
        return candidate
    names = sorted(p.relative_to(shipped(kind)).with_suffix("").as_posix() for p in shipped(kind).rglob("*.yaml"))
    raise InputError(f"{str(name_or_path)[:200]}: no such file, and none of the shipped {kind}: {', '.join(names)}")


def read_yaml(path: Path, *, as_text: bool = False) -> Any:
    """The plain data in a YAML file of UTF-8 text, with or without a byte-order mark.

    Args:
        path: the file.
        as_text: every scalar is the text that stands there: ``yes`` is no truth value, ``01`` is not 1.

    Raises:
        InputError: it cannot be read, is larger, deeper or by its aliases longer than any description, or says a key twice.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            data = file.read(YAML_BYTES + 1)
        if len(data) > YAML_BYTES:
            raise InputError(f"{path}: is larger than {YAML_BYTES >> 20} MiB, expected a short YAML file")
        text = data.decode("utf-8-sig")
        _check_size(path, text)
        return yaml.load(text, _TextLoader if as_text else _DataLoader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8, expected a YAML file of UTF-8 text") from None
    except InputError:
        raise
    # Damaged dates, numbers and keys end in the errors of the types that they stand for.
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, RecursionError) as error:
        raise InputError(f"{path}: not a readable YAML file: {yaml_fault(error)}") from None


YAML_FAULTS = {
    "expected ',' or ']'": "a [ without its ]",
    "expected ',' or '}'": "a { without its }",
    "expected <block end>": "another indentation than the lines before",
    "mapping values are not allowed": "a second colon; text with a colon in it stands in quotes",
    "could not find expected ':'": "a name without its colon",
    "cannot start any token": "a tab, or a sign such as @; lines are indented by spaces, and text with signs stands in quotes",
    "found unexpected end of stream": "a quote without its end",
}
"""What PyYAML says, and what it means."""


def yaml_fault(error: Exception) -> str:
    """What is wrong with a YAML text, in a line: where, and what."""
    problem, mark = str(getattr(error, "problem", None) or error), getattr(error, "problem_mark", None)
    told = next((plain for theirs, plain in YAML_FAULTS.items() if theirs in problem), " ".join(problem.split())[:200])
    return f"line {mark.line + 1}, column {mark.column + 1}: {told}" if mark is not None else told


def _check_size(path: Path, text: str) -> None:
    """Refuse what would be deep or endless once its aliases are followed, before anything is built."""
    sizes, anchors = [0], [""]
    known: dict[str, int] = {}
    for event in yaml.parse(text, SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            anchors.append(event.anchor or "")
        elif isinstance(event, yaml.CollectionEndEvent):
            size = sizes.pop()
            known[anchors.pop()] = size
            sizes[-1] += size
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in known:
                raise InputError(f"{path}: *{event.anchor} is not the alias of a whole value before it")
            sizes[-1] += known[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            known[event.anchor or ""] = 1
            sizes[-1] += 1
        if len(sizes) > YAML_DEPTH:
            raise InputError(f"{path}: is nested deeper than {YAML_DEPTH} levels, expected a short YAML file")
        if sizes[-1] > YAML_VALUES:
            raise InputError(f"{path}: has more than {YAML_VALUES:,} values with its aliases followed, expected a short file")


class _OneOfEach:
    """A loader to which a key that stands twice is an error, where PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep=deep)  # type: ignore[misc]


class _DataLoader(_OneOfEach, SafeLoader): ...


class _TextLoader(_OneOfEach, BaseLoader): ...


def require_regular(path: Path) -> None:
    """Refuse a pipe or a device, which might never end.

    Raises:
        OSError: it is one, or is missing.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")


@contextmanager
def write_beside(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Write to a temporary path beside ``target``; on success it takes the target's place, on failure it is removed.

    The body may create a file or a folder at the path it is given. What it wrote is on disk, with the permissions that the
    user's umask gives, before it takes the target's place. What processes that died left beside the target is removed.

    Raises:
        InputError: it cannot be written: a full disk, a folder without permission.
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
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process != 0


def take_place(new: Path, target: Path) -> None:
    """Put what lies at ``new`` in the place of ``target``, once it is on disk.

    A file replaces the old one in one step; an old folder is moved aside first and deleted last, so that either the old or
    the new one is always whole on disk. A folder is never replaced by a file.

    Raises:
        InputError: the target is a folder, and the new one a file.
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
    """Make sure that a folder can be made and written to, before there is work to lose; nothing is left of the trial.

    Raises:
        InputError: it cannot.
    """
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
def locked(target: str | os.PathLike[str], *, wait: bool) -> Iterator[None]:
    """Only one process at a time writes ``target``; the lock goes with the process that holds it.

    Args:
        target: the file or folder, which need not exist.
        wait: for the process that holds it now.

    Raises:
        InputError: without ``wait``, another process is at it; or its folder cannot be written to.
    """
    target = Path(target).absolute()
    lock = FileLock(target.with_name(f".{target.name}.lock"), blocking=wait)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        Path(lock.lock_file).write_text(this_process())
    except Timeout:
        raise InputError(f"{target}: {holder(Path(lock.lock_file))} is writing it now; wait for it to end") from None
    except OSError as error:
        lock.release()
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def this_process() -> str:
    """What a lock says of who holds it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def holder(lock: Path) -> str:
    """Who holds a lock, as far as it says."""
    with suppress(OSError):
        return lock.read_text(encoding="utf-8", errors="replace").strip() or "another process"
    return "another process"
