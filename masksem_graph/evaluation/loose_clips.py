"""Clips that belong to no data set: single files, folders, archives and stores, prepared as a run's own clips were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from masksem_graph.data.clip import Clip
from masksem_graph.data.preparation import Preparation
from masksem_graph.data.readers import reader_class
from masksem_graph.data.store import Store, StoreWriter, is_store, open_store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.loose_readers import loose_reader, loose_sources
from masksem_graph.topology import Topology, load_topology


@dataclass(frozen=True)
class Gathered:
    """Clips from several places.

    Args:
        stores: the readable ones, a store for each skeleton.
        failed: place -> what is wrong with it.
    """

    stores: list[Store]
    failed: dict[str, str] = field(default_factory=dict)


def gather(
    paths: Sequence[Path],
    folder: Path,
    *,
    topology: Topology,
    data: Mapping[str, Any],
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Gathered:
    """Write all readable clips of some paths into stores; a bad one does not keep the others.

    Args:
        paths: stores, or files and folders in a format.
        folder: where the stores go.
        topology: the run's skeleton, which arrays without a description are on.
        data: the run's own ``data``: its format, reader's options and origin are taken over.
        format: of the files and folders; else what a file's ending says, else the run's own.
        options: of the format's reader, over the run's.
    """
    failed: dict[str, str] = {}
    writers: dict[Topology, StoreWriter] = {}
    with ExitStack() as stack:
        for path in paths:
            for name, clip, skeleton in _clips(path, topology, data, format, options or {}, failed):
                if skeleton not in writers:
                    writer = StoreWriter(folder / str(len(writers)), topology=skeleton, classes=("unknown",))
                    writers[skeleton] = stack.enter_context(writer)
                writers[skeleton].add(replace(clip, name=name, label=-1))
    return Gathered([open_store(folder / str(i)) for i in range(len(writers))], failed)


def _clips(
    path: Path,
    topology: Topology,
    data: Mapping[str, Any],
    format: str | None,
    options: Mapping[str, Any],
    failed: dict[str, str],
) -> Iterator[tuple[str, Clip, Topology]]:
    """The readable clips of one path under names that say where they come from."""
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        if is_store(path):
            store = open_store(path)
            yield from ((f"{path}: {clip.name}", clip, store.topology) for clip in store)
            return
        usual = data.get("format")
        chosen = format or usual
        of_run = dict(data.get("options") or {}) if chosen == usual else {}
        reader = _reader(path, format, usual, {**of_run, **options}, topology)
        sources = loose_sources(path, reader)
        origin = data.get("origin") or (reader_class(usual) if usual else reader).origin
    except InputError as error:
        failed[str(path)] = str(error)
        return
    for source in sources:
        try:
            skeleton = getattr(reader, "given", None) or load_topology(reader.topology)
            clip, _ = Preparation(reader, skeleton, origin)(source)
        except InputError as error:
            failed[str(source)] = str(error)
            continue
        yield str(source), clip, skeleton


def _reader(path: Path, format: str | None, usual: str | None, options: Mapping[str, Any], topology: Topology) -> Any:
    """The reader, with the run's options where the file turns out to be of the run's format."""
    try:
        return loose_reader(path, format, usual, options, topology)
    except InputError as error:
        if "no option" not in str(error):
            raise
        return loose_reader(path, format, usual, {}, topology)
