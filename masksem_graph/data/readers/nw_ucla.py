"""Northwestern-UCLA Multiview Action 3D, one JSON file a clip."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.clip import Clip
from masksem_graph.data.keypoints import points_of, read_json_line
from masksem_graph.data.readers.base import Reader, clips_below, listed, whole_bodies
from masksem_graph.data.source import read_text_file
from masksem_graph.errors import InputError, shown

JOINTS = 20
TRAINING_CAMERAS = (1, 2)
ACTIONS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12)
"""The numbers in the names, in the order of the labels."""
NAME = re.compile(r"a(\d\d)_s(\d\d)_e(\d\d)_v(\d\d)")


class NWUCLAReader(Reader):
    """NW-UCLA as the skeleton community passes it on: ``aAA_sSS_eEE_vVV.json`` with ``skeletons`` [F, 20, 3] in metres.

    Source: Wang et al., Cross-view action modeling, learning and recognition, CVPR 2014. Kinect v1, ten actions, ten
    subjects, three cameras; split ``xview`` trains on cameras 1 and 2.
    """

    topology = "kinect20"
    classes = listed(
        """pick up with one hand, pick up with two hands, drop trash, walk around, sit down, stand up, donning, doffing, throw,
        carry"""
    )

    def sources(self, root: Path) -> Sequence[Path]:
        return clips_below(root, "*.json", lambda path: NAME.fullmatch(path.stem), "NW-UCLA clip, aAA_sSS_eEE_vVV.json")

    def read(self, source: Path) -> Clip:
        match = NAME.fullmatch(source.stem)
        if not match and not self.loose:
            raise InputError(f"{source}: expected a name like a01_s01_e00_v01.json")
        fields = read_json_line(str(source), read_text_file(source))
        bodies = whole_bodies([_frames(source, fields.get("skeletons"))])
        if self.loose or not match:
            return Clip(name=source.stem, label=-1, bodies=bodies)
        action, subject, _, camera = map(int, match.groups())
        label = fields.get("label")
        if type(label) is not int or not 1 <= label <= len(self.classes):
            raise InputError(f"{source}: label: found {shown(label)}, expected 1 to {len(self.classes)}")
        if action not in ACTIONS or ACTIONS.index(action) + 1 != label:
            wanted = f"which is label {ACTIONS.index(action) + 1}" if action in ACTIONS else "which is none of the ten"
            raise InputError(f"{source}: label: found {label}, but the name says action a{action:02}, {wanted}")
        return Clip(name=source.stem, label=label - 1, subject=subject, camera=camera, bodies=bodies)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"xview": np.isin(clips["camera"], TRAINING_CAMERAS)}


def _frames(source: Path, skeletons: Any) -> Float32[np.ndarray, "F 20 3"]:
    if not isinstance(skeletons, list) or not skeletons:
        raise InputError(f"{source}: skeletons: found {shown(skeletons)}, expected [frames][{JOINTS}][x, y, z]")
    frames = [points_of(f"{source}: skeletons[{i}]", frame, JOINTS, (3,)) for i, frame in enumerate(skeletons)]
    return np.array(frames, np.float32)
