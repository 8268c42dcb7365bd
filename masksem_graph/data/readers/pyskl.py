"""The annotation files of pyskl and MMAction2: a pickle of all clips and splits, in 3D or as 2D key points."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.arrays import as_float32
from masksem_graph.data.clip import Clip
from masksem_graph.data.missing import Missing, coordinates
from masksem_graph.data.pickles import PickledArray, read_pickle
from masksem_graph.data.readers.base import Reader, one_file, whole_bodies
from masksem_graph.data.readers.ntu import ACTIONS, NTU60
from masksem_graph.data.readers.ntu import NAME as NTU_NAME
from masksem_graph.data.source import Part, read_lines
from masksem_graph.errors import InputError, shown
from masksem_graph.topology import Topology

TOPOLOGIES = {(25, 3): "ntu25", (17, 2): "coco17"}
"""Joints and coordinates of ``keypoint`` -> what they are where nobody says otherwise."""
WORD = re.compile(r"(?:^|[_-])(train|val|test)(?:ing|idation)?(?:[_-]|(?=\d)|$)", re.IGNORECASE)
"""What tells the part in a split's name: a word of its own."""
USED = ("frame_dir", "total_frames", "label", "keypoint", "keypoint_score", "img_shape")
CLASSES_AT_MOST = 10_000
Units = Literal["file", "image"]


@dataclass(frozen=True)
class Annotation(Part):
    """An entry of ``annotations``: of the fields that the reader uses, those that it has."""

    fields: dict[str, Any]


