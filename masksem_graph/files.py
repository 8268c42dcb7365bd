"""Where the shipped files lie, and writing that never leaves half a file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.errors import InputError

PACKAGE = Path(__file__).resolve().parent


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
    if path.is_file():
        return path
    relative = path.relative_to(kind) if path.parts[:1] == (kind,) else path
    candidate = shipped(kind) / relative.with_name(relative.name.removesuffix(".yaml") + ".yaml")
    if not path.is_absolute() and candidate.is_file():
        return candidate
    names = sorted(p.relative_to(shipped(kind)).with_suffix("").as_posix() for p in shipped(kind).rglob("*.yaml"))
    raise InputError(f"{name_or_path}: no such file, and none of the shipped {kind}: {', '.join(names)}")


def read_yaml(path: Path) -> Any:
    """The plain data in a YAML file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from None


@contextmanager
def write_beside(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Write to a temporary path beside ``target``; on success it takes the target's place, on failure it is removed.

    The body may create a file or a folder at the path it is given. A file replaces the old one in one step; an old folder is
    moved aside first and deleted last, so that either the old or the new one is always whole on disk.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        yield partial
        if target.is_dir():
            os.rename(target, old)
        os.replace(partial, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
    finally:
        for leftover in (partial, old):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
