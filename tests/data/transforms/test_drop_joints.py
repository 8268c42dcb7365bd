"""Dropped joints."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.data.transforms import DropJoints, Rotate
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology


@pytest.mark.parametrize(("share", "dropped"), [(0.0, 0), (0.2, 1), (0.4, 2), (0.5, 2), (0.8, 4), (1.0, 4)])
def test_that_many_are_at_the_centre(tiny: Topology, share: float, dropped: int) -> None:
    frames = torch.randn(50, 4, 5, 3)
    out = DropJoints(share=share).apply(frames, torch.rand(50, 2), tiny)
    at_centre = (out == frames[:, :, :1]).all(-1)[:, :, 1:]
    left_alone = (out == frames).all(-1)
    assert left_alone[:, :, 0].all(), "the centre joint itself is never dropped"
    assert (at_centre ^ left_alone[:, :, 1:]).all()
    assert (at_centre.sum(-1) == dropped).all(), "round(share * 5), in every frame"
    assert (at_centre == at_centre[:, :1]).all(), "the same joints in the whole clip"


def test_every_joint_can_be_dropped() -> None:
    topology = load_topology("ntu25")
    frames = torch.randn(3000, 1, 25, 3)
    dropped = (DropJoints(share=0.2).apply(frames, torch.rand(3000, 2), topology) != frames).any(-1)[:, 0].float()
    assert dropped[:, topology.index[topology.centre]].sum() == 0
    others = torch.cat([dropped[:, :1], dropped[:, 2:]], 1)
    assert (others.mean(0) - 5 / 24).abs().max() < 0.03
    pairs = others.T @ others / 3000
    assert (pairs.fill_diagonal_(5 / 24 * 4 / 23) - 5 / 24 * 4 / 23).abs().max() < 0.02, "one says nothing of another"


def test_a_rotation_may_come_before_or_after(tiny: Topology) -> None:
    frames, uniform, angles = torch.randn(6, 4, 5, 3), torch.rand(6, 2), torch.rand(6, 3)
    drop, turn = DropJoints(share=0.4), Rotate(x=1.0, y=1.0, z=1.0)
    one = turn.apply(drop.apply(frames, uniform, tiny), angles, tiny)
    torch.testing.assert_close(one, drop.apply(turn.apply(frames, angles, tiny), uniform, tiny))


def test_a_dropped_joint_has_no_score() -> None:
    topology = load_topology("coco17")
    frames = torch.rand(8, 4, 17, 3) + 1
    out = DropJoints(share=0.5).apply(frames, torch.rand(8, 2), topology)
    dropped = (out != frames).any(-1)
    assert (dropped.sum(-1) == 8).all()
    assert torch.equal(out[..., 2] == 0, dropped)
    assert torch.equal(out[..., :2][dropped], frames[:, :, :1, :2].expand(8, 4, 17, 2)[dropped])


def test_refused() -> None:
    with pytest.raises(InputError, match=r"^DropJoints.share: expected a number from 0 to 1, found 2$"):
        DropJoints(share=2)
