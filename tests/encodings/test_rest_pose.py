"""The rest pose: its size, its waves, and what it alone can tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from masksem_graph.encodings import Laplacian, RandomWalk, RestPose
from masksem_graph.encodings.projected import fourier_features, rest_features, rest_places
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology
from tests.helpers import grid

TINY = load_topology("tiny5")


def with_pose(**places: tuple[float, float, float]) -> Topology:
    return replace(TINY, rest_pose={joint: places.get(joint, (0.0, 0.0, 0.0)) for joint in TINY.joints})


def test_places_by_hand() -> None:
    topology = with_pose(head=(0, 3, 0), left_hand=(-1, 0, 0), right_hand=(1, 0, 2), foot=(0, -1, 0))
    # From -1 to 3 upwards is the largest extent, 4; the middle is (0, 1, 1).
    expected = [[0, -0.5, -0.5], [0, 1, -0.5], [-0.5, -0.5, -0.5], [0.5, -0.5, 0.5], [0, -1, -0.5]]
    assert rest_places(topology).tolist() == expected


def test_unit_and_origin_do_not_matter() -> None:
    moved = {joint: (100 * x + 7, 100 * y - 3, 100 * z) for joint, (x, y, z) in TINY.rest_pose.items()}
    torch.testing.assert_close(rest_places(replace(TINY, rest_pose=moved)), rest_places(TINY), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["kinect20", "coco17", "openpose18", "h36m17", "smpl24", "mediapipe33", "ntu25_full"])
def test_the_same_joint_is_at_the_same_place_in_every_skeleton(name: str) -> None:
    ntu, other = load_topology("ntu25"), load_topology(name)
    here, there = rest_places(ntu), rest_places(other)
    shared = set(ntu.joints) & set(other.joints) - {"neck", "head", "left_foot", "right_foot"}
    assert len(shared) >= 10
    for joint in shared:
        assert (here[ntu.index[joint]] - there[other.index[joint]]).norm() < 0.15, joint


def test_features_by_formula() -> None:
    place = torch.tensor([[0.3, -1.0, 0.5]])
    features = fourier_features(place, 2)
    quarter = torch.pi / 2
    angles = [0.3 * quarter, 0.3 * 2 * quarter, -1 * quarter, -1 * 2 * quarter, 0.5 * quarter, 0.5 * 2 * quarter]
    expected = torch.cat([place, torch.tensor([angles]).sin(), torch.tensor([angles]).cos()], 1)
    torch.testing.assert_close(features, expected)
    assert torch.equal(fourier_features(place, 0), place)


def test_it_tells_left_from_right_which_random_walks_cannot() -> None:
    topology = load_topology("ntu25")
    left, right = topology.index["left_hand"], topology.index["right_hand"]
    for make, differs in ((RestPose, True), (RandomWalk, False)):
        value = make(width=8)(grid(topology))[0]
        assert torch.allclose(value[left], value[right]) != differs
    # The Laplacian's vectors differ, but a mirrored body has the same ones: which side is which follows the names' order.
    assert not torch.allclose(*Laplacian(width=8)(grid(topology))[0][[left, right]])


def test_every_pair_of_joints_is_told_apart() -> None:
    features = rest_features(load_topology("mediapipe33"), RestPose(width=8).option)
    distance = torch.cdist(features, features) + 9 * torch.eye(33)
    assert distance.min() > 0.3


def test_no_rest_pose() -> None:
    with pytest.raises(InputError, match=r"^tiny5: rest_pose: this field is missing, .*masksem-graph topology pose"):
        RestPose(width=8)(grid(replace(TINY, rest_pose={})))
    with pytest.raises(InputError, match=r"^octaves: expected at least 0, found -1$"):
        RestPose(width=8, octaves=-1)
