"""The annotation files of pyskl and MMAction2: a pickle of all clips and splits, in 3D or as 2D key points."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.cleaning import with_score
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.pickles import StoredArray, read_pickle, shown
from masksem_graph.data.readers.base import Reader
from masksem_graph.data.readers.ntu import ACTIONS, NTU60
from masksem_graph.data.readers.ntu import NAME as NTU_NAME
from masksem_graph.data.source import Part, read_text_file
from masksem_graph.errors import InputError

TOPOLOGIES = {(25, 3): "ntu25", (17, 2): "coco17"}
"""Joints and coordinates of ``keypoint`` -> what they are where nobody says otherwise."""

WORD = re.compile(r"[_-]?(train|val|test)[_-]?")
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

    ``keypoint`` [M, T, V, C] are M bodies over T frames. Three coordinates are taken as they are. Of two, pixels to the right
    and downwards, ``keypoint_score`` [M, T, V] becomes the third, 1 where there is none. A frame of zeros is one in which the
    body was not seen. ``frame_dir`` is the clip's name; one like NTU's tells subject, camera and set-up.

    The splits ``xsub_train`` and ``xsub_val`` become ``xsub``, ``train1`` and ``test1`` become ``split1``, ``train`` and
    ``val`` become ``main``; a clip in neither list is in neither part.

    The pickle is not run: whatever it names besides arrays, numbers, text and containers is an error.

    Source: Duan et al., PYSKL: Towards good practices for skeleton action recognition, ACM MM 2022.

    Args:
        topology: name or file of the topology; needed where the joints are not NTU's 25 or COCO's 17.
        class_names: a text file with one class name a line, as MMAction2's label maps.
        units: ``file`` leaves pixels as they are; ``image`` measures them from the image's centre in halves of its longer
            side, which makes clips of different cameras alike: what to train on.
    """

    def __init__(
        self,
        *,
        topology: str | None = None,
        class_names: str | os.PathLike[str] | None = None,
        units: Units = "file",
    ) -> None:
        if topology is not None:
            self.topology = topology
        self.class_names, self.units = class_names, units

    def sources(self, root: Path) -> Sequence[Annotation]:
        path = _one_file(root)
        content = read_pickle(path)
        if not isinstance(content, dict) or not {"split", "annotations"} <= set(content):
            raise InputError(f"{path}: found {shown(content)}, expected a dictionary with split and annotations")
        annotations, split = content["annotations"], content["split"]
        if not isinstance(annotations, list) or not annotations:
            raise InputError(f"{path}: annotations: found {shown(annotations)}, expected a list with at least one clip")
        found = [_annotation(path, i, fields) for i, fields in enumerate(annotations)]
        self.topology = getattr(self, "topology", None) or _topology(path, found)
        self.classes = self._classes(found)
        self.trained = _split_parts(path, split, {name for a in found if isinstance(name := a.fields.get("frame_dir"), str)})
        return found

    def read(self, source: Annotation) -> Clip:
        name, label = source.fields.get("frame_dir"), source.fields.get("label")
        if not isinstance(name, str) or not name:
            raise InputError(f"{source}: frame_dir: found {shown(name)}, expected the clip's name")
        if type(label) is not int or not 0 <= label < len(self.classes):
            raise InputError(f"{source}: label: found {shown(label)}, expected 0 to {len(self.classes) - 1}")
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

    def _keypoint(self, source: Annotation) -> Float32[np.ndarray, "M T V C"]:
        keypoint = _array(source, "keypoint", dimensions=4)
        total = source.fields.get("total_frames")
        if type(total) is not int or total != keypoint.shape[1]:
            raise InputError(f"{source}: total_frames: found {shown(total)}, but keypoint has {keypoint.shape[1]} frames")
        if keypoint.shape[3] == 3:
            return keypoint
        if keypoint.shape[3] != 2:
            raise InputError(f"{source}: keypoint: found {keypoint.shape[3]} coordinates, expected 2 or 3")
        score = None
        if "keypoint_score" in source.fields:
            score = _array(source, "keypoint_score", dimensions=3)
            if score.shape != keypoint.shape[:3]:
                found, expected = list(score.shape), list(keypoint.shape[:3])
                raise InputError(f"{source}: keypoint_score: found shape {found}, expected {expected}")
        scored = with_score(keypoint, score)
        if self.units == "image":
            seen = (keypoint != 0).any(axis=(2, 3), keepdims=True)
            scored[..., :2] = np.where(seen, _in_image(source, keypoint), 0)
        return scored

    def _classes(self, annotations: Sequence[Annotation]) -> tuple[str, ...]:
        if self.class_names is not None:
            lines = read_text_file(Path(self.class_names)).decode("utf-8", "replace").splitlines()
            return tuple(line.strip() for line in lines if line.strip())
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


def _annotation(path: Path, i: int, fields: Any) -> Annotation:
    used = ("frame_dir", "total_frames", "label", "keypoint", "keypoint_score", "img_shape")
    known = {name: fields[name] for name in used if name in fields} if isinstance(fields, dict) else {}
    return Annotation(path, f"annotations[{i}]", known)


def _topology(path: Path, annotations: Sequence[Annotation]) -> str:
    shapes = (a.fields["keypoint"].shape for a in annotations if isinstance(a.fields.get("keypoint"), StoredArray))
    shape = next((shape for shape in shapes if len(shape) == 4), None)
    if shape is None:
        raise InputError(f"{path}: annotations: found no keypoint of shape [M, T, V, C]")
    try:
        return TOPOLOGIES[shape[2:]]
    except KeyError:
        raise InputError(
            f"{path}: found {shape[2]} joints of {shape[3]} coordinates; expected --topology FILE, or 25 of 3 or 17 of 2"
        ) from None


def _array(source: Annotation, name: str, *, dimensions: int) -> Float32[np.ndarray, "..."]:
    stored = source.fields.get(name)
    if not isinstance(stored, StoredArray) or len(stored.shape) != dimensions or 0 in stored.shape:
        found = f"shape {list(stored.shape)}" if isinstance(stored, StoredArray) else shown(stored)
        raise InputError(f"{source}: {name}: found {found}, expected {'[M, T, V, C]' if dimensions == 4 else '[M, T, V]'}")
    try:
        values = stored.load(source.path)
    except InputError as error:
        raise InputError(f"{source}: {name}: {error}") from None
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        at = [int(i) for i in np.argwhere(~np.isfinite(values))[0]]
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
        rest = WORD.sub("", name, count=1)
        parts.setdefault(f"split{rest}" if rest.isdigit() else rest or "main", {})[word[1]] = list(ids)
    return {name: (part.get("train", []), part.get("test") or part.get("val", [])) for name, part in parts.items()}
