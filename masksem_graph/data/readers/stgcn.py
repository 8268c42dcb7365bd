"""The arrays of ST-GCN and its followers: all clips of a part in an .npy, their names and labels in a pickle beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from masksem_graph.data.arrays import map_npy
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.missing import Missing, with_score
from masksem_graph.data.pickles import PickledArray, read_pickle
from masksem_graph.data.readers.base import Origin, Reader
from masksem_graph.data.readers.ntu import ACTIONS, NTU60, check_action
from masksem_graph.data.readers.ntu import NAME as NTU_NAME
from masksem_graph.data.source import CLIP_BYTES, Part
from masksem_graph.errors import InputError, shown
from masksem_graph.topology import Topology

FILE = re.compile(r"(train|val|test)_data(?:_joint)?\.npy")
CLASSES_AT_MOST = 10_000
TOPOLOGIES = {25: "ntu25", 18: "openpose18"}
"""Joints -> what they are where nobody says otherwise: NTU RGB+D's, or Kinetics-Skeleton's."""


@dataclass(frozen=True)
class Row(Part):
    """A clip of an array.

    Args:
        index: of the clip.
        clip: its name.
        label: as the pickle has it.
    """

    index: int
    clip: str
    label: Any


class STGCNReader(Reader):
    """``train_data_joint.npy`` (or ``train_data.npy``) [N, C, T, V, M] and ``train_label.pkl``, a pair of names and labels;
    the same of ``val`` or ``test``. The split is called after their folder where that is ``xsub``, ``xview``, ``xset`` or
    ``xsetup``, else ``main``.

    25 joints are ``ntu25`` in metres, 18 are Kinetics-Skeleton's ``openpose18``: x and y as shares of the picture, and a
    score. A frame of zeros is one without this body. Names like NTU's tell subject, camera, set-up and action, which has to
    agree with the label. The pickle is not run, see `read_pickle`. Only joints are read: bones and motion are streams of
    these.

    Source: Yan et al., ST-GCN, AAAI 2018 (``tools/ntu_gendata.py``); Shi et al., 2s-AGCN, CVPR 2019 (``data_gen``), whose
    clips are centred on the spine in each frame, turned, and repeated up to 300 frames.

    Args:
        topology: name or file of the topology, where the joints are others.
        missing: a joint that was not found (NaN, in an image also zero) goes in a straight line to where it is found next
            (``interpolate``), stays at its last place (``hold``), or the clip is left out (``skip``).
        missing_frames: for how many frames on end a joint may be missing; a clip where it is longer is left out.
    """

    origin: ClassVar[Origin] = "none"
    labelled: ClassVar[bool] = True
    """Whether the pickle has to be there."""

    def __init__(self, *, topology: str | None = None, missing: Missing = "interpolate", missing_frames: int = 30) -> None:
        super().__init__(missing=missing, missing_frames=missing_frames)
        if topology is not None:
            self.topology = topology

    def sources(self, root: Path) -> Sequence[Row]:
        rows: list[Row] = []
        joints: set[int] = set()
        for path in self._arrays(root):
            shape = map_npy(path).shape
            if len(shape) != 5 or 0 in shape or shape[1] != 3 or shape[4] > 10 or math.prod(shape[1:]) * 4 > CLIP_BYTES:
                raise InputError(f"{path}: found shape {list(shape)}, expected [clips, 3, frames, joints, bodies]")
            names, labels = [f"{path.stem}_{i}" for i in range(shape[0])], [0] * shape[0]
            if self.labelled:
                names, labels = _labels(_label_file(path), shape[0])
            joints.add(shape[3])
            rows += [Row(path, f"[{i}]", i, name, label) for i, (name, label) in enumerate(zip(names, labels, strict=True))]
        if not hasattr(self, "topology"):
            self.topology = self.given.name if self.given else TOPOLOGIES.get(min(joints), "")
        if not self.topology:
            raise InputError(f"{root}: found {min(joints)} joints, expected --topology with the skeleton, or 25 or 18 joints")
        if joints != {len(self.skeleton)}:
            raise InputError(f"{root}: found {max(joints)} joints, but {self.topology} has {len(self.skeleton)}")
        self.flat = self.skeleton.dimensions == 2
        self.trained = {row.clip for row in rows if row.path.name.startswith("train")}
        if both := sorted(self.trained & {row.clip for row in rows if not row.path.name.startswith("train")}):
            raise InputError(f"{root}: {shown(both[0])} is in the training and in the test part")
        count = max((row.label for row in rows if type(row.label) is int and row.label < CLASSES_AT_MOST), default=0) + 1
        ntu = count <= len(ACTIONS) and all(NTU_NAME.fullmatch(row.clip) for row in rows)
        self.classes = ACTIONS[: NTU60 if count <= NTU60 else None] if ntu else tuple(f"class {i}" for i in range(count))
        folder = root.parent if root.is_file() else root
        self.split = folder.name if folder.name in ("xsub", "xview", "xset", "xsetup") else "main"
        return rows

    def read(self, source: Row) -> Clip:
        if type(source.label) is not int or not 0 <= source.label < len(self.classes):
            raise InputError(f"{source}: label: found {shown(source.label)}, expected a number from 0")
        try:
            check_action(source.clip, source.label)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        with np.errstate(over="ignore"):
            bodies = np.array(map_npy(source.path)[source.index], np.float32).transpose(3, 1, 2, 0)
        if np.isinf(bodies).any():
            raise InputError(f"{source}: found infinity, expected finite numbers")
        if self.flat:
            try:
                bodies = with_score(bodies[..., :2], bodies[..., 2])
            except InputError as error:
                raise InputError(f"{source}: {error}") from None
        numbers = [int(n) for n in match.groups()] if (match := NTU_NAME.fullmatch(source.clip)) else [-1] * 5
        parts = tuple(Body(start=0, frames=body, present=np.ones(len(body), bool)) for body in bodies)
        setup, camera, subject = numbers[:3]
        return Clip(name=source.clip, label=source.label, subject=subject, camera=camera, setup=setup, bodies=parts)

    def units_of(self, topology: Topology) -> str:
        return "relative" if topology.dimensions == 2 else topology.units

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {self.split: np.isin(clips["name"], list(self.trained))}

    def files(self, root: Path) -> Sequence[Path]:
        return [file for path in self._arrays(root) for file in (path, _label_file(path))]

    def _arrays(self, root: Path) -> list[Path]:
        paths = sorted(root.iterdir()) if root.is_dir() else [root] if root.is_file() else []
        found = [path for path in paths if FILE.fullmatch(path.name)]
        parts = {FILE.fullmatch(path.name)[1] != "train" for path in found}  # type: ignore[index]
        if not found or len(parts) < len(found):
            there = ", ".join(path.name for path in found[:4]) or "none"
            expected = "train_data_joint.npy, val_data_joint.npy or both, each with its _label.pkl"
            raise InputError(f"{root}: found {there}, expected {expected}")
        return found


def _label_file(path: Path) -> Path:
    return path.with_name(f"{path.name.partition('_data')[0]}_label.pkl")


def _labels(path: Path, clips: int) -> tuple[list[str], list[Any]]:
    content = read_pickle(path)
    pair = [part.values.tolist() if isinstance(part, PickledArray) else part for part in content] if _is_list(content) else []
    if len(pair) != 2 or not all(map(_is_list, pair)) or not all(isinstance(name, str) for name in pair[0]):
        raise InputError(f"{path}: found {shown(content)}, expected a pair of lists: names and labels")
    names, labels = pair
    if not len(names) == len(labels) == clips:
        raise InputError(f"{path}: found {len(names)} names and {len(labels)} labels, but the array has {clips} clips")
    return [name.removesuffix(".skeleton") for name in names], list(labels)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
