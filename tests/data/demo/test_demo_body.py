from __future__ import annotations

import numpy as np
import pytest

from masksem_graph.data.demo.body import (
    CHANNEL,
    CHANNELS,
    INDEX,
    bones_from_root,
    both_sides,
    draw_body,
    forward_kinematics,
    mirror_name,
    move,
)
from masksem_graph.data.demo.performance import perform
from masksem_graph.topology import load_topology


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    parents, children = np.array(bones_from_root()).T
    return np.linalg.norm(joints[..., children, :] - joints[..., parents, :], axis=-1)


def test_bones_are_those_of_the_topology() -> None:
    bones = {frozenset(bone) for bone in load_topology("ntu25").bones}
    names = load_topology("ntu25").joints
    assert {frozenset((names[parent], names[child])) for parent, child in bones_from_root()} == bones


def test_forward_kinematics_without_rotations_is_the_rest_pose() -> None:
    body = draw_body(np.random.default_rng(0))
    joints = forward_kinematics(body, np.zeros((1, 3)), np.tile(np.eye(3), (1, 25, 1, 1)))[0]
    assert joints[INDEX["spine_base"]].tolist() == [0.0, 0.0, 0.0]
    chain = ["spine_middle", "spine_shoulder", "neck", "head"]
    np.testing.assert_allclose(joints[INDEX["head"]], sum(body.offsets[INDEX[joint]] for joint in chain))


@pytest.mark.parametrize("action", ["sit_down", "kick", "throw", "push"])
def test_bones_keep_their_length_over_a_clip(action: str) -> None:
    people = perform(action, draw_body(np.random.default_rng(1)), np.random.default_rng(2))
    lengths = bone_lengths(people)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:, :1], lengths.shape), atol=1e-9)


def test_people_differ_and_are_of_human_size() -> None:
    bodies = [draw_body(np.random.default_rng((0, subject))) for subject in range(1, 21)]
    joints = np.concatenate([move(body, np.zeros((1, len(CHANNELS)))) for body in bodies])
    heads = joints[:, INDEX["head"], 1]
    assert 1.35 < heads.min() < heads.max() < 1.95
    assert np.ptp(heads) > 0.15
    lengths = bone_lengths(joints)
    shares = lengths / lengths.sum(axis=1, keepdims=True)
    assert (shares.std(axis=0) / shares.mean(axis=0)).max() > 0.03


def test_knees_bend_forward_and_the_sole_is_on_the_floor() -> None:
    pose = np.zeros((2, len(CHANNELS)))
    pose[1, CHANNEL["pelvis_up"]] = -0.4
    body = draw_body(np.random.default_rng(3))
    joints = move(body, pose)
    for side in ("left", "right"):
        assert joints[1, INDEX[f"{side}_knee"], 2] < joints[1, INDEX[f"{side}_ankle"], 2] - 0.1
        np.testing.assert_allclose(joints[:, INDEX[f"{side}_ankle"], 1], body.ankle_height, atol=1e-9)


def test_the_right_hand_goes_up_in_front_on_the_right() -> None:
    pose = np.zeros((1, len(CHANNELS)))
    pose[0, CHANNEL["right_arm_flex"]] = 90.0
    joints = move(draw_body(np.random.default_rng(4)), pose)[0]
    hand, shoulder = joints[INDEX["right_hand"]], joints[INDEX["right_shoulder"]]
    assert shoulder[0] > 0
    assert hand[2] < shoulder[2] - 0.4
    assert hand[1] == pytest.approx(shoulder[1], abs=0.01)


def test_mirror_is_an_involution_and_tables_reach_both_sides() -> None:
    assert all(mirror_name(mirror_name(channel)) == channel for channel in CHANNELS)
    assert both_sides({"elbow": 1, "lean": 2}) == {"lean": 2, "left_elbow": 1, "right_elbow": 1}
