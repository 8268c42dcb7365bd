"""One's own clips: an array a clip, a table of labels and groups, and a description of skeleton and splits."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.arrays import map_npy
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.keypoints import bodies_of, people_of_line, read_json_lines
from masksem_graph.data.missing import Missing, with_score
from masksem_graph.data.own_splits import Table, own_splits
from masksem_graph.data.readers.base import Reader
from masksem_graph.data.source import CLIP_BYTES, Part, read_text_file
from masksem_graph.errors import InputError, shown
from masksem_graph.files import read_yaml

DESCRIPTION, TABLE = "dataset.yaml", "clips.csv"
FIELDS = ("topology", "axes", "classes", "splits")
AXES = "MTVC"
GROUPS = ("subject", "camera", "setup")


@dataclass(frozen=True)
class Row(Part):
    """A line of the table; ``path`` and ``name`` are the table and the line, or the clip and nothing without a table.

    Args:
        array: the clip's file.
        clip: the clip's name.
        label: class index from 0; -1 where the cell is empty, -2 where it names no class.
        text: the cell with the label.
        groups: subject, camera, setup; -1 where unknown.
    """

    array: Path
    clip: str
    label: int
    text: str
    groups: tuple[int, int, int]

    def __str__(self) -> str:
        return super().__str__() if self.name else str(self.path)


class FolderReader(Reader):
    """Any skeleton, any split, nothing to program; docs/data.md has an example from arrays to a trained encoder.

    ``clips.csv`` has a line a clip: ``file`` (below the folder), ``label`` (the class's name, or nothing), ``subject``,
    ``camera``, ``setup`` and any other column to split by. A clip is an .npy [T, V, C] or [M, T, V, C]; in 3D C is x, y, z, in
    an image x, y or x, y, score. Or it is a .jsonl with a line a frame, see `people_of_line`. A joint of zeros or NaN was not
    found; a frame of them is one without this body. ``dataset.yaml`` names the ``topology`` (a file beside it, or a shipped
    one), the ``axes`` of the arrays where they are others (``CTVM``), the ``classes`` in the order wanted (else the labels,
    sorted), and the ``splits``, see `own_splits`.

    Args:
        axes: of the arrays, where ``dataset.yaml`` does not say.
        missing: a joint that was not found goes in a straight line to where it is found next (``interpolate``), stays at its
            last place (``hold``), or the clip is left out (``skip``).
        missing_frames: for how many frames on end a joint may be missing; a clip where it is longer is left out.
    """

    endings: ClassVar[tuple[str, ...]] = (".npy", ".jsonl")
    """Of files that are a clip."""
    zero_is_missing: ClassVar[bool] = True
    described: ClassVar[bool] = True
    """Whether ``dataset.yaml`` and ``clips.csv`` have to be there. A format whose files tell their joints does without: the
    first folder on the way to a clip is its label then, and a file may be read by itself."""

    def __init__(self, *, axes: str | None = None, missing: Missing = "interpolate", missing_frames: int = 30) -> None:
        self.axes = None if axes is None else _axes("--axes", axes)
        super().__init__(missing=missing, missing_frames=missing_frames)

    def sources(self, root: Path) -> Sequence[Row]:
        if not (root.is_dir() or (root.exists() and not self.described)):
            raise InputError(f"{root}: no such folder, expected one with {DESCRIPTION} and {TABLE}")
        path, table = root / DESCRIPTION, root / TABLE
        described = _description(path, complete=self.described) if self.described or path.is_file() else {}
        lines = _table(table) if self.described or table.is_file() else self._found(root)
        self.axes = described.get("axes", self.axes)
        self.classes = _classes(path, described.get("classes"), [line["label"] for _, line in lines])
        numbered = {group: _numbers([line.get(group, "") for _, line in lines]) for group in GROUPS}
        index = {name: i for i, name in enumerate(self.classes)} | {"": -1}
        rows = []
        for i, (number, line) in enumerate(lines):
            groups = (numbered["subject"][i], numbered["camera"][i], numbered["setup"][i])
            place, label, array = f"line {number}" if number else "", line["label"], root / line["file"]
            clip = line["file"] or root.name
            clip = next((clip.removesuffix(ending) for ending in self.endings if clip.endswith(ending)), clip)
            rows.append(Row(table if number else array, place, array, clip, index.get(label, -2), label, groups))
        known = self.given.name if self.given else getattr(self, "topology", None)
        named = described.get("topology") or known or self._told(root, rows)
        self.topology = str(root / named) if os.path.isfile(root / named) else named
        self.joints, self.dimensions = len(self.skeleton), self.skeleton.dimensions
        self._splits, self._described = described.get("splits") or {}, path
        self._table = {row.clip: line for row, (_, line) in zip(rows, lines, strict=True)}
        return rows

    @classmethod
    def is_clip(cls, path: Path) -> bool:
        """Whether a file or a folder is a clip by itself."""
        return path.suffix.lower() in cls.endings and path.is_file()

    def files_of(self, clip: Path) -> Sequence[Path]:
        """The files of a clip, in order."""
        return [clip]

    def _found(self, root: Path) -> list[tuple[int, dict[str, str]]]:
        """The clips below a folder as lines of a table that nobody wrote."""
        paths = [root] if self.is_clip(root) else sorted(path for path in root.rglob("*") if self.is_clip(path))
        if not paths:
            raise InputError(f"{root}: found no clip, expected {' or '.join(self.endings)}, in a folder for each class")
        names = [path.relative_to(root).parts for path in paths]
        return [(0, {"file": "/".join(parts), "label": parts[0] if len(parts) > 1 else ""}) for parts in names]

    def fitting(self, path: Path) -> Sequence[str]:
        """The topologies that a clip's joints may follow."""
        return ()

    def _told(self, root: Path, rows: Sequence[Row]) -> str:
        """The topology that the first good clip tells."""
        bad: InputError | None = None
        for row in rows:
            try:
                fit = self.fitting(row.array)
            except InputError as error:  # a bad clip, which is listed later
                bad = bad or error
                continue
            if len(fit) > 1:
                raise InputError(f"{row.array}: {' or '.join(fit)}? Expected --topology with one of them")
            if fit:
                return fit[0]
        raise bad or InputError(f"{root}: found nobody in its clips, expected --topology")

    def read(self, source: Row) -> Clip:
        if source.label == -2:
            known = ", ".join(self.classes[:6]) + (", ..." if len(self.classes) > 6 else "")
            raise InputError(f"{source}: label: found {source.text[:60]!r}, expected one of {known}")
        bodies = self._bodies(source.array)
        return Clip(
            name=source.clip,
            label=source.label,
            subject=source.groups[0],
            camera=source.groups[1],
            setup=source.groups[2],
            bodies=tuple(Body(start=0, frames=body, present=np.ones(len(body), bool)) for body in bodies),
        )

    def _bodies(self, path: Path) -> Float32[np.ndarray, "M T V 3"]:
        if path.suffix.lower() == ".jsonl":
            lines = read_json_lines(path)
            people = {i: people_of_line(place, line, self.joints, self.dimensions) for i, (place, line) in enumerate(lines)}
            return bodies_of(path, people, self.joints, self.dimensions)
        array = _array(path)
        found = f"{path}: found shape {list(array.shape)}"
        if self.axes is not None:
            if array.ndim != len(self.axes):
                raise InputError(f"{found}, expected the axes {self.axes}")
            array = array.transpose([self.axes.index(axis) for axis in AXES if axis in self.axes])
        bodies = array[None] if array.ndim == 3 else array
        count, frames, joints, channels = bodies.shape
        if joints != self.joints:
            raise InputError(f"{found}, expected [T, V, C] or [M, T, V, C] of {self.joints} joints; see axes in {DESCRIPTION}")
        if count > 1 and count >= frames and self.axes is None:
            readings = f"{count} bodies over {frames} frames, or {frames} bodies over {count} frames"
            raise InputError(f"{found}: {readings}? Expected axes: MTVC or TMVC in {DESCRIPTION}")
        if self.dimensions == 3:
            if channels != 3:
                raise InputError(f"{found}, {channels} coordinates, but {self.topology} is in 3D, expected x, y, z")
            return bodies
        if channels not in (2, 3):
            raise InputError(f"{found}, {channels} channels, but {self.topology} is in an image, expected x, y or x, y, score")
        try:
            return with_score(bodies[..., :2], bodies[..., 2] if channels == 3 else None)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return own_splits(self._splits, Table(self._described, clips, self._table))

    def files(self, root: Path) -> Sequence[Path]:
        rows = self.sources(root)
        chosen = [what for split in self._splits.values() if isinstance(split, dict) for what in split.values()]
        listed = [root / what for what in chosen if isinstance(what, str)]
        clips = [file for row in rows for file in self.files_of(row.array)]
        paths = [root / DESCRIPTION, root / TABLE, Path(self.topology), *listed, *clips]
        return [path for path in dict.fromkeys(paths) if path.is_file()]


def _description(path: Path, *, complete: bool) -> dict[str, Any]:
    # Text as it stands: a class may be called yes, and a subject 01.
    fields = read_yaml(path, as_text=True)
    if not isinstance(fields, dict) or not isinstance(fields.get("topology", None if complete else ""), str):
        raise InputError(f"{path}: topology: expected the name or the file of the clips' topology")
    if unknown := sorted(set(map(str, fields)) - set(FIELDS)):
        raise InputError(f"{path}: {unknown[0]}: unknown field, expected {', '.join(FIELDS)}")
    if not isinstance(fields.get("splits") or {}, dict):
        raise InputError(f"{path}: splits: found a {type(fields['splits']).__name__}, expected name: split")
    if "axes" in fields:
        _axes(f"{path}: axes", fields["axes"])
    return fields


def _axes(place: str, axes: Any) -> str:
    if not isinstance(axes, str) or sorted(axes) not in (sorted(AXES), sorted(AXES[1:])):
        raise InputError(f"{place}: found {shown(axes)}, expected the letters of MTVC or TVC in the order of the arrays' axes")
    return axes


def _table(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The lines of the table with their numbers."""
    try:
        text = read_text_file(path).decode("utf-8-sig")
        reader = csv.DictReader(text.splitlines(), restkey="", strict=True)
        lines = [(reader.line_num, line) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable table: {error}") from None
    if missing := [name for name in ("file", "label") if name not in (reader.fieldnames or [])]:
        found = ", ".join(reader.fieldnames or []) or "nothing"
        raise InputError(f"{path}: line 1: found {found[:80]}, expected the columns file and label; {missing[0]} is missing")
    for number, line in lines:
        if "" in line or None in line.values():
            raise InputError(f"{path}: line {number}: expected {len(reader.fieldnames or [])} cells, as the first line has")
        if not line["file"].strip():
            raise InputError(f"{path}: line {number}: file: found nothing, expected a clip's file")
    if not lines:
        raise InputError(f"{path}: holds no clip, expected a line for each")
    return [(number, {name.strip(): cell.strip() for name, cell in line.items()}) for number, line in lines]


def _classes(path: Path, named: Any, labels: Sequence[str]) -> tuple[str, ...]:
    if named is None:
        return tuple(sorted({label for label in labels if label}, key=_natural))
    if not isinstance(named, list) or not named or not all(isinstance(name, str) and name for name in named):
        raise InputError(f"{path}: classes: expected a list of names, each once")
    if len(set(named)) != len(named):
        raise InputError(f"{path}: classes: expected a list of names, each once")
    return tuple(named)


def _natural(cell: str) -> tuple[float, str]:
    """Sort key: numbers by value, before words."""
    return (int(cell) if _is_number(cell) else math.inf, cell)


def _is_number(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and len(cell) < 10


def _numbers(cells: Sequence[str]) -> list[int]:
    """Numbers as they stand, where all are; else each word's place in the sorted words, from 1; -1 where empty."""
    words = sorted({cell for cell in cells if cell})
    number = {w: int(w) for w in words} if all(map(_is_number, words)) else {w: i for i, w in enumerate(words, 1)}
    return [number.get(cell, -1) for cell in cells]


def _array(path: Path) -> Float32[np.ndarray, "..."]:
    array = map_npy(path)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: found {array.dtype}, expected an array of numbers")
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise InputError(f"{path}: found shape {list(array.shape)}, expected [T, V, C] or [M, T, V, C], none of them 0")
    if array.nbytes > CLIP_BYTES:
        raise InputError(f"{path}: found {array.nbytes:,} bytes, expected a clip of at most {CLIP_BYTES >> 20} MiB")
    with np.errstate(over="ignore"):
        values = np.array(array, np.float32)
    if np.isinf(values).any():
        at = [int(i) for i in np.argwhere(np.isinf(values))[0]]
        raise InputError(
            f"{path}: {at}: found {array[tuple(at)]}, expected a finite number, or NaN where a joint was not found"
        )
    return values
