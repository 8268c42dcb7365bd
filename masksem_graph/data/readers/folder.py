"""One's own clips: an array a clip, a table of labels and groups, and a description of skeleton and splits."""

import csv
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.arrays import NpzRows, as_float32, map_npy, npz_names
from masksem_graph.data.clip import Clip
from masksem_graph.data.keypoints import bodies_of, people_of_line, read_json_lines
from masksem_graph.data.missing import Missing, coordinates
from masksem_graph.data.own_splits import Table, own_splits
from masksem_graph.data.readers.base import Reader, whole_bodies
from masksem_graph.data.source import Part, parse_numbers, read_lines, read_text_file, require_clip_size
from masksem_graph.errors import InputError, shown
from masksem_graph.plain_yaml import read_yaml

DESCRIPTION, TABLE = "dataset.yaml", "clips.csv"
FIELDS = ("topology", "axes", "classes", "splits")
AXES = "MTVC"
GROUPS = ("subject", "camera", "setup")


@dataclass(frozen=True)
class Row(Part):
    """A line of the table; ``path`` and ``name`` are the table and the line, or the clip and nothing without a table."""

    array: Path
    label: str
    clip: Clip  # without its bodies; its label is -1 where the cell is empty, or names no class

    def __str__(self) -> str:
        return super().__str__() if self.name else str(self.path)


class FolderReader(Reader):
    """Any skeleton, any split, nothing to program; docs/data.md has an example from arrays to a trained encoder.

    ``clips.csv`` has a line a clip: ``file`` (below the folder), ``label`` (the class's name, or nothing), ``subject``,
    ``camera``, ``setup`` and any other column to split by. ``dataset.yaml`` has ``topology``, and perhaps ``axes``,
    ``classes`` and ``splits`` (`own_splits`). A clip is an .npy [T, V, C] or [M, T, V, C]; in 3D C is x, y, z, in an image
    x, y or x, y, score. Or it is such an array alone in an .npz, a .csv with a row a frame, joint after joint, or a .jsonl
    with a line a frame (`bodies_of_line`). A joint of zeros or NaN was not found; a frame of them has not this body.

    Args:
        axes: of the arrays, where ``dataset.yaml`` does not say.
        missing: a joint that was not found goes in a straight line to where it is found next (``interpolate``), stays at its
            last place (``hold``), or the clip is left out (``skip``).
        missing_frames: for how many frames on end a joint may be missing; a clip where it is longer is left out.
    """

    endings: ClassVar[tuple[str, ...]] = (".npy", ".npz", ".csv", ".jsonl")  # of files that are a clip
    zero_is_missing: ClassVar[bool] = True
    described: ClassVar[bool] = True
    """Whether ``dataset.yaml`` and ``clips.csv`` have to be there. A format whose files tell their joints does without: the
    first folder on the way to a clip is its label then, and a file may be read by itself."""

    def __init__(self, *, axes: str | None = None, missing: Missing = "interpolate", missing_frames: int = 30) -> None:
        self.axes = None if axes is None else _axes("--axes", axes)
        super().__init__(missing=missing, missing_frames=missing_frames)

    def sources(self, root: Path) -> Sequence[Row]:
        required = self.described and not (self.loose and root.is_file())
        if not (root.is_dir() or (root.exists() and not required)):
            raise InputError(f"{root}: no such folder, expected one with {DESCRIPTION} and {TABLE}")
        path, table = root / DESCRIPTION, root / TABLE
        described = _description(path, complete=required) if required or path.is_file() else {}
        lines = _table(table) if required or table.is_file() else self._found(root)
        self.axes = _axes(f"{path}: axes", described["axes"]) if "axes" in described else self.axes
        self.classes = _classes(path, described.get("classes"), [line["label"] for _, line in lines])
        index = {name: i for i, name in enumerate(self.classes)}
        numbered = zip(*(_group_numbers([line.get(group, "") for _, line in lines]) for group in GROUPS), strict=True)
        rows = []
        for (number, line), groups in zip(lines, numbered, strict=True):
            label, array, name = line["label"], root / line["file"], line["file"] or root.name
            name = next((name.removesuffix(ending) for ending in self.endings if name.endswith(ending)), name)
            place = (table, f"line {number}") if number else (array, "")
            rows.append(Row(*place, array, label, Clip(name, index.get(label, -1), *groups)))
        known = self.given.name if self.given else getattr(self, "topology", None)
        named = described.get("topology") or known or self._told(root, rows)
        self.topology = str(root / named) if os.path.isfile(root / named) else named
        self.joints, self.dimensions = len(self.skeleton), self.skeleton.dimensions
        self._splits, self._described = described.get("splits") or {}, path
        self._table = {row.clip.name: line for row, (_, line) in zip(rows, lines, strict=True)}
        return rows

    @classmethod
    def is_clip(cls, path: Path) -> bool:
        """Whether a file or a folder is a clip by itself."""
        return path.suffix.lower() in cls.endings and path.is_file()

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
        if source.label and source.clip.label < 0:
            known = ", ".join(self.classes[:6]) + (", ..." if len(self.classes) > 6 else "")
            raise InputError(f"{source}: label: found {source.label[:60]!r}, expected one of {known}")
        return replace(source.clip, bodies=whole_bodies(self._bodies(source.array)))

    def _bodies(self, path: Path) -> Float32[np.ndarray, "M T V 3"]:
        if path.suffix.lower() == ".jsonl":
            lines = read_json_lines(path)
            people = {i: people_of_line(place, line, self.joints, self.dimensions) for i, (place, line) in enumerate(lines)}
            return bodies_of(path, people, self.joints, self.dimensions)
        array, axes = _array(path, self.joints), None if path.suffix.lower() == ".csv" else self.axes
        found = f"found shape {list(array.shape)}"
        if axes is not None:
            if array.ndim != len(axes):
                raise InputError(f"{path}: {found}, expected the axes {axes}")
            array = array.transpose([axes.index(axis) for axis in AXES if axis in axes])
        bodies = array[None] if array.ndim == 3 else array
        count, frames, joints, _ = bodies.shape
        if joints != self.joints:
            expected = f"[T, V, C] or [M, T, V, C] of {self.joints} joints; see axes in {DESCRIPTION}"
            raise InputError(f"{path}: {found}, expected {expected}")
        if count > 1 and count >= frames and axes is None:
            readings = f"{count} bodies over {frames} frames, or {frames} bodies over {count} frames"
            raise InputError(f"{path}: {found}: {readings}? Expected axes: MTVC or TMVC in {DESCRIPTION}")
        return coordinates(str(path), bodies, self.topology, self.dimensions, found=f"{found}, ")

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return own_splits(self._splits, Table(self._described, clips, self._table))

    def files(self, root: Path) -> Sequence[Path]:
        rows = self.sources(root)
        chosen = [what for split in self._splits.values() if isinstance(split, dict) for what in split.values()]
        listed = [root / what for what in chosen if isinstance(what, str)]
        clips = [row.array for row in rows]
        frames = [file for clip in clips if clip.is_dir() for file in sorted(clip.iterdir())]
        paths = [root / DESCRIPTION, root / TABLE, Path(self.topology), *listed, *clips, *frames]
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
    columns = list(reader.fieldnames or [])
    if missing := [name for name in ("file", "label") if name not in columns]:
        found = ", ".join(columns) or "nothing"
        raise InputError(f"{path}: line 1: found {found[:80]}, expected the columns file and label; {missing[0]} is missing")
    for number, line in lines:
        if "" in line or None in line.values():
            raise InputError(f"{path}: line {number}: expected {len(columns)} cells, as the first line has")
        if not line["file"].strip():
            raise InputError(f"{path}: line {number}: file: found nothing, expected a clip's file")
    if not lines:
        raise InputError(f"{path}: holds no clip, expected a line for each")
    return [(number, {name.strip(): cell.strip() for name, cell in line.items()}) for number, line in lines]


