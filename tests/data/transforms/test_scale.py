"""Larger bodies, and other proportions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.transforms import Scale
from masksem_graph.data.transforms.scale import bone_tree
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology

NAMES = ["tiny5", "tiny5_limbs", "ntu25", "ntu25_limbs", "kinect20_random", "mediapipe33"]


def test_the_whole_body(tiny: Topology) -> None:
    frames = torch.randn(2, 3, 5, 3)
    scaled = Scale(low=1.0, high=3.0).apply(frames, torch.tensor([[0.0, 0.4], [0.75, 0.1]]), tiny)
    assert torch.equal(scaled[0], frames[0])
    hip = frames[1, :, :1]
    torch.testing.assert_close(scaled[1], hip + 2.5 * (frames[1] - hip))
    assert torch.equal(scaled[:, :, 0], frames[:, :, 0]), "the centre stays"


@pytest.mark.parametrize("limbs", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_one_for_all_is_the_whole_body(name: str, limbs: bool) -> None:
    topology = load_topology(name)
    frames = torch.randn(3, 4, len(topology.inputs), 3)
    scaled = Scale(low=1.3, high=1.3, limbs=limbs).apply(frames, torch.rand(3, 2), topology)
    middle = frames[:, :, [topology.inputs.index(topology.centre)]]
    torch.testing.assert_close(scaled, middle + 1.3 * (frames - middle), atol=1e-5, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**20), low=st.floats(0.2, 1.0), high=st.floats(1.0, 3.0))
def test_limbs_keep_their_directions(name: str, seed: int, low: float, high: float) -> None:
    topology, generator = load_topology(name), torch.Generator().manual_seed(seed)
    frames = torch.randn(2, 3, len(topology.inputs), 3, generator=generator, dtype=torch.float64)
    uniform = torch.rand(2, 2, generator=generator)
    scaled = Scale(low=low, high=high, limbs=True).apply(frames, uniform, topology)
    tree = bone_tree(topology, frames.device)
    before, after = (x - x[:, :, tree.parent] for x in (frames, scaled))
    children = [i for i in range(len(topology.inputs)) if i != tree.centre]
    factor = (after.norm(dim=-1) / before.norm(dim=-1))[:, :, children]
    torch.testing.assert_close(after[:, :, children], factor[..., None] * before[:, :, children])
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    assert (factor > low - 1e-5).all() and (factor < high + 1e-5).all()
    # Mirror images have the same factor.
    named = {topology.inputs[child]: factor[:, 0, i] for i, child in enumerate(children)}
    for joint, other in topology.mirror.items():
        if joint in named and other in named:
            torch.testing.assert_close(named[joint], named[other])


def test_factors_of_a_tree_by_hand(tiny: Topology) -> None:
    """hip at 0, head one above it, hands one to each side of the head, foot one below the hip."""
    pose = torch.tensor([[0.0, 0, 0], [0, 1, 0], [-1, 1, 0], [1, 1, 0], [0, -1, 0]])[None, None]
    hip, head, left, right, foot = Scale(low=0.5, high=2.0, limbs=True).apply(pose, torch.rand(1, 2), tiny)[0, 0]
    assert hip.tolist() == [0, 0, 0]
    assert len({head[1].item(), right[0].item(), -foot[1].item()}) == 3, "three bones, three factors"
    assert left.tolist() == [-right[0].item(), head[1].item(), 0] and right[1] == head[1]
    assert head.tolist() == [0, head[1].item(), 0] and foot.tolist() == [0, foot[1].item(), 0]


def test_factors_fill_their_range(tiny: Topology) -> None:
    pose = torch.tensor([[0.0, 0, 0], [0, 1, 0], [-1, 1, 0], [1, 1, 0], [0, -1, 0]]).repeat(4000, 1, 1, 1)
    scaled = Scale(low=0.5, high=1.5, limbs=True).apply(pose, torch.rand(4000, 2), tiny)
    factors = torch.stack([scaled[:, 0, 1, 1], scaled[:, 0, 3, 0], -scaled[:, 0, 4, 1]])
    for factor in factors:
        counts = torch.histc(factor, bins=10, min=0.5, max=1.5)
        assert ((counts - 400) ** 2 / 400).sum() < 27.9, "uniform: chi-square at 9 degrees of freedom, p = 0.001"
    assert torch.corrcoef(factors).fill_diagonal_(0).abs().max() < 0.06


def test_context_joints_share_a_factor() -> None:
    topology = load_topology("ntu25_limbs")
    frames = torch.randn(1, 1, 25, 3, dtype=torch.float64)
    scaled = Scale(low=0.5, high=2.0, limbs=True).apply(frames, torch.rand(1, 2), topology)
    middle = topology.inputs.index(topology.centre)
    aside = [topology.inputs.index(joint) for joint in topology.context]
    factor = (scaled - frames[:, :, [middle]])[:, :, aside] / (frames - frames[:, :, [middle]])[:, :, aside]
    torch.testing.assert_close(factor, factor[0, 0, 0, 0].expand_as(factor))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.1, 0.9), (math.nan, 1.0), (1.0, math.inf)])
def test_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match=r"^Scale: expected two factors with 0 < low <= high, found low "):
        Scale(low=low, high=high)
