"""The pose landmarks of MediaPipe: a line of JSON a frame, a table, or arrays."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64

from masksem_graph.data.arrays import NpzRows, npz_names
from masksem_graph.data.keypoints import Person, points_of, read_json_lines, scored
from masksem_graph.data.recordings import RecordingsReader
from masksem_graph.data.source import parse_numbers, read_lines
from masksem_graph.errors import InputError, shown
from masksem_graph.topology import Topology, load_topology

KEYS = {3: ("world_landmarks", "pose_world_landmarks"), 2: ("landmarks", "pose_landmarks")}
"""What world and image landmarks are called."""
WIDTHS = {3: (3, 4, 5), 2: (2, 4, 5)}
"""Numbers of a landmark: the last two are visibility and presence. Of three, in the image, who knows what the third is?"""
JOINTS = 33
FIELDS = {"x": 0, "y": 1, "z": 2, "v": 3, "visibility": 3}
COLUMN = re.compile(r"(?:(x|y|z|v|visibility)_?(\d{1,4})|(\w+)_(x|y|z|v|visibility))")


class MediaPipeReader(RecordingsReader):
    """33 landmarks a frame, with their visibility as score: in the world (``--topology mediapipe33``, metres from the middle
    of the hips) or in the image (``mediapipe33_image``, shares of its width and height). docs/data.md has the three forms.

    Source: Bazarevsky et al., BlazePose, CVPR workshops 2020; PoseLandmarkerResult of MediaPipe Tasks.
    """

    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".csv", ".npz")
    topologies: ClassVar[tuple[str, ...]] = ("mediapipe33", "mediapipe33_image")

    def units_of(self, topology: Topology) -> str:
        return "image" if topology.dimensions == 2 else topology.units

    def fitting(self, path: Path) -> Sequence[str]:
        if path.suffix.lower() == ".csv":
            return self.topologies
        lines = [fields for _, fields in read_json_lines(path)] if path.suffix.lower() == ".jsonl" else [npz_names(path)]
        forms = [name for d, name in zip((3, 2), self.topologies, strict=True) if any(k in f for k in KEYS[d] for f in lines)]
        return forms or self.topologies

    def people(self, path: Path) -> Mapping[int, Sequence[Person]]:
        if path.suffix.lower() == ".jsonl":
            poses = {i: self._line(place, fields) for i, (place, fields) in enumerate(read_json_lines(path))}
            one = 0 if max(map(len, poses.values())) < 2 else None  # the tracker follows a single person itself
            return {i: [Person(pose, one) for pose in those] for i, those in poses.items()}
        frames = _table(path) if path.suffix.lower() == ".csv" else self._array(path)
        if np.isinf(frames).any():
            raise InputError(f"{path}: found infinity, expected finite numbers, or NaN for a joint not found")
        return {i: [Person(points, 0)] for i, points in enumerate(self._placed(path, frames))}

    def _line(self, place: str, fields: Mapping[str, Any]) -> list[np.ndarray]:
        key, size = self._key(place, fields), (fields.get("width"), fields.get("height"))
        if not (value := fields[key]):
            return []
        first = value[0] if isinstance(value, list) else None
        several = isinstance(first, list) and (not first or isinstance(first[0], list | dict))
        poses = value if several else [value]
        if self.dimensions == 3 and len(poses) > 1:
            raise InputError(f"{place}: found {len(poses)} poses, expected one: each has its own origin in the world")
        if size != (None, None) and not all(type(n) is int and 0 < n < 2**20 for n in size):
            raise InputError(f"{place}: width, height: found {shown(size)}, expected the picture's size in pixels")
        at = f"{place}: {key}"
        points = [points_of(at, pose, JOINTS, WIDTHS[self.dimensions]) for pose in poses]
        return [self._placed(at, p, size=size if size[0] else None) for p in points]

    def _key(self, place: object, names: Iterable[str]) -> str:
        """Under which of some names the landmarks stand."""
        keys = KEYS[self.dimensions]
        if len(named := [key for key in keys if key in names]) != 1:
            found = ", ".join(map(str, names))[:60] or "nothing"
            raise InputError(f"{place}: found {found}, expected {' or '.join(keys)}, for {self.topology}")
        return named[0]

    def _placed(
        self, place: object, points: Float64[np.ndarray, "*T V W"], *, size: Any = None
    ) -> Float64[np.ndarray, "*T V S"]:
        """Coordinates and visibility."""
        if points.shape[-1] > 3:
            points = points[..., [*range(self.dimensions), 3]]
        points = scored(points, self.dimensions)
        seen = points[..., -1]
        if (outside := (seen < 0) | (seen > 1)).any():
            raise InputError(f"{place}: found a visibility of {seen[outside][0]:g}, expected 0 to 1")
        return points if self.dimensions == 3 else self.in_picture(place, points, shares=True, size=size)

    def _array(self, path: Path) -> Float64[np.ndarray, "T 33 W"]:
        names = npz_names(path)
        one = len(names) == 1 and names[0] not in KEYS[5 - self.dimensions]
        array = NpzRows(path, name := names[0] if one else self._key(path, names)).whole()
        if array.ndim != 3 or array.shape[1] != JOINTS or array.shape[2] not in WIDTHS[self.dimensions]:
            raise InputError(f"{path}: {name}: found shape {list(array.shape)}, expected [frames, {JOINTS}, 4]")
        return array.astype(np.float64)


def _table(path: Path) -> Float64[np.ndarray, "T 33 4"]:
    lines = read_lines(path)
    if len(lines) < 2:
        raise InputError(f"{path}: found {len(lines)} lines, expected names of columns and a line a frame")
    header, *rows = csv.reader([line for _, line in lines])
    columns = _columns(path, header)
    out = np.full((len(rows), JOINTS, 4), np.nan)
    if not any(field == 3 for _, field in columns):
        out[..., 3] = 1
    joints, fields = zip(*columns, strict=True)
    for i, ((number, _), cells) in enumerate(zip(lines[1:], rows, strict=False)):
        if len(cells) != len(header):
            raise InputError(f"{path}: line {number}: found {len(cells)} cells, expected {len(header)}, as the first line has")
        words = [cells[column].strip() or "nan" for column in columns.values()]
        out[i, joints, fields] = parse_numbers(f"{path}: line {number}", words, nan=True)
    return out


def _columns(path: Path, header: Sequence[str]) -> dict[tuple[int, int], int]:
    """(joint, field) -> column."""
    joints = load_topology("mediapipe33").index
    # MediaPipe says mouth_left.
    joints = joints | {f"mouth_{side}": joints[f"{side}_mouth"] for side in ("left", "right")}
    named: dict[tuple[int, int], int] = {}
    for column, name in enumerate(cell.strip().lower() for cell in header):
        found = COLUMN.fullmatch(name)
        joint = found and (joints.get(found[3]) if found[2] is None else int(found[2]))
        if not found or joint is None:
            continue
        if (place := (joint, FIELDS[found[1] or found[4]])) in named:
            raise InputError(f"{path}: line 1: {name[:60]!r} stands twice")
        named[place] = column
    first = min((joint for joint, _ in named), default=0)
    columns = {(joint - first, field): column for (joint, field), column in named.items()}
    wanted = {(joint, field) for joint in range(JOINTS) for field in (0, 1, 2)}
    if not wanted <= set(columns) or max(joint for joint, _ in columns) >= JOINTS or first > 1:
        found_joints = len({joint for joint, _ in columns})
        expected = "nose_x, nose_y, nose_z, nose_visibility, ... or x0, y0, z0, v0, ..."
        raise InputError(f"{path}: line 1: found columns of {found_joints} landmarks, expected {JOINTS}: {expected}")
    return columns
