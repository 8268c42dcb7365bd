"""Clips that belong to no data set: single files, folders, archives and stores, prepared as a run's own clips were."""

import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from masksem_graph.data.arrays import map_npy, npz_names
from masksem_graph.data.clip import Clip
from masksem_graph.data.preparation import Preparation
from masksem_graph.data.readers import Reader, load_reader, option_names, reader_class, reader_names
from masksem_graph.data.readers.coco import CocoReader
from masksem_graph.data.readers.folder import DESCRIPTION, FolderReader
from masksem_graph.data.readers.openpose import OpenPoseReader
from masksem_graph.data.readers.pyskl import PysklReader
from masksem_graph.data.source import read_lines
from masksem_graph.data.store import Store, StoreWriter, is_store, open_store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.prepared import Prepared
from masksem_graph.topology import Topology, load_topology

# Formats that a file's name gives away.
ENDINGS = {".npy": "folder", ".csv": "folder", ".pkl": "pyskl", ".pickle": "pyskl", ".json": "nw_ucla", ".jsonl": "mediapipe"}
ENDINGS |= {".skeleton": "ntu", ".npz": "npz", ".bvh": "bvh"}
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif", ".m4v", ".mpg", ".mpeg", ".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Gathered:
    """Clips from several places: stores of the readable ones, one for each skeleton, and place -> fault of the others."""

    stores: list[Store]
    failed: dict[str, str]


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
        format, options: of the files and folders, and of its reader; else what a file's ending says, else the run's own.
    """
    failed: dict[str, str] = {}
    writers: dict[Topology, StoreWriter] = {}
    about: dict[str, Any] = {"origin": prepared.origin, "units": prepared.units}
    with ExitStack() as stack:
        for path in paths:
            for name, clip, skeleton in _clips(path, prepared, format, options or {}, failed):
                if skeleton not in writers:
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
        if not (path.is_file() or path.is_dir()):  # nor a pipe, which might never end
            raise InputError(f"{path}: no such file or folder")
        if is_store(path):
            store, origin = open_store(path), prepared.origin
            if store.origin != origin:
                raise InputError(f"{path}: prepared with origin {store.origin}, expected {origin}, as the run's clips")
            _check_units(path, store.units, prepared)
            yield from ((f"{path}: {clip.name}", clip, store.topology) for clip in store)
            return
        reader = _reader(path, prepared, format, options)
        taken = typing.get_type_hints(type(reader).read).get("source")
        alone = path.is_file() and path.suffix.lower() != ".zip" and Path in (taken, *typing.get_args(taken))
        sources = [path] if alone else reader.sources(path)
        preparation = Preparation(reader, reader.skeleton, prepared.origin)
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
        yield str(source), clip, preparation.topology


def _check_units(path: Path, found: str, prepared: Prepared) -> None:
    if prepared.units not in (None, found):
        raise InputError(f"{path}: found coordinates in {found}, expected {prepared.units}, as the run's clips")


def _reader(path: Path, prepared: Prepared, format: str | None, options: Mapping[str, Any]) -> Reader:
    """What reads the clips of a file or a folder: the named format, else what the file tells, else that of the run's clips."""
    topology = prepared.topology
    if path.suffix.lower() in VIDEOS and path.is_file():
        raise InputError(
            f"{path}: is a video or an image, expected coordinates of joints; find the joints with a pose estimator such as "
            f"MediaPipe or MMPose, and save them as an .npy [frames, {len(topology)}, {topology.dimensions}]"
        )
    chosen = format or _format(path, prepared)
    if chosen is None:
        raise InputError(f"{path}: its name does not tell its format; expected --format, one of {', '.join(reader_names())}")
    reader = load_reader(chosen, **{**_options_of_run(prepared, chosen), **options})
    reader.loose = True
    given = load_topology(options["topology"]) if options.get("topology") else topology
    told = chosen in (prepared.format, "folder", "pyskl") or given.name in getattr(reader, "topologies", ())
    if isinstance(reader, FolderReader | PysklReader) and told and not (path / DESCRIPTION).is_file():
        reader.given = given
    return reader


def _format(path: Path, prepared: Prepared) -> str | None:
    """What a path tells by its name and its first bytes, else the format of the run's own clips."""
    suffix = path.suffix.lower()
    own = reader_class(prepared.format) if prepared.format in reader_names() else Reader
    if suffix == ".jsonl" and '"bodies"' in _first_line(path):
        return "folder"
    if issubclass(own, FolderReader) and not own.described and own.is_clip(path):
        return prepared.format
    if path.is_dir():
        trackers = {"openpose": OpenPoseReader, "coco": CocoReader}
        return next((name for name, reader in trackers.items() if reader.is_clip(path)), prepared.format)
    if suffix == ".json" and _first_line(path).startswith("["):
        return "coco"
    if suffix == ".npy" and map_npy(path).ndim == 5:
        return "stgcn"
    if suffix == ".npz" and len(npz_names(path)) == 1:
        return "folder"
    return ENDINGS.get(suffix) or prepared.format


def _first_line(path: Path) -> str:
    return next((line for _, line in read_lines(path)), "")


def _options_of_run(prepared: Prepared, format: str) -> dict[str, Any]:
    """The run's options of a reader, where its own clips are of this format or, as ``demo`` of ``ntu``, of a kind of it."""
    if prepared.format == format:
        return dict(prepared.options)
    if not {format, prepared.format} <= set(reader_names()):
        return {}
    cls = reader_class(format)
    kind = issubclass(reader_class(str(prepared.format)), cls)
    return {name: value for name, value in prepared.options.items() if kind and name in option_names(cls)}
