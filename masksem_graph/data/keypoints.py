"""What trackers write, frame by frame, as bodies that go on from frame to frame."""

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from masksem_graph.data.source import ENDLESS, read_lines, read_text_file, reason, require_clip_size
from masksem_graph.data.tracks import Tracks
from masksem_graph.errors import InputError, shown

REACH = 0.5  # from frame to frame a body's joints move less than this share of its size
FORGOTTEN = 30  # who was not seen for so many frames is somebody new
SCATTERED = 10  # of a recording's frames one in so many shows somebody


@dataclass(frozen=True)
class Person:
    """Somebody in a frame: x, y (z) and score of each joint, NaN where it was not found; and who, where that is known."""

    points: Float64[np.ndarray, "V S"]
    identity: Hashable = None


def read_json(path: Path) -> Any:
    """What a JSON file holds; an `InputError` where it cannot be read, or is no whole JSON."""
    return _parsed(str(path), read_text_file(path))


def read_json_line(place: str, line: str | bytes) -> dict[str, Any]:
    """The object in a line; an `InputError` where it is cut off, or no object."""
    fields = _parsed(place, line)
    if not isinstance(fields, dict):
        raise InputError(f"{place}: found {shown(fields)}, expected an object")
    return fields


def _parsed(place: str, text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not whole JSON: {reason(error)}") from None


def read_json_lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a JSON-lines file with their places; their times ``t``, where they have such, must not fall."""
    objects, before = [], -math.inf
    for number, line in read_lines(path):
        place = f"{path}: line {number}"
        fields = read_json_line(place, line)
        time = fields.get("t", before)
        if type(time) not in (int, float) or not time >= before:
            raise InputError(f"{place}: t: found {shown(time)}, expected seconds that rise")
        before = time
        objects.append((place, fields))
    if not objects:
        raise InputError(f"{path}: holds no line, expected one a frame")
    return objects


def people_of_line(place: str, fields: Mapping[str, Any], joints: int, dimensions: int) -> list[Person]:
    """Who is in a frame, as `bodies_of_line` reads it. A joint of zeros or with a score of 0 was not found, too."""
    people = []
    bodies = bodies_of_line(place, fields, joints, (2, 3) if dimensions == 2 else (3,))
    for i, (points, scores, identity) in enumerate(bodies):
        if scores is not None and points.shape[1] > dimensions:
            raise InputError(f"{place}: bodies[{i}]: found scores and joints of x, y, score, expected one score a joint")
        if scores is not None:
            points = np.concatenate([points, scores[:, None]], axis=1)
        people.append(Person(scored(points, dimensions), identity))
    return people


def bodies_of_line(
    place: str, fields: Mapping[str, Any], joints: int | None = None, widths: Sequence[int] = (3, 2)
) -> list[tuple[Float64[np.ndarray, "V W"], Float64[np.ndarray, " V"] | None, int | str | None]]:
    """Joints, scores and id of each body of a frame.

    It is ``{"t": seconds, "bodies": [{"id": 1, "joints": [[x, y, z], ...], "scores": [...]}]}``. ``id`` and ``scores`` may be
    left out. A joint that was not found is null or NaN. In an image a joint is x, y, or x, y, score.
    """
    bodies = fields.get("bodies")
    if not isinstance(bodies, list) or not all(isinstance(body, dict) for body in bodies):
        raise InputError(f"{place}: bodies: found {shown(bodies)}, expected a list of objects with id, joints and scores")
    found = []
    for i, body in enumerate(bodies):
        here, scores, identity = f"{place}: bodies[{i}]", body.get("scores"), body.get("id")
        if identity is not None and type(identity) not in (int, str):
            raise InputError(f"{here}.id: found {shown(identity)}, expected a number or a text")
        points = points_of(f"{here}.joints", body.get("joints"), joints, widths)
        if scores is not None:
            rows = [[score] for score in scores] if isinstance(scores, list) else scores
            scores = points_of(f"{here}.scores", rows, len(points), (1,))[:, 0]
        found.append((points, scores, identity))
    return found


def points_of(place: str, value: Any, joints: int | None, widths: Sequence[int]) -> Float64[np.ndarray, "V W"]:
    """The numbers of all joints in a list; each is null, a list of numbers or null, or an object with x, y, z and visibility.

    There have to be so many ``joints`` (None allows any number), each with one of the ``widths``.
    """
    if not isinstance(value, list) or not value or joints not in (None, len(value)):
        raise InputError(f"{place}: found {_size(value)}, expected {joints or 'a list of'} joints")
    rows = [_row(joint) if isinstance(joint, dict) else joint for joint in value]
    width = next((len(row) for row in rows if isinstance(row, list)), widths[0])
    for j, row in enumerate(rows):
        if row is None:
            rows[j] = [None] * width
        elif not isinstance(row, list) or len(row) not in widths or len(row) != width or not all(map(is_number, row)):
            expected = " or ".join(str(w) for w in widths)
            raise InputError(f"{place}[{j}]: found {shown(value[j])}, expected {expected} numbers, or null")
    return np.array(rows, np.float64)


def flat_points(place: str, value: Any, joints: int) -> Float64[np.ndarray, "V 3"]:
    """As `points_of`, from one list x, y, score, x, y, score, ..."""
    if not isinstance(value, list) or len(value) != 3 * joints:
        raise InputError(f"{place}: found {_size(value, 'numbers')}, expected {3 * joints}: x, y, score of {joints} joints")
    return scored(points_of(place, [value[3 * j : 3 * j + 3] for j in range(joints)], joints, (3,)), 2)


def scored(points: Float64[np.ndarray, "*T V W"], dimensions: int) -> Float64[np.ndarray, "*T V S"]:
    """Points with their score, 1 where they have none; NaN where an image's point is (0, 0): it was not found."""
    points = np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1)[..., : dimensions + 1]
    if dimensions == 2:
        points[~points[..., :2].any(-1)] = np.nan
    return points


