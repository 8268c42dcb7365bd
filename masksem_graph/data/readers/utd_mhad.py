"""UTD-MHAD, one MATLAB file a clip."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.arrays import as_float32
from masksem_graph.data.clip import Clip
from masksem_graph.data.mat_file import read_numbers
from masksem_graph.data.readers.base import Reader, clips_below, listed, whole_bodies
from masksem_graph.data.source import read_text_file
from masksem_graph.errors import InputError

JOINTS = 20
VARIABLE = "d_skel"
FILE_BYTES = 2**20
"""The largest of the set has 45 kB."""
NAME = re.compile(r"a(\d{1,2})_s(\d{1,2})_t(\d{1,2})_skeleton")


class UTDMHADReader(Reader):
    """UTD-MHAD's skeletons as published: ``aA_sS_tT_skeleton.mat`` with ``d_skel`` [20, 3, frames] in metres.

    Action, subject and repetition are in the name. The split ``xsub`` trains on the odd subjects.

    Source: Chen, Jafari and Kehtarnavaz, UTD-MHAD: A multimodal dataset for human action recognition utilizing a depth camera
    and a wearable inertial sensor, ICIP 2015. Kinect v1, 27 actions, 8 subjects, 4 repetitions.
    """

    topology = "utd20"
    classes = listed(
        """swipe left, swipe right, wave, clap, throw, cross arms, basketball shoot, draw x, draw circle clockwise,
        draw circle counter-clockwise, draw triangle, bowling, boxing, baseball swing, tennis swing, arm curl, tennis serve,
        push, knock, catch, pick up and throw, jog, walk, sit to stand, stand to sit, lunge, squat"""
    )

    def sources(self, root: Path) -> Sequence[Path]:
        found = clips_below(root, "*.mat", lambda path: NAME.fullmatch(path.stem), "UTD-MHAD clip, aA_sS_tT_skeleton.mat")
        return sorted(found, key=_numbers)

    def read(self, source: Path) -> Clip:
        action, subject, _ = _numbers(source)
        if not 1 <= action <= len(self.classes):
            raise InputError(f"{source}: found action a{action}, expected a1 to a{len(self.classes)}")
        bodies = whole_bodies([_frames(source)])
        return Clip(name=source.stem.removesuffix("_skeleton"), label=action - 1, subject=subject, bodies=bodies)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"xsub": clips["subject"] % 2 == 1}


def _numbers(source: Path) -> tuple[int, ...]:
    if not (match := NAME.fullmatch(source.stem)):
        raise InputError(f"{source}: expected a name like a1_s1_t1_skeleton.mat")
    return tuple(map(int, match.groups()))


def _frames(source: Path) -> Float32[np.ndarray, "F 20 3"]:
    data = read_text_file(source)
    if len(data) > FILE_BYTES:
        raise InputError(f"{source}: found {len(data):,} bytes, expected a clip of at most {FILE_BYTES:,}")
    try:
        found = read_numbers(data, VARIABLE)
    except ValueError as error:
        raise InputError(f"{source}: not a readable .mat file: {error}") from None
    if found is None:
        raise InputError(f"{source}: {VARIABLE}: is not there, expected an array of numbers")
    if found.ndim != 3 or found.shape[:2] != (JOINTS, 3) or not found.shape[2]:
        raise InputError(f"{source}: {VARIABLE}: found shape {list(found.shape)}, expected [{JOINTS}, 3, frames]")
    return np.ascontiguousarray(as_float32(f"{source}: {VARIABLE}", found).transpose(2, 0, 1))
