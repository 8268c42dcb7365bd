"""Readers of single clips: any file name, no label, no split."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from masksem_graph.data.arrays import map_npy
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.pickles import PickledArray, read_pickle
from masksem_graph.data.readers import Reader, load_reader, option_names, reader_class, reader_names
from masksem_graph.data.readers.coco import CocoReader
from masksem_graph.data.readers.folder import DESCRIPTION, FolderReader
from masksem_graph.data.readers.ntu import NTUReader
from masksem_graph.data.readers.nw_ucla import NWUCLAReader, _frames, _parse
from masksem_graph.data.readers.openpose import OpenPoseReader
from masksem_graph.data.readers.pyskl import Annotation, PysklReader, _one_file
from masksem_graph.data.readers.stgcn import STGCNReader
from masksem_graph.data.source import read_lines
from masksem_graph.errors import InputError
from masksem_graph.evaluation.prepared import Prepared
from masksem_graph.topology import Topology, load_topology

ENDINGS = {".skeleton": "ntu", ".npz": "npz", ".pkl": "pyskl", ".pickle": "pyskl", ".bvh": "bvh"}
"""Formats that a file's name gives away."""
ARRAYS = (".npy", ".csv")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif", ".m4v", ".mpg", ".mpeg", ".jpg", ".jpeg", ".png")


def loose_reader(path: Path, prepared: Prepared, format: str | None, options: Mapping[str, Any]) -> Reader:
    """What reads the clips of a file or a folder.

    Args:
        path: the file or folder.
        prepared: how the run's own clips were: files of their format are read with their options.
        format: named by the user; else what the file's ending says, else that of the run's own clips.
        options: of the reader, over the run's.

    Raises:
        InputError: its format cannot be told, or it is a video.
    """
    suffix, topology = path.suffix.lower(), prepared.topology
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: is not a regular file, expected one with clips")
    if suffix in VIDEOS and path.is_file():
        raise InputError(
            f"{path}: is a video or an image, expected coordinates of joints; find the joints with a pose estimator such as "
            f"MediaPipe or MMPose, and save them as an .npy [frames, {len(topology)}, {topology.dimensions}]"
        )
    chosen = format or _format(path, prepared)
    if chosen == "folder" and path.is_file():
        table = {"axes": None} if suffix == ".csv" else {}
        return LooseArrays(topology, **{**_options_of_run(prepared, "folder"), **options, **table})
    if chosen is None:
        raise InputError(f"{path}: its name does not tell its format; expected --format, one of {', '.join(reader_names())}")
    reader = load_reader(chosen, **{**_options_of_run(prepared, chosen), **options})
    given = load_topology(options["topology"]) if options.get("topology") else topology
    if type(reader) is PysklReader:
        return _loosened(reader, LoosePyskl, given=given)
    told = chosen == prepared.format or given.name in getattr(reader, "topologies", ())
    if isinstance(reader, FolderReader | STGCNReader) and told and not (path / DESCRIPTION).is_file():
        reader.given = given
    of_one_clip: dict[type[Reader], type[Reader]] = {
        NTUReader: LooseNTU,
        NWUCLAReader: LooseNWUCLA,
        STGCNReader: LooseSTGCN,
    }
    loose = of_one_clip.get(type(reader))
    return _loosened(reader, loose) if loose and path.is_file() and suffix != ".zip" else reader


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
    if suffix in (".json", ".jsonl"):
        return "mediapipe" if suffix == ".jsonl" else "coco" if _first_line(path).startswith("[") else "nw_ucla"
    if suffix == ".npy" and map_npy(path).ndim == 5:
        return "stgcn"
    if suffix in ARRAYS or (suffix == ".npz" and _single_array(path)):
        return "folder"
    return ENDINGS.get(suffix) or prepared.format


def _first_line(path: Path) -> str:
    return next((line for _, line in read_lines(path) if line), "")


def _options_of_run(prepared: Prepared, format: str) -> dict[str, Any]:
    """The run's options of a reader, where its own clips are of this format or, as ``demo`` of ``ntu``, of a kind of it."""
    if prepared.format == format:
        return dict(prepared.options)
    if not {format, prepared.format} <= set(reader_names()):
        return {}
    cls = reader_class(format)
    kind = issubclass(reader_class(str(prepared.format)), cls)
    return {name: value for name, value in prepared.options.items() if kind and name in option_names(cls)}


def _loosened(reader: Reader, cls: type[Reader], **more: Any) -> Reader:
    made = cls.__new__(cls)
    made.__dict__ |= vars(reader) | more
    return made


