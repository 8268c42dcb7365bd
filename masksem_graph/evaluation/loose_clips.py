"""Clips that belong to no data set: single files, folders, archives and stores, prepared as a run's own clips were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from masksem_graph.data.clip import Clip
from masksem_graph.data.preparation import Preparation
from masksem_graph.data.store import Store, StoreWriter, is_store, open_store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.loose_readers import loose_reader, loose_sources
from masksem_graph.evaluation.prepared import Prepared
from masksem_graph.topology import Topology


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
    prepared: Prepared,
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Gathered:
    """Write all readable clips of some paths into stores; a bad one does not keep the others.

    Args:
        paths: stores, or files and folders in a format.
        folder: where the stores go.
        prepared: how the run's own clips were; these are prepared alike.
        format: of the files and folders; else what a file's ending says, else the run's own.
        options: of the format's reader, over the run's.
    """
    failed: dict[str, str] = {}
    writers: dict[Topology, StoreWriter] = {}
    with ExitStack() as stack:
        for path in paths:
            for name, clip, skeleton in _clips(path, prepared, format, options or {}, failed):
                if skeleton not in writers:
                    about: dict[str, Any] = {"origin": prepared.origin, "units": prepared.units}
                    writer = StoreWriter(folder / str(len(writers)), topology=skeleton, classes=("unknown",), **about)
                    writers[skeleton] = stack.enter_context(writer)
                try:
                    writers[skeleton].add(replace(clip, name=name, label=-1))
                except InputError as error:
                    failed[name] = f"{name}: {error}"
    return Gathered([open_store(folder / str(i)) for i in range(len(writers))], failed)


def _clips(
    path: Path, prepared: Prepared, format: str | None, options: Mapping[str, Any], failed: dict[str, str]
) -> Iterator[tuple[str, Clip, Topology]]:
    """The readable clips of one path under names that say where they come from."""
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        if is_store(path):
            store = open_store(path)
            if store.origin != prepared.origin:
                raise InputError(
                    f"{path}: prepared with origin {store.origin}, expected {prepared.origin}, as the run's clips"
                )
            _check_units(path, store.units, prepared)
            yield from ((f"{path}: {clip.name}", clip, store.topology) for clip in store)
            return
        reader = loose_reader(path, prepared, format, options)
        sources = loose_sources(path, reader)
        skeleton = reader.skeleton
        preparation = Preparation(reader, skeleton, prepared.origin)
        _check_units(path, preparation.units, prepared)
    except InputError as error:
        failed[str(path)] = str(error)
        return
    for source in sources:
        try:
            clip, _ = preparation(source)
        except InputError as error:
            failed[str(source)] = str(error)
            continue
        yield str(source), clip, skeleton


def _check_units(path: Path, found: str, prepared: Prepared) -> None:
    if prepared.units not in (None, found):
        raise InputError(f"{path}: found coordinates in {found}, expected {prepared.units}, as the run's clips")
