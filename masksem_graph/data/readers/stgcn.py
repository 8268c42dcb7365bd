"""The arrays of ST-GCN and its followers: all clips of a part in an .npy, their names and labels in a pickle beside it."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from masksem_graph.data.arrays import map_npy
from masksem_graph.data.clip import Clip
from masksem_graph.data.missing import Missing
from masksem_graph.data.pickles import PickledArray, read_pickle
from masksem_graph.data.readers.base import Origin
from masksem_graph.data.readers.pyskl import Annotation, PysklReader
from masksem_graph.data.source import CLIP_BYTES
from masksem_graph.errors import InputError, shown
from masksem_graph.topology import Topology

FILE = re.compile(r"(train|val|test)_data(?:_joint)?\.npy")
TOPOLOGIES = {25: "ntu25", 18: "openpose18"}
"""Joints -> what they are where nobody says otherwise: NTU RGB+D's, or Kinetics-Skeleton's."""


class STGCNReader(PysklReader):
    """``train_data_joint.npy`` (or ``train_data.npy``) [N, C, T, V, M] and ``train_label.pkl``, a pair of names and labels;
    the same of ``val`` or ``test``. The clips are as those of `PysklReader`, but zeros in 3D are places, and nothing is
    centred. 25 joints are ``ntu25`` in metres, 18 are Kinetics-Skeleton's ``openpose18``: x and y as shares of the picture,
    and a score.

    Source: Yan et al., ST-GCN, AAAI 2018 (``tools/ntu_gendata.py``); Shi et al., 2s-AGCN, CVPR 2019 (``data_gen``), whose
    clips are centred on the spine in each frame, turned, and repeated up to 300 frames.

    Args:
        topology: name or file of the topology, where the joints are others.
        class_names, missing, missing_frames: as of `PysklReader`.
    """

    origin: ClassVar[Origin] = "none"
    zero_is_missing: ClassVar[bool] = False

    def __init__(
        self,
        *,
        topology: str | None = None,
        class_names: str | os.PathLike[str] | None = None,
        missing: Missing = "interpolate",
        missing_frames: int = 30,
    ) -> None:
        super().__init__(topology=topology, class_names=class_names, missing=missing, missing_frames=missing_frames)

    def sources(self, root: Path) -> Sequence[Annotation]:
        parts: dict[bool, list[Annotation]] = {True: [], False: []}
        for path in self._arrays(root):
            shape, number = (array := map_npy(path)).shape, array.dtype
            if number.kind not in "biuf":
                raise InputError(f"{path}: found an array of {number}, expected numbers")
            if len(shape) != 5 or 0 in shape or shape[1] != 3 or shape[4] > 10 or math.prod(shape[1:]) * 4 > CLIP_BYTES:
                raise InputError(f"{path}: found shape {list(shape)}, expected [clips, 3, frames, joints, bodies]")
            if not hasattr(self, "topology"):
                self.topology = self.given.name if self.given else TOPOLOGIES.get(shape[3], "")
            if not self.topology:
                raise InputError(f"{path}: found {shape[3]} joints, expected --topology, or 25 or 18 joints")
            if shape[3] != len(self.skeleton):
                raise InputError(f"{path}: found {shape[3]} joints, but {self.topology} has {len(self.skeleton)}")
            parts[path.name.startswith("train")] += [
                Annotation(path, f"[{i}]", {"frame_dir": name, "label": label, "total_frames": shape[2], "row": i})
                for i, (name, label) in enumerate(self._labels(path, shape[0]))
            ]
        self.dimensions = self.skeleton.dimensions
        self.classes = self._classes([*parts[True], *parts[False]])
        train, test = ([clip.fields["frame_dir"] for clip in part] for part in parts.values())
        if both := sorted(set(train).intersection(test)):
            raise InputError(f"{root}: {shown(both[0])} is in the training and in the test part")
        folder = root.parent if root.is_file() else root
        self.trained = {folder.name if folder.name in ("xsub", "xview", "xset", "xsetup") else "main": (train, test)}
        return [*parts[True], *parts[False]]

    def read(self, source: Annotation) -> Clip:
        keypoint = map_npy(source.path)[source.fields["row"]].transpose(3, 1, 2, 0)
        return super().read(replace(source, fields=source.fields | {"keypoint": keypoint}))

    def units_of(self, topology: Topology) -> str:
        return "relative" if topology.dimensions == 2 else topology.units

    def files(self, root: Path) -> Sequence[Path]:
        named = [Path(self.class_names)] if self.class_names is not None else []
        return [*named, *(file for path in self._arrays(root) for file in (path, _label_file(path)))]

    def _arrays(self, root: Path) -> list[Path]:
        if self.loose and root.is_file():
            return [root]
        paths = sorted(root.iterdir()) if root.is_dir() else [root] if root.is_file() else []
        found = [path for path in paths if FILE.fullmatch(path.name)]
        if not found or len({path.name.startswith("train") for path in found}) < len(found):
            there = ", ".join(path.name for path in found[:4]) or "none"
            raise InputError(
                f"{root}: found {there}, expected train_data_joint.npy, val_data_joint.npy or both, with _label.pkl"
            )
        return found

    def _labels(self, path: Path, clips: int) -> list[tuple[str, Any]]:
        """Name and label of each clip."""
        if self.loose:
            return [(f"{path.stem}_{i}", 0) for i in range(clips)]
        content = read_pickle(file := _label_file(path))
        parts = content if isinstance(content, list | tuple) else ()
        pair = [part.values.tolist() if isinstance(part, PickledArray) else part for part in parts]
        lists = len(pair) == 2 and all(isinstance(part, list | tuple) and len(part) == clips for part in pair)
        if not lists or not all(isinstance(name, str) for name in pair[0]):
            raise InputError(f"{file}: found {shown(content)}, expected {clips} names and {clips} labels, in a pair of lists")
        return [(name.removesuffix(".skeleton"), label) for name, label in zip(*pair, strict=True)]


def _label_file(path: Path) -> Path:
    return path.with_name(f"{path.name.partition('_data')[0]}_label.pkl")
