"""OpenPose's key points: a folder with a JSON file a frame, as its option ``--write_json`` writes them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from masksem_graph.data.keypoints import Person, flat_points, read_json
from masksem_graph.data.recordings import RecordingsReader
from masksem_graph.errors import InputError, shown

TOPOLOGIES = {75: "body25", 54: "openpose18"}
"""Numbers of a person -> what they are of: BODY_25 or COCO."""


class OpenPoseReader(RecordingsReader):
    """A recording is a folder with ``NAME_000000000012_keypoints.json`` and so on. Each has ``people``, and each of them
    ``pose_keypoints_2d``: x, y in pixels and a score of each joint, of BODY_25 or of the COCO model. A frame's number is in
    its file's name; a missing one shows nobody. Faces, hands and 3D are left aside.

    Source: Cao et al., OpenPose, TPAMI 2021; its doc/02_output.md.
    """

    endings: ClassVar[tuple[str, ...]] = ("_keypoints.json",)
    topologies: ClassVar[tuple[str, ...]] = ("body25", "openpose18")
    frame_name: ClassVar[re.Pattern[str] | None] = re.compile(r"(.*?)_?(\d{1,15})_keypoints\.json")

    def fitting(self, path: Path) -> Sequence[str]:
        poses = (pose for file in self.frame_files(path).values() for _, pose in _poses(file))
        return [TOPOLOGIES[len(pose)] for pose in poses if isinstance(pose, list) and len(pose) in TOPOLOGIES][:1]

    def people(self, path: Path) -> Mapping[int, Sequence[Person]]:
        found = {}
        for number, file in self.frame_files(path).items():
            found[number] = [Person(flat_points(place, pose, self.joints)) for place, pose in _poses(file)]
        return self.of_pixels(path, found)


def _poses(file: Path) -> list[tuple[str, Any]]:
    """The pose of each person in a frame, with its place."""
    fields = read_json(file)
    people = fields.get("people") if isinstance(fields, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise InputError(f"{file}: people: found {shown(people)}, expected a list of objects with pose_keypoints_2d")
    return [(f"{file}: people[{i}].pose_keypoints_2d", person.get("pose_keypoints_2d")) for i, person in enumerate(people)]