class PysklReader(Reader):
    """``{"split": {name: [ids]}, "annotations": [{"frame_dir", "total_frames", "label", "keypoint", ...}]}``.

    ``keypoint`` [M, T, V, C] are M bodies over T frames: x, y, z, or on a topology in pixels x, y and perhaps a score, which
    may also stand in ``keypoint_score`` [M, T, V]. A joint of zeros, of NaN or with a score of 0 was not found. ``frame_dir``
    is the clip's name; one like NTU's tells subject, camera, set-up and action, which has to agree with the label.

    The splits ``xsub_train`` and ``xsub_val`` become ``xsub``, ``train1`` and ``test1`` become ``split1``, ``train`` and
    ``val`` become ``main``. The pickle is not run.

    Source: Duan et al., PYSKL: Towards good practices for skeleton action recognition, ACM MM 2022.

    Args:
        topology: name or file of the topology; needed where the joints are not NTU's 25 or COCO's 17.
        class_names: a text file with one class name a line, as MMAction2's label maps.
        units: ``file`` leaves pixels as they are; ``image`` measures them from the image's centre in halves of its longer
            side, which makes clips of different cameras alike: what to train on.
        missing: a joint that was not found goes in a straight line to where it is found next (``interpolate``), stays at its
            last place (``hold``), or the clip is left out (``skip``).
        missing_frames: for how many frames on end a joint may be missing; a clip where it is longer is left out.
    """

    zero_is_missing: ClassVar[bool] = True

    def __init__(
        self,
        *,
        topology: str | None = None,
        class_names: str | os.PathLike[str] | None = None,
        units: Units = "file",
        missing: Missing = "interpolate",
        missing_frames: int = 30,
    ) -> None:
        if topology is not None:
            self.topology = topology
        self.class_names, self.units = class_names, units
        super().__init__(missing=missing, missing_frames=missing_frames)

    def sources(self, root: Path) -> Sequence[Annotation]:
        path = one_file(root, ".pkl", ".pickle")
        content = read_pickle(path)
        if self.loose and not (isinstance(content, dict) and "annotations" in content):
            content = {"annotations": content if isinstance(content, list | tuple) else [content]}
        needed = {"annotations"} if self.loose else {"split", "annotations"}
        if not isinstance(content, dict) or not needed <= set(content):
            raise InputError(f"{path}: found {shown(content)}, expected a dictionary with split and annotations")
        annotations = content["annotations"]
        if not isinstance(annotations, list | tuple) or not annotations:
            raise InputError(f"{path}: annotations: found {shown(annotations)}, expected a list with at least one clip")
        found = [_annotation(path, i, fields, named=self.loose) for i, fields in enumerate(annotations)]
        known = self.given.name if self.given else getattr(self, "topology", None)
        self.topology = known or _topology(path, found, self.units)
        self.dimensions = self.skeleton.dimensions
        if self.units == "image" and self.dimensions == 3:
            raise InputError(f"{path}: --units image is for points of an image, but the topology {self.topology} is in 3D")
        self.classes = self._classes(found)
        names = {name for a in found if isinstance(name := a.fields.get("frame_dir"), str)}
        self.trained = {} if self.loose else _split_parts(path, content["split"], names)
        return found

    def read(self, source: Annotation) -> Clip:
        bodies = whole_bodies(self._keypoint(source))
        if self.loose:
            return Clip(name=source.name, label=-1, bodies=bodies)
        name, label = source.fields.get("frame_dir"), source.fields.get("label")
        if not isinstance(name, str) or not name:
            raise InputError(f"{source}: frame_dir: found {shown(name)}, expected the clip's name")
        if type(label) is not int or not 0 <= label < len(self.classes):
            raise InputError(f"{source}: label: found {shown(label)}, expected 0 to {len(self.classes) - 1}")
        match = NTU_NAME.fullmatch(name)
        setup, camera, subject, _, action = map(int, match.groups()) if match else (-1, -1, -1, -1, label + 1)
        if self.class_names is None and action != label + 1:
            raise InputError(
                f"{source}: label: found {label}, but the name {name} says action A{action:03}, which is label {action - 1}; "
                "expected labels from 0 in the order of the actions, or --class_names"
            )
        return Clip(name=name, label=label, subject=subject, camera=camera, setup=setup, bodies=bodies)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            split: np.where(np.isin(clips["name"], train), 1, np.where(np.isin(clips["name"], test), 0, -1))
            for split, (train, test) in self.trained.items()
        }

    def files(self, root: Path) -> Sequence[Path]:
        return [one_file(root, ".pkl", ".pickle"), *([Path(self.class_names)] if self.class_names is not None else [])]

    def units_of(self, topology: Topology) -> str:
        return "image" if self.units == "image" else topology.units

    def _keypoint(self, source: Annotation) -> Float32[np.ndarray, "M T V 3"]:
        keypoint = _array(source, "keypoint", "[M, T, V, C]")
        total = source.fields.get("total_frames", keypoint.shape[1] if self.loose else None)
        if type(total) is not int or total != keypoint.shape[1]:
            raise InputError(f"{source}: total_frames: found {shown(total)}, but keypoint has {keypoint.shape[1]} frames")
        score = _array(source, "keypoint_score", "[M, T, V]") if "keypoint_score" in source.fields else None
        if score is not None and score.shape != (shape := keypoint.shape[:3]):
            raise InputError(f"{source}: keypoint_score: found shape {list(score.shape)}, expected {list(shape)}")
        points = coordinates(f"{source}: keypoint", keypoint, self.topology, self.dimensions, score=score)
        if self.units == "image":
            seen = (points != 0).any(axis=(2, 3), keepdims=True)
            points[..., :2] = np.where(seen, _in_image(source, points[..., :2]), 0)
        return points

    def _classes(self, annotations: Sequence[Annotation]) -> tuple[str, ...]:
        if self.loose:
            return ("unknown",)
        if self.class_names is not None:
            return _names(Path(self.class_names))
        labels = [label for a in annotations if type(label := a.fields.get("label")) is int and 0 <= label < CLASSES_AT_MOST]
        count = max(labels, default=0) + 1
        if count <= len(ACTIONS) and all(NTU_NAME.fullmatch(str(a.fields.get("frame_dir"))) for a in annotations):
            return ACTIONS[: NTU60 if count <= NTU60 else len(ACTIONS)]
        return tuple(f"class {i}" for i in range(count))


