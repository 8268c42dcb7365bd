"""UTD-MHAD, one MATLAB file a clip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.mat_file import read_numbers
from masksem_graph.data.readers.base import Reader
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
    classes = (
        "swipe left",
        "swipe right",
        "wave",
        "clap",
        "throw",
        "cross arms",
        "basketball shoot",
        "draw x",
        "draw circle clockwise",
        "draw circle counter-clockwise",
        "draw triangle",
        "bowling",
        "boxing",
        "baseball swing",
        "tennis swing",
        "arm curl",
        "tennis serve",
        "push",
        "knock",
        "catch",
        "pick up and throw",
        "jog",
        "walk",
        "sit to stand",
        "stand to sit",
        "lunge",
        "squat",
    )

    def sources(self, root: Path) -> Sequence[Path]:
        if not root.is_dir():
            raise InputError(f"{root}: no such folder, expected the UTD-MHAD clips (aA_sS_tT_skeleton.mat)")
        found = [(match, path) for path in root.rglob("*.mat") if (match := NAME.fullmatch(path.stem))]
        if not found:
            raise InputError(f"{root}: holds no UTD-MHAD clip, expected files named aA_sS_tT_skeleton.mat")
        return [path for _, path in sorted(found, key=lambda pair: ([int(n) for n in pair[0].groups()], pair[1]))]

    def read(self, source: Path) -> Clip:
        match = NAME.fullmatch(source.stem)
        if not match:
            raise InputError(f"{source}: expected a name like a1_s1_t1_skeleton.mat")
        action, subject, _ = map(int, match.groups())
        if not 1 <= action <= len(self.classes):
            raise InputError(f"{source}: found action a{action}, expected a1 to a{len(self.classes)}")
        frames = _frames(source)
        body = Body(start=0, frames=frames, present=np.ones(len(frames), bool))
        return Clip(name=source.stem.removesuffix("_skeleton"), label=action - 1, subject=subject, bodies=(body,))

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"xsub": clips["subject"] % 2 == 1}


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
    with np.errstate(over="ignore"):
        frames = np.ascontiguousarray(found.transpose(2, 0, 1), np.float32)
    if np.isinf(frames).any():
        frame, joint, axis = (int(i) for i in np.argwhere(np.isinf(frames))[0])
        value = found[joint, axis, frame]
        raise InputError(f"{source}: {VARIABLE}[{joint}, {axis}, {frame}]: found {value}, expected a finite number, or NaN")
    return frames
