"""Edges over hops: by networkx on the product of skeleton and time, for whole batches and for what is kept of them."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.backbones.edges import Edges, HopEdges
from masksem_graph.errors import InputError
from masksem_graph.graph import skeleton_edges
from masksem_graph.topology import Topology, load_topology

TINY = load_topology("tiny5")


def pairs(edges: Edges) -> list[tuple[int, int]]:
    return [(source, target) for source, target in edges.pairs.T.tolist()]


def distances(topology: Topology, segments: int) -> dict[int, dict[int, int]]:
    """Hops between all nodes of a body, by networkx on the skeleton graph that the rest of the package uses."""
    graph = nx.Graph(skeleton_edges(topology, segments)[0].T.tolist())
    graph.add_nodes_from(range(segments * len(topology)))
    return dict(nx.all_pairs_shortest_path_length(graph))


@pytest.mark.parametrize("name", ["tiny5", "kinect20"])
@pytest.mark.parametrize("segments", [1, 4])
def test_one_hop_is_the_skeleton_graph(name: str, segments: int) -> None:
    topology = load_topology(name)
    edges = HopEdges(topology=topology, segments=segments, hops=1, kept_hops=1)(1)
    assert sorted(pairs(edges)) == sorted(tuple(edge) for edge in skeleton_edges(topology, segments)[0].T.tolist())


def test_labels_by_hand() -> None:
    # Node 1 is the head, 2 and 3 the hands, which hang from it; 5 is the hip in the second segment.
    edges = HopEdges(topology=TINY, segments=2, hops=2, kept_hops=2)(1)
    found = {pair: tuple(label) for pair, *label in zip(pairs(edges), *(t.tolist() for t in edges[1:]), strict=True)}
    assert found[(1, 2)] == (1, 0, 1) and found[(2, 1)] == (1, 0, -1)
    assert found[(2, 3)] == (2, 0, 0)
    assert found[(2, 0)] == (2, 0, -2)
    assert found[(0, 5)] == (0, 1, 0) and found[(5, 0)] == (0, -1, 0)
    assert found[(6, 0)] == (1, -1, -1)
    assert (2, 4) not in found and (0, 0) not in found


def test_sorted_by_target() -> None:
    targets = HopEdges(topology=TINY, segments=3, hops=2, kept_hops=2)(2).pairs[1]
    assert torch.equal(targets, targets.sort().values)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), reach=st.integers(1, 4), loops=st.booleans(), over_time=st.booleans())
def test_among_kept_nodes(data: st.DataObject, reach: int, loops: bool, over_time: bool) -> None:
    segments, nodes = 3, 15
    count = data.draw(st.integers(1, nodes))
    kept = [sorted(data.draw(st.permutations(range(nodes)))[:count]) for _ in range(2)]
    options = {"hops": 1, "kept_hops": reach, "loops": loops, "over_time": over_time}
    edges = HopEdges(topology=TINY, segments=segments, **options)(2, torch.tensor(kept))
    between = distances(TINY, segments)
    expected = {
        (count * body + i, count * body + j): between[a][b]
        for body in range(2)
        for i, a in enumerate(kept[body])
        for j, b in enumerate(kept[body])
        if between[a][b] <= reach and (loops or a != b) and (over_time or a // 5 == b // 5)
    }
    assert set(pairs(edges)) == expected.keys() and len(pairs(edges)) == len(expected)
    assert [expected[pair] for pair in pairs(edges)] == (edges.hops + edges.steps.abs()).tolist()


@pytest.mark.parametrize("sizes", [(1, 2, 3), (3, 1, 2), (2, 2)])
def test_a_batch_is_one_body_repeated(sizes: tuple[int, ...]) -> None:
    edges = HopEdges(topology=TINY, segments=2, hops=2, kept_hops=2)
    one = HopEdges(topology=TINY, segments=2, hops=2, kept_hops=2)(1)
    for bodies in sizes:
        found = edges(bodies)
        assert pairs(found) == [(a + 10 * body, b + 10 * body) for body in range(bodies) for a, b in pairs(one)]
        for label, expected in zip(found[1:], one[1:], strict=True):
            assert torch.equal(label, expected.repeat(bodies))


def test_edges_of_no_body() -> None:
    edges = HopEdges(topology=TINY, segments=2, hops=1, kept_hops=1)
    assert edges(0).pairs.shape == edges(0, torch.zeros(0, 4, dtype=torch.int64)).pairs.shape == (2, 0)
    assert edges(2).pairs.shape[1] == 2 * edges(1).pairs.shape[1] > 0


def test_a_smaller_batch_is_a_view() -> None:
    edges = HopEdges(topology=TINY, segments=2, hops=1, kept_hops=1)
    large = edges(4)
    assert edges(2).pairs.data_ptr() == large.pairs.data_ptr()


def test_ten_per_cent_of_the_nodes_still_talk() -> None:
    """What the reach is for: with 75 of 750 nodes kept, most have a neighbour within four hops, and few within one."""
    topology = load_topology("ntu25")
    kept = torch.stack([torch.randperm(750)[:75].sort().values for _ in range(8)])

    def share(reach: int) -> float:
        index = HopEdges(topology=topology, segments=30, hops=1, kept_hops=reach)(8, kept).pairs
        return len(index[1].unique()) / kept.numel()

    assert share(1) < 0.4
    assert share(4) > 0.9


def test_one_hot() -> None:
    edges = HopEdges(topology=TINY, segments=2, hops=1, kept_hops=2, loops=True)
    for found in (edges(1), edges(1, torch.arange(10)[None])):
        values = edges.encode(found)
        assert values.shape == (found.pairs.shape[1], edges.features)
        assert set(values.unique().tolist()) == {0.0, 1.0} and torch.equal(values.sum(1), torch.full((len(values),), 3.0))
        hops, steps, way = values.split([3, 5, 3], 1)
        assert torch.equal(hops.argmax(1), found.hops) and torch.equal(steps.argmax(1) - 2, found.steps)
        assert torch.equal(way.argmax(1) - 1, found.outward.sign())


@pytest.mark.parametrize("name", ["hops", "kept_hops"])
def test_no_reach(name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name}: expected at least 1, found 0$"):
        HopEdges(topology=TINY, segments=1, **({"hops": 1, "kept_hops": 1} | {name: 0}))


def test_nothing_is_saved() -> None:
    edges: Tensor | dict[str, Tensor] = HopEdges(topology=TINY, segments=1, hops=1, kept_hops=1).state_dict()
    assert not edges, "all of it follows from the topology"