def loose_sources(path: Path, reader: Reader) -> Sequence[Any]:
    """What there is to read: the file itself where it is a clip by itself."""
    if isinstance(reader, LoosePyskl):
        return reader.sources(path)
    if isinstance(reader, LooseSTGCN):
        return reader.sources(path)
    if isinstance(reader, LooseNTU | LooseNWUCLA | LooseArrays):
        return [path]
    source = typing.get_type_hints(type(reader).read).get("source")
    alone = path.is_file() and path.suffix.lower() != ".zip" and Path in (source, *typing.get_args(source))
    return [path] if alone else reader.sources(path)


class LooseNTU(NTUReader):
    """A ``.skeleton`` file of any name."""

    def _numbers(self, source: Any) -> tuple[int, int, int, int]:
        return -1, -1, -1, -1


class LooseNWUCLA(NWUCLAReader):
    """An NW-UCLA file of any name, with or without a label."""

    def read(self, source: Path) -> Clip:
        frames = _frames(source, _parse(source).get("skeletons"))
        return Clip(name=source.stem, label=-1, bodies=(Body(start=0, frames=frames, present=np.ones(len(frames), bool)),))


class LooseSTGCN(STGCNReader):
    """An array [N, C, T, V, M] of any name, without the pickle."""

    labelled = False

    def _arrays(self, root: Path) -> list[Path]:
        return [root]


class LoosePyskl(PysklReader):
    """A pickle of one clip, of a list of them, or of a data set; neither splits nor labels are needed."""

    def sources(self, root: Path) -> Sequence[Annotation]:
        root = _one_file(root)
        content = read_pickle(root)
        if isinstance(content, dict):
            content = content.get("annotations", [content])
        if not isinstance(content, list | tuple) or not content or not all(isinstance(entry, dict) for entry in content):
            raise InputError(f"{root}: expected a clip with a keypoint of shape [M, T, V, C], or a list of such clips")
        self.topology, self.dimensions = self.skeleton.name, self.skeleton.dimensions
        self.classes = ("unknown",)
        return [self._annotation(root, i, entry, alone=len(content) == 1) for i, entry in enumerate(content)]

    @staticmethod
    def _annotation(root: Path, i: int, entry: Mapping[str, Any], *, alone: bool) -> Annotation:
        fields = {name: value.values if isinstance(value, PickledArray) else value for name, value in entry.items()}
        keypoint = fields.get("keypoint")
        if isinstance(keypoint, np.ndarray) and keypoint.ndim == 4:
            fields.setdefault("total_frames", keypoint.shape[1])
        named = fields.get("frame_dir")
        place = str(named) if isinstance(named, str) and named else f"[{i}]"
        return Annotation(
            root, "keypoint" if alone and place.startswith("[") else place, {**fields, "frame_dir": "clip", "label": 0}
        )


class LooseArrays(FolderReader):
    """An array of a user's own: ``.npy``, ``.npz`` with one array, or ``.csv`` with a row a frame, joint after joint."""

    def __init__(self, topology: Topology, **options: Any) -> None:
        super().__init__(**options)
        self.given, self.topology = topology, topology.name
        self.joints, self.dimensions = len(topology), topology.dimensions

    def read(self, source: Path) -> Clip:  # type: ignore[override]
        with TemporaryDirectory() as folder:
            path = source if source.suffix.lower() in self.endings else Path(folder) / f"{source.name}.npy"
            if path is not source:
                np.save(path, _table(source, self.joints) if source.suffix.lower() == ".csv" else _only_array(source))
            try:
                bodies = self._bodies(path)
            except InputError as error:
                raise InputError(str(error).replace(str(path), str(source))) from None
        parts = tuple(Body(start=0, frames=body, present=np.ones(len(body), bool)) for body in bodies)
        return Clip(name=source.stem, label=-1, bodies=parts)


def _single_array(path: Path) -> bool:
    try:
        with np.load(path, allow_pickle=False) as file:
            return len(file.files) == 1
    except Exception:  # what it is instead, the format's reader says
        return False


def _only_array(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as file:
        return np.asarray(file[file.files[0]])


def _table(path: Path, joints: int) -> np.ndarray:
    """A table of numbers as [T, V, C]; a first line of names is left out."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        first = (
            lines[0].replace(",", "").replace(".", "").replace("-", "").replace("e", "").replace("+", "").strip()
            if lines
            else ""
        )
        rows = np.loadtxt(lines[0 if first.isdigit() else 1 :], delimiter=",", ndmin=2, dtype=np.float64)
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a table of numbers: {' '.join(str(error).split())[:120]}") from None
    if not rows.size or rows.shape[1] % joints:
        raise InputError(f"{path}: found {rows.shape[1]} columns, expected a multiple of {joints} joints: x, y, ... of each")
    return rows.reshape(len(rows), joints, -1)
