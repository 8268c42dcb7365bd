"""The mean pose of a store: found again whatever way the bodies face."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float

import masksem_graph.data.mean_pose as module
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.mean_pose import mean_pose, sides
from masksem_graph.data.store import Store, StoreWriter, open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology, parse_topology

TINY = load_topology("tiny5")
POSE = np.array([TINY.rest_pose[joint] for joint in TINY.joints])


def facing(angle: float) -> Float[np.ndarray, "5 3"]:
    """The rest pose, turned about the vertical and put somewhere else."""
    turn = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
    return POSE @ turn.T + (3.0, 0.2, angle)


def write(path: Path, clips: list[list[Body]], topology: Topology = TINY) -> Store:
    with StoreWriter(path, topology=topology, classes=("a",)) as writer:
        for i, bodies in enumerate(clips):
            writer.add(Clip(name=f"clip{i}", label=0, bodies=tuple(bodies)))
        writer.splits = {"half": np.arange(len(clips)) < len(clips) / 2}
    return open_store(path)


def body(*frames: Float[np.ndarray, "V C"], present: tuple[bool, ...] | None = None) -> Body:
    return Body(start=0, frames=np.stack(frames).astype(np.float32), present=np.array(present or (True,) * len(frames)))


@pytest.mark.parametrize("portion", [1, 3, 1000])
def test_bodies_that_face_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portion: int) -> None:
    monkeypatch.setattr(module, "PORTION", portion)
    bodies = [[body(*(facing(angle) for angle in angles))] for angles in ((0.0, 1.0), (2.5,), (-3.0, 0.3, 4.0))]
    found = mean_pose(write(tmp_path / "store", bodies), np.arange(3))
    expected = POSE - POSE[TINY.index["hip"]]
    assert list(found) == list(TINY.joints)
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-4)


def test_only_the_frames_that_are_there(tmp_path: Path) -> None:
    twice = facing(1.0) * (1, 2, 1)
    store = write(
        tmp_path / "store",
        [[body(facing(0.0), np.zeros((5, 3)), twice, present=(True, False, True)), body(facing(2.0))], [body(9 * POSE)]],
    )
    found = mean_pose(store, np.array([0]))
    # Two frames as high as they are and one twice as high.
    assert found["head"][1] == pytest.approx(4 / 3 * (TINY.rest_pose["head"][1] - TINY.rest_pose["hip"][1]), abs=1e-3)


def test_key_points_of_an_image(tmp_path: Path) -> None:
    """x of the image runs to the left of a person who faces the camera, y downwards; the score is no coordinate."""
    image = np.stack([300 - 100 * POSE[:, 0], 200 - 100 * POSE[:, 1], np.full(5, 0.9)], 1)
    store = write(tmp_path / "store", [[body(image)]], replace(TINY, units="pixels"))
    found = mean_pose(store, np.arange(1))
    expected = 100 * (POSE - POSE[TINY.index["hip"]]) * (1, 1, 0)
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-3)


def test_which_side_is_which() -> None:
    right, left = sides(TINY)
    assert ([TINY.joints[i] for i in right], [TINY.joints[i] for i in left]) == (["right_hand"], ["left_hand"])
    openpose = load_topology("openpose18")  # lists the right arm first
    right, left = sides(openpose)
    assert all(openpose.joints[i].startswith("right") for i in right)
    assert [openpose.mirror[openpose.joints[i]] for i in right] == [openpose.joints[i] for i in left]


def test_a_pair_of_which_one_joint_is_no_node() -> None:
    fields = {"name": "two", "joints": ["hip", "right_hand", "left_hand"], "context": ["left_hand"], "centre": "hip"}
    fields |= {
        "bones": [["right_hand", "hip"]],
        "parts": {"all": ["hip", "right_hand"]},
        "mirror": [["left_hand", "right_hand"]],
    }
    with pytest.raises(InputError, match="two: mirror: expected pairs of joints, found none"):
        sides(parse_topology(fields, source_file="two.yaml"))


@pytest.mark.parametrize(
    ("right", "left"), [("right", "links"), ("hand_right", "hand_other"), ("R_hand", "L_hand"), ("b", "c")]
)
def test_names_that_tell_by_one_side_alone(right: str, left: str) -> None:
    """The right joint is listed first, which is left only where no name tells."""
    names = {"right_hand": right, "left_hand": left}
    joints = [names.get(joint, joint) for joint in sorted(TINY.joints, key=lambda joint: joint != "right_hand")]
    bones = [[joint, joints[1]] for joint in joints if joint != joints[1]]
    fields = {"name": "two", "joints": joints, "centre": joints[1], "bones": bones, "parts": {"all": joints}}
    found = sides(parse_topology(fields | {"mirror": [[right, left]]}, source_file="two.yaml"))
    expected = ([left], [right]) if right == "b" else ([right], [left])
    assert tuple([joints[i] for i in side] for side in found) == expected


def test_no_way_to_tell(tmp_path: Path) -> None:
    alone = replace(TINY, mirror={joint: joint for joint in TINY.joints})
    with pytest.raises(InputError, match=r"^tiny5: mirror: expected pairs of joints, found none"):
        mean_pose(write(tmp_path / "alone", [[body(POSE)]], alone), np.arange(1))
    flat = POSE * (0, 1, 0)
    with pytest.raises(InputError, match="no frame from which to tell left from right"):
        mean_pose(write(tmp_path / "flat", [[body(flat)]]), np.arange(1))