def _names(path: Path) -> tuple[str, ...]:
    """One class name a line."""
    seen: dict[str, int] = {}
    for number, name in read_lines(path):
        if number > len(seen) + 1:
            raise InputError(f"{path}: line {len(seen) + 1}: found nothing, expected a class name")
        if name in seen:
            raise InputError(f"{path}: line {number}: found {name[:60]!r}, which stands in line {seen[name]} already")
        seen[name] = number
    return tuple(seen)


def _annotation(path: Path, i: int, fields: Any, *, named: bool) -> Annotation:
    known = {name: fields[name] for name in USED if name in fields} if isinstance(fields, dict) else {}
    arrays = {name: value.values for name, value in known.items() if isinstance(value, PickledArray)}
    name = known.get("frame_dir") if named else None
    return Annotation(path, name if isinstance(name, str) and name else f"annotations[{i}]", known | arrays)


def _topology(path: Path, annotations: Sequence[Annotation], units: Units) -> str:
    arrays = (a.fields.get("keypoint") for a in annotations)
    shape = next((a.shape for a in arrays if isinstance(a, np.ndarray) and a.ndim == 4), None)
    if shape is None:
        raise InputError(f"{path}: annotations: found no keypoint of shape [M, T, V, C]")
    found = f"{path}: found {shape[2]} joints of {shape[3]} coordinates"
    if units == "image" and shape[3] == 3:
        raise InputError(f"{found} and --units image: x, y, z, or x, y and a score? Expected --topology with the skeleton")
    if shape[2:] not in TOPOLOGIES:
        raise InputError(f"{found}; expected --topology FILE, or 25 of 3 or 17 of 2")
    return TOPOLOGIES[shape[2:]]


def _array(source: Annotation, name: str, axes: str) -> Float32[np.ndarray, "..."]:
    values = source.fields.get(name)
    if not isinstance(values, np.ndarray) or values.ndim != len(axes.split(",")) or 0 in values.shape:
        found = f"shape {list(values.shape)}" if isinstance(values, np.ndarray) else shown(values)
        raise InputError(f"{source}: {name}: found {found}, expected {axes}")
    return as_float32(f"{source}: {name}", values)


def _in_image(source: Annotation, keypoint: Float32[np.ndarray, "M T V 2"]) -> Float32[np.ndarray, "M T V 2"]:
    size = source.fields.get("img_shape")
    if not isinstance(size, tuple | list) or len(size) != 2 or not all(type(n) is int and 0 < n < 2**20 for n in size):
        raise InputError(f"{source}: img_shape: found {shown(size)}, expected (height, width)")
    height, width = size
    return (keypoint - np.array([width, height], np.float32) / 2) * np.float32(2 / max(width, height))


def _split_parts(path: Path, split: Any, known: set[str]) -> dict[str, tuple[list[str], list[str]]]:
    """Split name -> the clips of its training and of its test set."""
    if not isinstance(split, dict):
        raise InputError(f"{path}: split: found {shown(split)}, expected a dictionary of lists")
    parts: dict[str, dict[str, list[str]]] = {}
    for name, ids in split.items():
        word = WORD.search(name) if isinstance(name, str) else None
        if word is None:
            raise InputError(f"{path}: split: found {shown(name)}, expected names with train, val or test")
        if not isinstance(ids, list | tuple) or not all(isinstance(i, str) for i in ids):
            raise InputError(f"{path}: split[{name!r}]: found {shown(ids)}, expected a list of clip names")
        if unknown := next((i for i in ids if i not in known), None):
            raise InputError(f"{path}: split[{name!r}]: found {shown(unknown)}, which is none of the {len(known)} annotations")
        rest, part = WORD.sub("_", name, count=1).strip("_-"), word[1].lower()
        split_parts = parts.setdefault(f"split{rest}" if rest.isdigit() else rest or "main", {})
        if part in split_parts:
            raise InputError(f"{path}: split: found {shown(name)} and a second list of the same {part} part")
        split_parts[part] = list(ids)
    pairs = {name: (part.get("train", []), part.get("test") or part.get("val", [])) for name, part in parts.items()}
    for name, (train, test) in pairs.items():
        if both := sorted(set(train).intersection(test)):
            raise InputError(f"{path}: split {name}: {shown(both[0])} is in its training and in its test part")
    return pairs
