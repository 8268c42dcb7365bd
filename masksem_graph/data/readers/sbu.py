"""SBU Kinect Interaction: two persons, one text file a clip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.readers.base import Reader
from masksem_graph.data.source import read_text_file
from masksem_graph.errors import InputError

FILE = "skeleton_pos.txt"
PERSONS, JOINTS = 2, 15
NUMBERS = 1 + PERSONS * JOINTS * 3
SET, ACTION, TAKE = re.compile(r"s(\d\d)s(\d\d)"), re.compile(r"0[1-8]"), re.compile(r"\d{3}")
FOLDS = (
    ("s01s02", "s03s04", "s05s02", "s06s04"),
    ("s02s03", "s02s07", "s03s05", "s05s03"),
    ("s01s03", "s01s07", "s07s01", "s07s03"),
    ("s02s01", "s02s06", "s03s02", "s03s06"),
    ("s04s02", "s04s03", "s04s06", "s06s02", "s06s03"),
)
"""The sets of two persons that each published fold tests on."""


class SBUReader(Reader):
    """SBU Kinect Interaction as published: ``SET/CLASS/TAKE/skeleton_pos.txt``, in a folder at any depth.

    A line is a frame: its number and, for two persons, 15 joints of x, y, z. There x and y are shares of the picture, and z is
    a depth. They become metres as the authors say: X = (1280 - 2560 x) / 1000, Y = (960 - 1920 y) / 1000 and
    Z = 10 z / 7.8125. The splits ``fold1`` to ``fold5`` are the published ones; each tests on the sets of its fold. A clip's
    subject is the person who acts, the first one of the set's name.

    Source: Yun et al., Two-person interaction detection using body-pose features and multiple instance learning, CVPR
    Workshops 2012.
    """

    topology = "sbu15"
    classes = ("approaching", "departing", "kicking", "pushing", "shaking hands", "hugging", "exchanging objects", "punching")

    def sources(self, root: Path) -> Sequence[Path]:
        if not root.is_dir():
            raise InputError(f"{root}: no such folder, expected the SBU sets (s01s02/01/001/{FILE})")
        found = sorted(path for path in root.rglob(FILE) if SET.fullmatch(path.parts[-4] if len(path.parts) > 3 else ""))
        if not found:
            raise InputError(f"{root}: holds no SBU clip, expected s01s02/01/001/{FILE}")
        return found

    def read(self, source: Path) -> Clip:
        folder, action, take = source.parts[-4:-1] if len(source.parts) > 3 else ("", "", "")
        persons = SET.fullmatch(folder)
        if not persons or not ACTION.fullmatch(action) or not TAKE.fullmatch(take):
            raise InputError(f"{source}: expected a path like s01s02/01/001/{FILE}, with a class from 01 to 08")
        frames = _frames(source)
        bodies = tuple(Body(start=0, frames=body, present=np.ones(len(body), bool)) for body in frames)
        return Clip(name=f"{folder}_{action}_{take}", label=int(action) - 1, subject=int(persons[1]), bodies=bodies)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        sets = np.array([str(name).partition("_")[0] for name in clips["name"]])
        if unknown := sorted(set(sets) - {name for fold in FOLDS for name in fold}):
            raise InputError(f"found the set {unknown[0]}, which is in none of the published folds")
        return {f"fold{i}": ~np.isin(sets, fold) for i, fold in enumerate(FOLDS, 1)}


def _frames(source: Path) -> Float32[np.ndarray, "2 F 15 3"]:
    """Both persons in metres, zero in frames in which one is not there."""
    lines = [line for line in read_text_file(source).decode("latin-1").splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{source}: is empty, expected a line a frame")
    raw = np.array([_numbers(source, number, line) for number, line in enumerate(lines, 1)])
    if (jump := np.diff(raw[:, 0])).size and (jump != 1).any():
        at = int(np.flatnonzero(jump != 1)[0])
        raise InputError(
            f"{source}: line {at + 2}: found frame {raw[at + 1, 0]:g} after {raw[at, 0]:g}, expected the next one"
        )
    raw = raw[:, 1:].reshape(len(raw), PERSONS, JOINTS, 3)
    metres = np.stack([1.28 - 2.56 * raw[..., 0], 0.96 - 1.92 * raw[..., 1], 10 * raw[..., 2] / 7.8125], axis=-1)
    metres[~raw.any(axis=(2, 3))] = 0
    with np.errstate(over="ignore"):
        return metres.swapaxes(0, 1).astype(np.float32)


def _numbers(source: Path, number: int, line: str) -> list[float]:
    words = [word for word in line.strip().rstrip(",").split(",")]
    if len(words) != NUMBERS:
        found = f"{source}: line {number}: found {len(words)} numbers"
        raise InputError(f"{found}, expected the frame's and {PERSONS} x {JOINTS} x 3, comma-separated: {NUMBERS}")
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"{source}: line {number}: {str(error)[:80]}, expected {NUMBERS} numbers") from None
    if wrong := next((word for word, value in zip(words, values, strict=True) if abs(value) >= 1e6), None):
        raise InputError(f"{source}: line {number}: found {wrong[:60]!r}, expected numbers below a million, or NaN")
    return values
