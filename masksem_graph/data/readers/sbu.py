"""SBU Kinect Interaction: two persons, one text file a clip."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.clip import Clip
from masksem_graph.data.readers.base import Reader, clips_below, listed, whole_bodies
from masksem_graph.data.source import parse_numbers, read_lines
from masksem_graph.errors import InputError

FILE = "skeleton_pos.txt"
PERSONS, JOINTS = 2, 15
NUMBERS = 1 + PERSONS * JOINTS * 3
SET = f"s[0-9][0-9]s[0-9][0-9]/*/*/{FILE}"
CLIP = re.compile(r"s(\d\d)s\d\d/0([1-8])/\d{3}")
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

    A line is a frame: its number and, for two persons, 15 joints of x, y (shares of the picture) and z (a depth). They become
    metres as the authors say: X = (1280 - 2560 x) / 1000, Y = (960 - 1920 y) / 1000 and Z = 10 z / 7.8125. A clip's subject
    is the person who acts, the first one of the set's name.

    Source: Yun et al., Two-person interaction detection using body-pose features and multiple instance learning, CVPR
    Workshops 2012.
    """

    topology = "sbu15"
    classes = listed("approaching, departing, kicking, pushing, shaking hands, hugging, exchanging objects, punching")

    def sources(self, root: Path) -> Sequence[Path]:
        return clips_below(root, FILE, lambda path: path.match(SET), f"SBU clip, s01s02/01/001/{FILE}")

    def read(self, source: Path) -> Clip:
        place = "/".join(source.parts[-4:-1])
        found = CLIP.fullmatch(place)
        if not found:
            raise InputError(f"{source}: expected a path like s01s02/01/001/{FILE}, with a class from 01 to 08")
        bodies = whole_bodies(_frames(source))
        return Clip(name=place.replace("/", "_"), label=int(found[2]) - 1, subject=int(found[1]), bodies=bodies)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        sets = np.array([str(name).partition("_")[0] for name in clips["name"]])
        if unknown := sorted(set(sets) - {name for fold in FOLDS for name in fold}):
            raise InputError(f"found the set {unknown[0]}, which is in none of the published folds")
        return {f"fold{i}": ~np.isin(sets, fold) for i, fold in enumerate(FOLDS, 1)}


def _frames(source: Path) -> Float32[np.ndarray, "2 F 15 3"]:
    """Both persons in metres, zero in frames in which one is not there."""
    lines = read_lines(source)
    if not lines:
        raise InputError(f"{source}: is empty, expected a line a frame")
    rows = ((f"{source}: line {number}", line.rstrip(",").split(",")) for number, line in lines)
    raw = np.array([parse_numbers(place, words, NUMBERS, nan=True) for place, words in rows])
    if len(wrong := np.flatnonzero(np.diff(raw[:, 0]) != 1)):
        at = int(wrong[0])
        found = f"frame {raw[at + 1, 0]:g} after {raw[at, 0]:g}"
        raise InputError(f"{source}: line {lines[at + 1][0]}: found {found}, expected the next one")
    shares = raw[:, 1:].reshape(len(raw), PERSONS, JOINTS, 3)
    metres = np.stack([1.28 - 2.56 * shares[..., 0], 0.96 - 1.92 * shares[..., 1], 10 * shares[..., 2] / 7.8125], axis=-1)
    metres[~shares.any(axis=(2, 3))] = 0
    return metres.swapaxes(0, 1).astype(np.float32)
