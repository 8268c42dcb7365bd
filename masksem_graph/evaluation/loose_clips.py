"""Clips that belong to no data set: single files, folders and archives in any format that ``prepare`` reads, as one store."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from masksem_graph.data.clip import Clip
from masksem_graph.data.preparation import Preparation
from masksem_graph.data.readers import Reader, load_reader, reader_names
from masksem_graph.data.readers.base import Origin
from masksem_graph.data.store import Store, StoreWriter, is_store, open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology

ENDINGS = {".skeleton": "ntu", ".json": "nw_ucla", ".npz": "npz", ".pkl": "pyskl", ".pickle": "pyskl"}
"""Formats that a file's name gives away."""


def gather(
    paths: Sequence[Path],
    target: Path,
    *,
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
    usual: str | None = None,
    origin: Origin | None = None,
) -> Store:
    """Write all clips of some paths into one store.

    Args:
        paths: stores, or files and folders in a format.
        target: the store to write.
        format: of the files and folders; else what a file's ending says, else ``usual``.
        options: of the format's reader.
        usual: the format to take where nothing tells.
        origin: ``centre`` or ``none``; stores are taken as they are.

    Raises:
        InputError: a path cannot be read, or they have different joints.
    """
    clips = [pair for path in paths for pair in _clips(path, format, options or {}, usual, origin)]
    topology = clips[0][1]
    for clip, other in clips:
        if other.joints != topology.joints:
            raise InputError(f"{clip.name}: on {other.name}, the clips before it on {topology.name}; expected one skeleton")
    with StoreWriter(target, topology=topology, classes=("unknown",)) as writer:
        for clip, _ in clips:
            writer.add(clip)
    return open_store(target)


def _clips(
    path: Path, format: str | None, options: Mapping[str, Any], usual: str | None, origin: Origin | None
) -> Iterator[tuple[Clip, Topology]]:
    """The clips of one path under names that say where they come from, and their topology."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if is_store(path):
        store = open_store(path)
        yield from ((replace(clip, name=f"{path}: {clip.name}", label=-1), store.topology) for clip in store)
        return
    chosen = format or ENDINGS.get(path.suffix.lower()) or usual
    if chosen is None:
        raise InputError(f"{path}: its name does not tell its format; expected --format, one of {', '.join(reader_names())}")
    reader = load_reader(chosen, **options)
    sources = [path] if _is_a_clip(path, reader) else reader.sources(path)
    for source in sources:
        topology = load_topology(reader.topology)
        clip, _ = Preparation(reader, topology, origin or reader.origin)(source)
        yield replace(clip, name=str(source), label=-1), topology


def _is_a_clip(path: Path, reader: Reader) -> bool:
    """Whether the path is a file that is a clip by itself, of a format that has such files."""
    source = typing.get_type_hints(type(reader).read).get("source")
    return path.is_file() and path.suffix.lower() != ".zip" and Path in (source, *typing.get_args(source))
