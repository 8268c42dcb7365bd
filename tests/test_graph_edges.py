"""Edges over hops: by networkx on the product of skeleton and time, for whole batches and for what is kept of them."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.edges import BONES, OUTWARD, STEPS, reach_graph, skeleton_graph
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData
from masksem_graph.topology import Topology, load_topology

TINY = load_topology("tiny5")  # hip - head, hip - foot, head - left_hand, head - right_hand


def whole(bodies: int, segments: int, topology: Topology = TINY) -> SkeletonBatch:
    frames = torch.zeros(bodies, segments, len(topology.inputs), 3)
    return SkeletonBatch.from_frames(frames, topology=topology, segment=1, sequence=torch.arange(bodies))


def pairs(index: Tensor) -> list[tuple[int, int]]:
    return [(source, target) for source, target in index.T.tolist()]


def distances(topology: Topology, segments: int) -> dict[int, dict[int, int]]:
    """Hops between all nodes of a body, by networkx on bones and steps in time."""
    joints = range(len(topology))
    bones = nx.Graph([(topology.index[a], topology.index[b]) for a, b in topology.bones])
    bones.add_nodes_from(joints)
    product = nx.cartesian_product(nx.path_graph(segments), bones)
    numbered = nx.relabel_nodes(product, {(t, v): t * len(topology) + v for t in range(segments) for v in joints})
    return dict(nx.all_pairs_shortest_path_length(numbered))


@pytest.mark.parametrize("name", ["tiny5", "kinect20"])
@pytest.mark.parametrize("segments", [1, 4])
def test_one_hop_is_the_product_of_skeleton_and_time(name: str, segments: int) -> None:
    topology = load_topology(name)
    between = distances(topology, segments)
    expected = {(a, b) for a, reached in between.items() for b, hops in reached.items() if hops == 1}
    for graph in (skeleton_graph(topology, segments), reach_graph(topology, segments, 1), whole(1, segments, topology)):
        assert set(pairs(graph.edge_index)) == expected and graph.num_edges == len(expected)


def test_labels_by_hand() -> None:
    # Node 1 is the head, 2 and 3 the hands, which hang from it; 5 is the hip in the second segment.
    graph = reach_graph(TINY, 2, 2)
    found = {pair: tuple(label) for pair, label in zip(pairs(graph.edge_index), graph.edge_attr.tolist(), strict=True)}
    assert found[(1, 2)] == (1, 0, 1) and found[(2, 1)] == (1, 0, -1)
    assert found[(2, 3)] == (2, 0, 0)
    assert found[(2, 0)] == (2, 0, -2)
    assert found[(0, 5)] == (0, 1, 0) and found[(5, 0)] == (0, -1, 0)
    assert found[(6, 0)] == (1, -1, -1)
    assert (2, 4) not in found and (0, 0) not in found


def test_sorted_by_target() -> None:
    batch = whole(2, 3)
    for graph in (batch, batch.over(2), batch.subgraph(torch.tensor([[0, 3, 9], [1, 2, 14]]), hops=3)):
        assert torch.equal(graph.edge_index[1], graph.edge_index[1].sort().values)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), reach=st.integers(1, 4))
def test_among_kept_nodes(data: st.DataObject, reach: int) -> None:
    segments, nodes = 3, 15
    count = data.draw(st.integers(1, nodes))
    kept = [sorted(data.draw(st.permutations(range(nodes)))[:count]) for _ in range(2)]
    graph = whole(2, segments).subgraph(torch.tensor(kept), hops=reach)
    assert torch.equal(graph.over(reach).edge_index, graph.edge_index)
    between = distances(TINY, segments)
    expected = {
        (count * body + i, count * body + j): between[a][b]
        for body in range(2)
        for i, a in enumerate(kept[body])
        for j, b in enumerate(kept[body])
        if a != b and between[a][b] <= reach
    }
    found = pairs(graph.edge_index)
    assert set(found) == expected.keys() and len(found) == len(expected)
    hops = graph.edge_attr[:, BONES] + graph.edge_attr[:, STEPS].abs()
    assert [expected[pair] for pair in found] == hops.tolist()


def test_all_nodes_kept_is_the_whole_graph() -> None:
    batch, every = whole(2, 3), torch.arange(15).expand(2, -1)
    for hops in (1, 2, 4):
        one, other = batch.over(hops), batch.subgraph(every, hops=hops)
        assert torch.equal(one.edge_index, other.edge_index) and torch.equal(one.edge_attr, other.edge_attr)


@pytest.mark.parametrize("sizes", [(1, 2, 3), (3, 1, 2), (2, 2)])
def test_a_batch_is_one_body_repeated(sizes: tuple[int, ...]) -> None:
    one = reach_graph(TINY, 2, 2)
    for bodies in sizes:
        graph = whole(bodies, 2).over(2)
        assert pairs(graph.edge_index) == [
            (a + 10 * body, b + 10 * body) for body in range(bodies) for a, b in pairs(one.edge_index)
        ]
        assert torch.equal(graph.edge_attr, one.edge_attr.repeat(bodies, 1))


def test_edges_of_no_body() -> None:
    batch = whole(0, 2)
    graphs: list[SkeletonData] = [batch, batch.over(2), batch.subgraph(torch.zeros(0, 4, dtype=torch.int64))]
    for graph in graphs:
        assert graph.edge_index.shape == (2, 0) and graph.edge_attr.shape == (0, 3)


def test_a_smaller_batch_is_a_view() -> None:
    large = whole(4, 2).over(2)
    assert whole(2, 2).over(2).edge_index.data_ptr() == large.edge_index.data_ptr()


def test_outward_follows_the_centre() -> None:
    graph = skeleton_graph(TINY)
    out = {pair for pair, label in zip(pairs(graph.edge_index), graph.edge_attr, strict=True) if label[OUTWARD] > 0}
    assert out == {(0, 1), (0, 4), (1, 2), (1, 3)}


def test_ten_per_cent_of_the_nodes_still_talk() -> None:
    """What the reach is for: with 75 of 750 nodes kept, most have a neighbour within four hops, and few within one."""
    topology = load_topology("ntu25")
    kept = torch.stack([torch.randperm(750)[:75].sort().values for _ in range(8)])
    batch = whole(8, 30, topology)

    def share(reach: int) -> float:
        return len(batch.subgraph(kept, hops=reach).edge_index[1].unique()) / kept.numel()

    assert share(1) < 0.4
    assert share(4) > 0.9


def test_no_reach() -> None:
    with pytest.raises(InputError, match=r"^hops: expected at least 1, found 0$"):
        reach_graph(TINY, 1, 0)
