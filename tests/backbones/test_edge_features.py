from __future__ import annotations

import torch

from masksem_graph.backbones.message_passing import edge_weights, edge_width, one_hot_edges
from masksem_graph.edges import BONES, OUTWARD, STEPS, reach_graph
from masksem_graph.topology import load_topology


def test_one_hot() -> None:
    attributes = reach_graph(load_topology("tiny5"), 2, 2).edge_attr
    values = one_hot_edges(attributes, 2)
    assert values.shape == (len(attributes), edge_width(2)) == (len(attributes), 11)
    assert set(values.unique().tolist()) == {0.0, 1.0} and torch.equal(values.sum(1), torch.full((len(values),), 3.0))
    bones, steps, way = values.split([3, 5, 3], 1)
    assert torch.equal(bones.argmax(1), attributes[:, BONES])
    assert torch.equal(steps.argmax(1) - 2, attributes[:, STEPS])
    assert torch.equal(way.argmax(1) - 1, attributes[:, OUTWARD].sign())


def test_a_loop_spans_nothing() -> None:
    assert one_hot_edges(torch.zeros(1, 3, dtype=torch.int64), 1).tolist() == [[1, 0, 0, 1, 0, 0, 1, 0]]


def test_weights() -> None:
    assert edge_weights(torch.tensor([[1, 0, 1], [0, -1, 0], [3, -1, -2]])).tolist() == [1, 1, 0.25]
