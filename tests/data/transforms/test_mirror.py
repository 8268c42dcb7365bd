"""Mirror images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.transforms import Mirror
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.topology import Topology, load_topology

SHIPPED = sorted(path.stem for path in shipped("graphs").glob("*.yaml"))
ALWAYS = Mirror(probability=1.0)


def test_by_hand(tiny: Topology) -> None:
    frames = torch.arange(15.0).view(1, 1, 5, 3) + 1
    mirrored = ALWAYS.apply(frames, torch.zeros(1, 1), tiny)[0, 0]
    assert mirrored.tolist() == [[-1, 2, 3], [-4, 5, 6], [-10, 11, 12], [-7, 8, 9], [-13, 14, 15]]


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(SHIPPED), seed=st.integers(0, 2**20))
def test_twice_is_nothing(name: str, seed: int) -> None:
    topology = load_topology(name)
    frames = torch.randn(2, 3, len(topology.inputs), 3, generator=torch.Generator().manual_seed(seed))
    once = ALWAYS.apply(frames, torch.zeros(2, 1), topology)
    assert not torch.equal(once, frames)
    assert torch.equal(ALWAYS.apply(once, torch.zeros(2, 1), topology), frames)


@pytest.mark.parametrize("name", [name for name in SHIPPED if load_topology(name).rest_pose])
def test_a_body_at_rest_is_its_own_mirror_image(name: str) -> None:
    """Context joints are exchanged too: the limbs of `ntu25_limbs` must not hang on the other side's shoulder."""
    topology = load_topology(name)
    assert set(topology.rest_pose) == set(topology.inputs)
    pose = torch.tensor([topology.rest_pose[joint] for joint in topology.inputs])[None, None, :, : topology.dimensions]
    assert torch.equal(ALWAYS.apply(pose, torch.zeros(1, 1), topology), pose)


def test_a_share_of_the_clips(tiny: Topology) -> None:
    frames = torch.randn(2000, 1, 5, 3)
    mirrored = (Mirror(probability=0.3).apply(frames, torch.rand(2000, 1), tiny) != frames).flatten(1).any(1)
    assert mirrored.float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(Mirror(probability=0.0).apply(frames, torch.zeros(2000, 1), tiny), frames)


def test_left_and_right_must_be_known(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text("name: plain\nextends: tiny5\nmirror: []\n")
    with pytest.raises(InputError, match=r"^plain: mirror: expected pairs of joints, found none"):
        ALWAYS.apply(torch.randn(1, 1, 5, 3), torch.zeros(1, 1), load_topology(path))
    with pytest.raises(InputError, match=r"^Mirror.probability: expected a number from 0 to 1, found 1.5$"):
        Mirror(probability=1.5)