def _classes(path: Path, named: Any, labels: Sequence[str]) -> tuple[str, ...]:
    if named is None:
        # Numbers by value, before words.
        return tuple(sorted({*labels} - {""}, key=lambda cell: (int(cell) if _is_number(cell) else math.inf, cell)))
    names = named if isinstance(named, list) and all(isinstance(name, str) and name for name in named) else []
    if not names or len(set(names)) != len(names):
        raise InputError(f"{path}: classes: expected a list of names, each once")
    return tuple(names)


def _is_number(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and len(cell) < 10


def _group_numbers(cells: Sequence[str]) -> list[int]:
    """Numbers as they stand, where all are; else each word's place in the sorted words, from 1; -1 where empty."""
    words = sorted({cell for cell in cells if cell})
    number = {w: int(w) for w in words} if all(map(_is_number, words)) else {w: i for i, w in enumerate(words, 1)}
    return [number.get(cell, -1) for cell in cells]


def _array(path: Path, joints: int) -> Float32[np.ndarray, "..."]:
    """The array of a file, with three or four axes."""
    if path.suffix.lower() == ".csv":
        array = _rows(path, joints)
    elif path.suffix.lower() == ".npz":
        if len(names := npz_names(path)) != 1:
            raise InputError(f"{path}: found {', '.join(names)[:60] or 'nothing'}, expected a single array")
        array = NpzRows(path, names[0]).whole()
    else:
        array = map_npy(path)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: found {array.dtype}, expected an array of numbers")
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise InputError(f"{path}: found shape {list(array.shape)}, expected [T, V, C] or [M, T, V, C], none of them 0")
    require_clip_size(path, array.nbytes, f"shape {list(array.shape)}")
    return as_float32(f"{path}: ", array)


def _holds_number(cells: Sequence[str]) -> bool:
    for cell in cells:
        with suppress(ValueError):
            float(cell)
            return True
    return False


def _rows(path: Path, joints: int) -> np.ndarray:
    """A table of numbers as [T, V, C]; a first line without any number is one of names, and left out."""
    lines = list(read_lines(path))
    if lines and not _holds_number(lines[0][1].split(",")):
        del lines[0]
    rows = [parse_numbers(f"{path}: line {number}", line.split(","), nan=True) for number, line in lines]
    widths = sorted({len(row) for row in rows})
    if len(widths) != 1 or widths[0] % joints:
        raise InputError(f"{path}: found rows of {widths} numbers, expected a multiple of {joints} joints: x, y, ... of each")
    return np.array(rows).reshape(len(rows), joints, -1)
