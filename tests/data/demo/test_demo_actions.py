from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from masksem_graph.data.demo.actions import ACTIONS, course, key_poses, mirrored, monotone_cubic
from masksem_graph.data.demo.body import CHANNEL, CHANNELS, INDEX, JOINTS, draw_body, move
from masksem_graph.data.demo.performance import perform

MOMENTS = np.linspace(0.0, 1.0, 61)
STILL = np.zeros(len(CHANNELS))
TWO_PERSON = [name for name, action in ACTIONS.items() if action.partner]


def noiseless(action: str, repeats: int = 2) -> np.ndarray:
    return course(ACTIONS[action].keys(repeats), MOMENTS, STILL)


def test_twelve_actions_of_known_channels() -> None:
    assert len(ACTIONS) == 12
    for action in ACTIONS.values():
        for keys in (action.keys(2), *([key_poses(action.partner, 2)] if action.partner else [])):
            moments = [at for at, _ in keys]
            assert moments == sorted(set(moments))
            assert (moments[0], moments[-1]) == (0.0, 1.0)
            assert {channel for _, pose in keys for channel in pose} <= set(CHANNELS)


@pytest.mark.parametrize(("forth", "back"), [("sit_down", "stand_up"), ("pick_up", "put_down")])
def test_reversed_pairs_are_each_other_backwards(forth: str, back: str) -> None:
    assert_allclose(noiseless(back), noiseless(forth)[::-1], atol=1e-9)
    assert np.abs(noiseless(back) - noiseless(forth)).max() > 10


def test_waving_hands_differ_in_the_arm_alone() -> None:
    left, right = noiseless("wave_left"), noiseless("wave_right")
    differing = {channel for channel, i in CHANNEL.items() if np.any(left[:, i] != right[:, i])}
    arm = ("arm_flex", "arm_spread", "arm_twist", "elbow", "wrist")
    assert differing <= {f"{side}_{name}" for side in ("left", "right") for name in arm}
    body = draw_body(np.random.default_rng(0))
    arms = [i for i, joint in enumerate(JOINTS) if joint.split("_")[-1] in ("elbow", "wrist", "hand", "tip", "thumb")]
    apart = np.abs(move(body, left) - move(body, right)).max(axis=(0, 2))
    assert set(np.flatnonzero(apart > 1e-9)) == set(arms)


def test_mirroring_keys_mirrors_the_joints() -> None:
    body, keys = draw_body(np.random.default_rng(0)), ACTIONS["throw"].keys(1)
    there, mirror = (move(body, course(k, MOMENTS, STILL)) for k in (keys, mirrored(keys)))
    swapped = [INDEX[j.replace("left", "L").replace("right", "left").replace("L", "right")] for j in JOINTS]
    assert_allclose(mirror[:, swapped] * (-1.0, 1.0, 1.0), there, atol=1e-9)


def test_interpolation_meets_its_keys_and_does_not_overshoot() -> None:
    at, values = np.array([0.0, 0.2, 0.5, 1.0]), np.array([[0.0], [1.0], [1.0], [-2.0]])
    assert_allclose(monotone_cubic(at, values, at), values)
    between = monotone_cubic(at, values, MOMENTS)
    assert (between.min(), between.max()) == (-2.0, 1.0)
    assert_allclose(monotone_cubic(at, values, np.array([-1.0, 2.0])), values[[0, -1]])


@pytest.mark.parametrize("action", ["pick_up", "put_down", "wave_left", "wave_right", "throw", "clap", "drink", "sit_down"])
@pytest.mark.parametrize("seed", range(4))
def test_feet_stay_on_the_floor(action: str, seed: int) -> None:
    body = draw_body(np.random.default_rng(seed))
    joints = perform(action, body, np.random.default_rng((seed, 1)))[0]
    ankles = joints[:, [INDEX["left_ankle"], INDEX["right_ankle"]]]
    assert ankles[..., 1].min() >= body.ankle_height - 0.005
    standing = ankles[..., 1] < body.ankle_height + 0.005
    assert standing.any(axis=1).all()
    moved = np.linalg.norm(np.diff(ankles, axis=0), axis=-1)
    assert moved[standing[1:] & standing[:-1]].max() < 0.02


@pytest.mark.parametrize("action", ACTIONS)
def test_as_many_people_as_the_action_is_for(action: str) -> None:
    people = perform(action, draw_body(np.random.default_rng(0)), np.random.default_rng(1))
    assert people.shape[0] == (2 if action in TWO_PERSON else 1)
    assert 45 <= people.shape[1] <= 75
    assert people[..., 1].min() > 0.0
    assert np.isfinite(people).all()


@pytest.mark.parametrize("seed", range(5))
def test_shaken_hands_meet(seed: int) -> None:
    people = perform("shake_hands", draw_body(np.random.default_rng(seed)), np.random.default_rng((seed, 9)))
    hands = people[:, :, INDEX["right_hand"]]
    assert np.linalg.norm(hands[0] - hands[1], axis=-1).min() < 0.30


def test_hands_reach_where_the_action_needs_them() -> None:
    body = draw_body(np.random.default_rng(0))
    clap, drink, pick = (move(body, noiseless(action)) for action in ("clap", "drink", "pick_up"))
    palms = np.linalg.norm(clap[:, INDEX["left_hand"]] - clap[:, INDEX["right_hand"]], axis=-1)
    assert palms.min() < 0.10 < 0.25 < palms.max()
    assert np.linalg.norm(drink[:, INDEX["right_hand"]] - drink[:, INDEX["head"]], axis=-1).min() < 0.25
    assert pick[:, INDEX["right_hand"], 1].min() < 0.45
