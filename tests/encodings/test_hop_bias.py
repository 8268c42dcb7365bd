"""The attention bias: by hand, and by the formula of attention."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.backbones import Transformer
from masksem_graph.backbones.transformer import Attention
from masksem_graph.encodings import HopBias
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import load_topology
from tests.helpers import grid, reordered

TINY = load_topology("tiny5")
WHOLE = grid(TINY, 3)


def among(nodes: torch.Tensor | None) -> SkeletonData:
    return WHOLE if nodes is None else grid(TINY, 3, bodies=len(nodes)).subgraph(nodes)


def learned(**options: int) -> HopBias:
    bias = HopBias(heads=2, **options)
    torch.nn.init.normal_(bias.over_bones)
    torch.nn.init.normal_(bias.over_time)
    return bias


def test_by_hand() -> None:
    bias = learned(hops=2, steps=1)
    value = bias(WHOLE)
    assert value.shape == (1, 2, 15, 15)
    for head in range(2):
        bones, time = bias.over_bones[:, head], bias.over_time[:, head]
        torch.testing.assert_close(value[0, head, 0, 0], bones[0] + time[0])
        torch.testing.assert_close(value[0, head, 1, 7], bones[1] + time[1])  # head to left hand, one segment on
        torch.testing.assert_close(value[0, head, 2, 4], bones[2] + time[0])  # hand to foot: three bones count as two
        torch.testing.assert_close(value[0, head, 14, 4], bones[0] + time[1])  # the foot, two segments back: as one


def test_kept_nodes_have_their_own() -> None:
    bias, nodes = learned(), torch.tensor([[0, 3, 11], [2, 7, 14]])
    whole, some = bias(WHOLE)[0], bias(among(nodes))
    for body in range(2):
        torch.testing.assert_close(some[body], whole[:, nodes[body]][:, :, nodes[body]])


def test_it_is_added_to_the_logits() -> None:
    attention, bias, h = Attention(width=6, heads=2), learned(), torch.randn(1, 15, 6)
    q, k, v = attention.qkv(h)[0].split(6, dim=1)
    parts = (slice(0, 3), slice(3, 6))
    heads = [(q[:, s] @ k[:, s].T / 3**0.5 + bias(WHOLE)[0, i]).softmax(1) @ v[:, s] for i, s in enumerate(parts)]
    torch.testing.assert_close(attention(h, bias(WHOLE))[0], attention.proj(torch.cat(heads, 1)))


def test_it_starts_as_no_bias() -> None:
    with_bias = Transformer(width=8, depth=2, heads=2, bias=HopBias).eval()
    without = Transformer(width=8, depth=2, heads=2).eval()
    missing, unexpected = without.load_state_dict(with_bias.state_dict(), strict=False)
    assert not missing and unexpected == ["bias.over_bones", "bias.over_time"]
    h = torch.randn(2, 15, 8)
    batch = grid(TINY, 3, bodies=2)
    torch.testing.assert_close(with_bias(h, batch), without(h, batch))


@pytest.mark.parametrize(
    ("nodes", "bones", "time"),
    [(None, [0, 1, 2, 3], [0, 1, 2]), (torch.tensor([[1, 4, 9]]), [0, 2], [0, 1])],
    ids=["all", "kept"],
)
def test_numbers_of_distances_that_occur_learn(nodes: torch.Tensor | None, bones: list[int], time: list[int]) -> None:
    bias = learned()
    (bias(among(nodes)) * torch.rand(())).square().sum().backward()
    for parameter, reached in ((bias.over_bones, bones), (bias.over_time, time)):
        assert parameter.grad is not None
        assert (parameter.grad.abs().sum(1) > 0).nonzero()[:, 0].tolist() == reached


def test_another_joint_order() -> None:
    order, bias = [3, 0, 4, 1, 2], learned()
    nodes = torch.tensor([5 * t + v for t in range(3) for v in order])
    assert torch.equal(bias(grid(reordered(TINY, order), 3))[0], bias(WHOLE)[0][:, nodes][:, :, nodes])


def test_it_fits_another_skeleton() -> None:
    bias = learned()
    value = bias(grid(load_topology("ntu25"), 7))
    assert value.shape == (1, 2, 175, 175) and value.isfinite().all()
    fresh = HopBias(heads=2)
    fresh.load_state_dict(bias.state_dict())
    assert torch.equal(fresh(WHOLE), bias(WHOLE))
