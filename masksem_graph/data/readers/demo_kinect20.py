"""A second embedded data set to transfer to: other people, half of the actions, and the skeleton of another sensor."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from masksem_graph.data.clip import Clip
from masksem_graph.data.demo import CLASSES, write_demo
from masksem_graph.data.readers.base import Reader
from masksem_graph.data.readers.demo import DemoReader
from masksem_graph.data.source import stem
from masksem_graph.topology import load_topology

SEED, SUBJECTS = 1, 10
ELSEWHERE = {"hip_centre": "spine_base", "spine": "spine_middle", "shoulder_centre": "spine_shoulder"}
"""Joints of the Kinect v1 that the Kinect v2 calls otherwise."""


class DemoKinect20Reader(Reader):
    """The embedded data set's generator with another seed: ten people, six actions, the 20 joints of the Kinect v1.

    Split: ``xsub`` trains on the odd subjects.
    """

    embedded: ClassVar[str] = "1"
    """No source is needed, see `DemoReader`."""
    topology = "kinect20"
    classes = ("sit_down", "stand_up", "wave_left", "wave_right", "kick", "clap")

    def __init__(self) -> None:
        self.whole = DemoReader()
        joints, there = load_topology(self.topology).joints, load_topology(DemoReader.topology).index
        self.columns = [there[ELSEWHERE.get(joint, joint)] for joint in joints]

    def sources(self, root: Path) -> Sequence[Any]:
        if not root.exists() or (root.is_dir() and not any(root.iterdir())):
            write_demo(root, seed=SEED, subjects=SUBJECTS)
        wanted = tuple(f"A{CLASSES.index(name) + 1:03}" for name in self.classes)
        return [source for source in self.whole.sources(root) if stem(source).endswith(wanted)]

    def read(self, source: Path) -> Clip:
        clip = self.whole.read(source)
        bodies = tuple(replace(body, frames=np.ascontiguousarray(body.frames[:, self.columns])) for body in clip.bodies)
        return replace(clip, label=self.classes.index(CLASSES[clip.label]), bodies=bodies)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"xsub": clips["subject"] % 2 == 1}