def _row(joint: dict[str, Any]) -> list[Any]:
    return [joint.get("x"), joint.get("y"), joint.get("z"), 1 if (seen := joint.get("visibility")) is None else seen]


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number, NaN or null: true and false are none, nor is 1e999, which is infinite."""
    return value is None or (type(value) in (int, float) and (value != value or abs(value) < ENDLESS))


def _size(value: Any, of: str = "joints") -> str:
    return f"{len(value)} {of}" if isinstance(value, list) else shown(value)


def bodies_of(
    place: object,
    frames: Mapping[int, Sequence[Person]],
    joints: int,
    dimensions: int,
    *,
    most: int | None = None,
    least_score: float = 0,
) -> Float32[np.ndarray, "M T V 3"]:
    """The bodies of a clip, as `Reader.read` gives them. Those without an id are followed by their distance; where some have
    one, those without are left out.

    Args:
        place: for messages.
        frames: number of the frame -> who is in it; a frame that is missing shows nobody.
        joints, dimensions: of the skeleton.
        most: how many bodies to keep: those with the highest scores, summed over joints and frames.
        least_score: a joint with a lower score was not found.

    Raises:
        InputError: there is nobody, too much, a negative score, or the same body twice in a frame.
    """
    start, length = min(frames, default=0), max(frames, default=-1) - min(frames, default=0) + 1
    require_clip_size(place, length * joints * 12, f"{length:,} frames")
    named = any(person.identity is not None for those in frames.values() for person in those)
    tracks: dict[Hashable, dict[int, Float64[np.ndarray, "V S"]]] = {}  # body -> frame -> points
    known = Tracks(REACH)
    for i in range(length):
        those = [person for person in frames.get(start + i, ()) if person.identity is not None or not named]
        bodies: Sequence[Hashable] = [person.identity for person in those]
        if not named:
            known.forget(i - FORGOTTEN)
            # In 3D, too, zeros say that a joint was not found.
            places = [np.where((at := p.points[:, :dimensions]).any(1, keepdims=True), at, np.nan) for p in those]
            bodies = known.name(i, [None] * len(those), places, dimensions)
        if len(set(bodies)) < len(bodies):
            raise InputError(f"{place}: frame {start + i}: found two bodies with the same id, expected each id once")
        for person, body in zip(those, bodies, strict=True):
            tracks.setdefault(body, {})[i] = person.points
    kept = sorted(tracks.values(), key=lambda track: -sum(np.nansum(points[:, -1]) for points in track.values()))[:most]
    if not kept:
        raise InputError(f"{place}: found nobody in {length} frames, expected a body")
    require_clip_size(place, len(kept) * length * joints * 12, f"{len(kept)} bodies")
    out = np.zeros((len(kept), length, joints, dimensions + 1), np.float32)
    for slot, track in enumerate(kept):
        out[slot, list(track)] = list(track.values())
    if (out[..., -1] < 0).any():
        raise InputError(f"{place}: found a score of {np.nanmin(out[..., -1]):g}, expected scores from 0")
    lost = np.isnan(out).any(-1) | (out[..., -1] < least_score) | (out[..., -1] == 0)
    out[lost] = [np.nan] * dimensions + [0]
    out[lost.all(-1)] = 0
    return out[..., :3]


def ranked(place: object, numbers: Sequence[int]) -> list[int]:
    """The frames' numbers counted from 0, in the steps in which they were taken; refused where they are scattered pictures."""
    steps = np.diff(sorted(numbers))
    if len(steps) and not steps.min():
        raise InputError(f"{place}: found two frames of the same number, expected the frames of one recording")
    first, step = min(numbers), int(np.gcd.reduce(steps)) or 1
    if (span := (max(numbers) - first) // step + 1) > SCATTERED * len(numbers):
        raise InputError(f"{place}: found {len(numbers)} of {span:,} frames, expected the frames of one recording")
    return [(number - first) // step for number in numbers]
