"""The annotation files of pyskl and MMAction2: a pickle of all clips and splits, in 3D or as 2D key points."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.missing import Missing, with_score
from masksem_graph.data.pickles import PickledArray, read_pickle
from masksem_graph.data.readers.base import Reader
from masksem_graph.data.readers.ntu import ACTIONS, NTU60, check_action
from masksem_graph.data.readers.ntu import NAME as NTU_NAME
from masksem_graph.data.source import Part, read_lines
from masksem_graph.errors import InputError, shown
from masksem_graph.topology import Topology, load_topology

TOPOLOGIES = {(25, 3): "ntu25", (17, 2): "coco17"}
"""Joints and coordinates of ``keypoint`` -> what they are where nobody says otherwise."""

WORD = re.compile(r"(?:^|[_-])(train|val|test)(?:ing|idation)?(?:[_-]|(?=\d)|$)", re.IGNORECASE)
"""What tells the part in a split's name: a word of its own."""
CLASSES_AT_MOST = 10_000
Units = Literal["file", "image"]


@dataclass(frozen=True)
class Annotation(Part):
    """An entry of ``annotations``.

    Args:
        fields: of what the reader uses, those that it has.
    """

    fields: dict[str, Any]


class PysklReader(Reader):
    """``{"split": {name: [ids]}, "annotations": [{"frame_dir", "total_frames", "label", "keypoint", ...}]}``.

    ``keypoint`` [M, T, V, C] are M bodies over T frames. On a topology in pixels these are x and y, or x, y and a score; the
    score may also stand in ``keypoint_score`` [M, T, V], and is 1 where there is none. On any other topology they are x, y, z.
    A joint of zeros, of NaN or with a score of 0 was not found. ``frame_dir`` is the clip's name; one like NTU's tells
    subject, camera, set-up and action, which has to agree with the label.

    The splits ``xsub_train`` and ``xsub_val`` become ``xsub``, ``train1`` and ``test1`` become ``split1``, ``train`` and
    ``val`` become ``main``; a clip in neither list is in neither part.

    The pickle is not run: whatever it names besides arrays, numbers, text and containers is an error.

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
        path = _one_file(root)
        content = read_pickle(path)
        if not isinstance(content, dict) or not {"split", "annotations"} <= set(content):
            raise InputError(f"{path}: found {shown(content)}, expected a dictionary with split and annotations")
        annotations, split = content["annotations"], content["split"]
        if not isinstance(annotations, list) or not annotations:
            raise InputError(f"{path}: annotations: found {shown(annotations)}, expected a list with at least one clip")
        found = [_annotation(path, i, fields) for i, fields in enumerate(annotations)]
        self.topology = getattr(self, "topology", None) or _topology(path, found, self.units)
        self.dimensions = load_topology(self.topology).dimensions
        if self.units == "image" and self.dimensions == 3:
            raise InputError(f"{path}: --units image is for points of an image, but the topology {self.topology} is in 3D")
        self.classes = self._classes(found)
        self.trained = _split_parts(path, split, {name for a in found if isinstance(name := a.fields.get("frame_dir"), str)})
        return found

    def read(self, source: Annotation) -> Clip:
        name, label = source.fields.get("frame_dir"), source.fields.get("label")
        if not isinstance(name, str) or not name:
            raise InputError(f"{source}: frame_dir: found {shown(name)}, expected the clip's name")
        if type(label) is not int or not 0 <= label < len(self.classes):
            raise InputError(f"{source}: label: found {shown(label)}, expected 0 to {len(self.classes) - 1}")
        if self.class_names is None:
            try:
                check_action(name, label)
            except InputError as error:
                raise InputError(f"{source}: {error}") from None
        keypoint = self._keypoint(source)
        numbers = [int(n) for n in match.groups()] if (match := NTU_NAME.fullmatch(name)) else [-1] * 5
        return Clip(
            name=name,
            label=label,
            subject=numbers[2],
            camera=numbers[1],
            setup=numbers[0],
            bodies=tuple(Body(start=0, frames=body, present=np.ones(len(body), bool)) for body in keypoint),
        )

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            split: np.where(np.isin(clips["name"], train), 1, np.where(np.isin(clips["name"], test), 0, -1))
            for split, (train, test) in self.trained.items()
        }

    def files(self, root: Path) -> Sequence[Path]:
        return [_one_file(root), *([Path(self.class_names)] if self.class_names is not None else [])]

    def units_of(self, topology: Topology) -> str:
        return "image" if self.units == "image" else topology.units

    def _keypoint(self, source: Annotation) -> Float32[np.ndarray, "M T V 3"]:
        keypoint = _array(source, "keypoint", dimensions=4)
        total, channels = source.fields.get("total_frames"), keypoint.shape[3]
        if type(total) is not int or total != keypoint.shape[1]:
            raise InputError(f"{source}: total_frames: found {shown(total)}, but keypoint has {keypoint.shape[1]} frames")
        scored = "keypoint_score" in source.fields
        if self.dimensions == 3:
            if channels != 3 or scored:
                found = f"{channels} coordinates" + (" and keypoint_score" if scored else "")
                raise InputError(f"{source}: keypoint: found {found}, but {self.topology} is in 3D, expected x, y, z alone")
            return keypoint
        if channels not in (2, 3) or (channels == 3 and scored):
            found = f"{channels} channels" + (" and keypoint_score" if scored else "")
            raise InputError(
                f"{source}: keypoint: found {found}, but {self.topology} is in an image, expected x, y, one score"
            )
        score = _array(source, "keypoint_score", dimensions=3) if scored else keypoint[..., 2] if channels == 3 else None
        if score is not None and score.shape != keypoint.shape[:3]:
            expected = list(keypoint.shape[:3])
            raise InputError(f"{source}: keypoint_score: found shape {list(score.shape)}, expected {expected}")
        try:
            points = with_score(keypoint[..., :2], score)
        except InputError as error:
            raise InputError(f"{source}: keypoint: {error}") from None
        if self.units == "image":
            seen = (points != 0).any(axis=(2, 3), keepdims=True)
            points[..., :2] = np.where(seen, _in_image(source, points[..., :2]), 0)
        return points

    def _classes(self, annotations: Sequence[Annotation]) -> tuple[str, ...]:
        if self.class_names is not None:
            return _names(Path(self.class_names))
        labels = [label for a in annotations if type(label := a.fields.get("label")) is int and 0 <= label < CLASSES_AT_MOST]
        count = max(labels, default=0) + 1
        if count <= len(ACTIONS) and all(NTU_NAME.fullmatch(str(a.fields.get("frame_dir"))) for a in annotations):
            return ACTIONS[: NTU60 if count <= NTU60 else len(ACTIONS)]
        return tuple(f"class {i}" for i in range(count))


def _one_file(root: Path) -> Path:
    found = sorted(path for path in root.iterdir() if path.suffix in (".pkl", ".pickle")) if root.is_dir() else [root]
    if len(found) != 1 or not found[0].is_file():
        there = ", ".join(path.name for path in found[:4]) if root.is_dir() and found else "none"
        raise InputError(f"{root}: found {there}, expected one .pkl file")
    return found[0]


def _names(path: Path) -> tuple[str, ...]:
    """One class name a line."""
    lines = read_lines(path)
    while lines and not lines[-1][1]:
        lines.pop()
    seen: dict[str, int] = {}
    for number, name in lines:
        if not name:
            raise InputError(f"{path}: line {number}: found nothing, expected a class name")
        if name in seen:
            raise InputError(f"{path}: line {number}: found {name[:60]!r}, which stands in line {seen[name]} already")
        seen[name] = number
    return tuple(seen)


def _annotation(path: Path, i: int, fields: Any) -> Annotation:
    used = ("frame_dir", "total_frames", "label", "keypoint", "keypoint_score", "img_shape")
    known = {name: fields[name] for name in used if name in fields} if isinstance(fields, dict) else {}
    for name, value in known.items():
        if isinstance(value, PickledArray):
            known[name] = value.values
    return Annotation(path, f"annotations[{i}]", known)


def _topology(path: Path, annotations: Sequence[Annotation], units: Units) -> str:
    shapes = (a.fields["keypoint"].shape for a in annotations if isinstance(a.fields.get("keypoint"), np.ndarray))
    shape = next((shape for shape in shapes if len(shape) == 4), None)
    if shape is None:
        raise InputError(f"{path}: annotations: found no keypoint of shape [M, T, V, C]")
    if units == "image" and shape[3] == 3:
        raise InputError(
            f"{path}: found {shape[2]} joints of 3 numbers and --units image: x, y, z, or x, y and a score? "
            "Expected --topology with the skeleton"
        )
    try:
        return TOPOLOGIES[shape[2:]]
    except KeyError:
        raise InputError(
            f"{path}: found {shape[2]} joints of {shape[3]} coordinates; expected --topology FILE, or 25 of 3 or 17 of 2"
        ) from None


def _array(source: Annotation, name: str, *, dimensions: int) -> Float32[np.ndarray, "..."]:
    values = source.fields.get(name)
    if not isinstance(values, np.ndarray) or values.ndim != dimensions or 0 in values.shape:
        found = f"shape {list(values.shape)}" if isinstance(values, np.ndarray) else shown(values)
        raise InputError(f"{source}: {name}: found {found}, expected {'[M, T, V, C]' if dimensions == 4 else '[M, T, V]'}")
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if np.isinf(values).any():
        at = [int(i) for i in np.argwhere(np.isinf(values))[0]]
        raise InputError(f"{source}: {name}{at}: found {values[tuple(at)]}, expected a finite number")
    return values


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
