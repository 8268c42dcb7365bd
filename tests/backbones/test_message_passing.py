"""The backbones of message passing compute what their papers say, on edges that reach as far as they should."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch_geometric.nn import GATv2Conv, GCNConv, RGCNConv

from masksem_graph.backbones import GAT, GCN, GPS, STGCN
from masksem_graph.backbones.message_passing import one_hot_edges
from masksem_graph.edges import OUTWARD, STEPS, hop_distance, skeleton_graph
from masksem_graph.graph import SkeletonBatch, SkeletonData
from masksem_graph.topology import load_topology

TINY = load_topology("tiny5")  # hip - head, hip - foot, head - left_hand, head - right_hand
SEGMENTS, WIDTH = 4, 8
EDGES = skeleton_graph(TINY, SEGMENTS).edge_index
NODES = SEGMENTS * 5
KEPT = torch.tensor([[0, 3, 8, 11, 12, 19]])
WHOLE = SkeletonBatch.from_frames(torch.zeros(1, SEGMENTS, 5, 3), topology=TINY, segment=1)
SOME = WHOLE.subgraph(KEPT)


def build(part: Any, **options: Any) -> Any:
    return part(width=WIDTH, depth=1, **options).eval()


def test_gcn_is_pre_norm_gcn() -> None:
    backbone, h = build(GCN), torch.randn(1, NODES, WIDTH)
    block = backbone.blocks[0]
    layer = GCNConv(WIDTH, WIDTH)
    layer.load_state_dict(block.conv.state_dict())
    mixed = h + layer(block.norm1(h)[0], EDGES)
    torch.testing.assert_close(backbone(h, WHOLE), backbone.norm(mixed + block.mlp(block.norm2(mixed))))


def test_gcn_among_kept_nodes_weighs_by_distance() -> None:
    backbone, h = build(GCN, kept_hops=3), torch.randn(1, 6, WIDTH)
    segment, joint = KEPT[0] // 5, KEPT[0] % 5
    distance = hop_distance(TINY)[joint[:, None], joint] + (segment[:, None] - segment).abs()
    weight = torch.where((distance > 0) & (distance <= 3), 1 / distance, 0) + torch.eye(6)
    root = weight.sum(1).rsqrt()
    block = backbone.blocks[0]
    mixed = h + root[:, None] * weight * root @ block.conv.lin(block.norm1(h)) + block.conv.bias
    torch.testing.assert_close(backbone(h, SOME), backbone.norm(mixed + block.mlp(block.norm2(mixed))))


def test_gat_is_pre_norm_gatv2() -> None:
    """Without what it is told of edges, it is the published layer."""
    backbone, h = build(GAT, heads=2), torch.randn(1, NODES, WIDTH)
    block = backbone.blocks[0]
    torch.nn.init.zeros_(block.conv.lin_edge.weight)
    layer = GATv2Conv(WIDTH, WIDTH // 2, heads=2)
    layer.load_state_dict({name: value for name, value in block.conv.state_dict().items() if name != "lin_edge.weight"})
    mixed = h + layer(block.norm1(h)[0], EDGES)
    torch.testing.assert_close(backbone(h, WHOLE), backbone.norm(mixed + block.mlp(block.norm2(mixed))))


def test_gps_by_formula() -> None:
    backbone, h = build(GPS, heads=2), torch.randn(1, NODES, WIDTH)
    layer = backbone.blocks[0].layer
    told = layer.conv.lin(one_hot_edges(WHOLE.edge_attr, 4))
    source, target = EDGES
    messages = torch.zeros(NODES, WIDTH).index_add_(0, target, (h[0, source] + told).relu())
    torch.nn.init.constant_(layer.conv.eps, 0.3)
    local = layer.norm1(layer.conv.nn(1.3 * h[0] + messages) + h[0])
    q, k, v = F.linear(h[0], layer.attn.in_proj_weight).split(WIDTH, 1)
    heads = [(q[:, s] @ k[:, s].T / 2).softmax(1) @ v[:, s] for s in (slice(0, 4), slice(4, 8))]
    overall = layer.norm2(layer.attn.out_proj(torch.cat(heads, 1)) + h[0])
    both = local + overall
    torch.testing.assert_close(backbone(h, WHOLE)[0], backbone.norm(layer.norm3(both + layer.mlp(both))))


def test_stgcn_over_space() -> None:
    """The mean over the neighbours of a kind, each kind with its own weights."""
    backbone = build(STGCN)
    layer: RGCNConv = backbone.blocks[0].space
    h = torch.randn(NODES, WIDTH)
    out = layer(h, *backbone.tell(WHOLE)[:2]).detach()
    inward, _, outward = layer.weight
    for segment in range(SEGMENTS):
        hip, head, left, right, foot = h[5 * segment : 5 * segment + 5]
        # Messages to the hip come from head and foot, and lead inward; those to a hand come from the head, and lead outward.
        expected = hip @ layer.root + (head + foot) / 2 @ inward + layer.bias
        torch.testing.assert_close(out[5 * segment], expected)
        expected = head @ layer.root + (left + right) / 2 @ inward + hip @ outward + layer.bias
        torch.testing.assert_close(out[5 * segment + 1], expected)
        torch.testing.assert_close(out[5 * segment + 2], left @ layer.root + head @ outward + layer.bias)


def test_stgcn_joins_no_two_segments() -> None:
    graph = WHOLE.over(2)
    index, relation, _ = build(STGCN).tell(graph)
    assert torch.equal(index[0] // 5, index[1] // 5) and len(relation) == int((graph.edge_attr[:, STEPS] == 0).sum())
    assert relation.unique().tolist() == [0, 1, 2] and graph.edge_attr[:, OUTWARD].max() == 2


@pytest.mark.parametrize("graph", [WHOLE, SOME], ids=["all", "kept"])
def test_stgcn_over_time(graph: SkeletonData) -> None:
    block = build(STGCN, kernel=3).blocks[0]
    here = list(range(NODES)) if graph.nodes is None else graph.nodes[0].tolist()
    h = torch.randn(1, len(here), WIDTH)
    out = block._over_time(h, graph)[0]
    values = dict(zip(here, h[0], strict=True))
    for place, node in enumerate(here):
        segment, joint = divmod(node, 5)
        expected = block.time.bias.clone()
        for tap, step in enumerate((-1, 0, 1)):
            neighbour = 5 * (segment + step) + joint
            if 0 <= segment + step < SEGMENTS and neighbour in values:
                expected = expected + block.time.weight[:, :, tap] @ values[neighbour]
        torch.testing.assert_close(out[place], expected)


@pytest.mark.parametrize(("part", "reach"), [(GCN, 1), (GAT, 1), (GCN, 2), (GAT, 2)])
def test_messages_go_as_far_as_the_reach(part: Any, reach: int) -> None:
    backbone = build(part, hops=reach, kept_hops=reach)
    for graph in (WHOLE, SOME):
        here = torch.arange(NODES) if graph.nodes is None else graph.nodes[0]
        h = torch.randn(1, len(here), WIDTH, requires_grad=True)
        segment, joint = here // 5, here % 5
        distance = hop_distance(TINY)[joint[:, None], joint] + (segment[:, None] - segment).abs()
        for place in range(len(here)):
            (gradient,) = torch.autograd.grad(backbone(h, graph)[0, place] @ torch.randn(WIDTH), h)
            assert torch.equal(gradient[0].abs().sum(1) > 0, distance[place] <= reach)
