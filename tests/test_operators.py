"""Operators: by hand on five joints, and equal to torch_geometric's message passing on every shipped skeleton."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.nn import APPNP, GCNConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.transforms import GDC

from masksem_graph.edges import hop_distance, skeleton_graph
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.operators import (
    Adjacency,
    Heat,
    Identity,
    Operator,
    PartAverage,
    PersonalisedPageRank,
    SpatioTemporal,
    normalised_adjacency,
)
from masksem_graph.topology import Topology, load_topology
from tests.helpers import batch_of, grid, reordered

TINY = load_topology("tiny5")  # hip - head, hip - foot, head - left_hand, head - right_hand
SKELETONS = sorted(path.stem for path in shipped("graphs").glob("*.yaml"))


def gcn_propagation(edges: Tensor, nodes: int) -> Tensor:
    """What GCNConv computes from one-hot features with an identity weight."""
    layer = GCNConv(nodes, nodes, bias=False).requires_grad_(False)
    layer.lin.weight.copy_(torch.eye(nodes))
    return layer(torch.eye(nodes), edges)


def edges_within(topology: Topology, hops: int) -> Tensor:
    """Both directions of every pair of joints 1 to ``hops`` bones apart, found by networkx."""
    reach = dict(nx.all_pairs_shortest_path_length(topology.graph, cutoff=hops))
    pairs = [(topology.index[a], topology.index[b]) for a in reach for b in reach[a] if a != b]
    return torch.tensor(pairs).T


def test_hop_distance_by_hand() -> None:
    expected = [[0, 1, 2, 2, 1], [1, 0, 1, 1, 2], [2, 1, 0, 2, 3], [2, 1, 2, 0, 3], [1, 2, 3, 3, 0]]
    assert hop_distance(TINY).tolist() == expected


@pytest.mark.parametrize("name", SKELETONS)
def test_hop_distance_is_the_shortest_path(name: str) -> None:
    topology = load_topology(name)
    expected = torch.from_numpy(nx.floyd_warshall_numpy(topology.graph, nodelist=list(topology.joints)))
    assert torch.equal(hop_distance(topology), expected.long())


def test_adjacency_by_hand() -> None:
    # Degrees with the loop: hip 3, head 4, hands 2, foot 2.
    a, b, c = 1 / 12**0.5, 1 / 6**0.5, 1 / 8**0.5
    expected = [
        [1 / 3, a, 0, 0, b],
        [a, 1 / 4, c, c, 0],
        [0, c, 1 / 2, 0, 0],
        [0, c, 0, 1 / 2, 0],
        [b, 0, 0, 0, 1 / 2],
    ]
    torch.testing.assert_close(normalised_adjacency(TINY), torch.tensor(expected))


def test_adjacency_over_the_whole_skeleton_is_the_mean() -> None:
    torch.testing.assert_close(normalised_adjacency(TINY, hops=3), torch.full((5, 5), 0.2))


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_adjacency_is_gcn_propagation(name: str, hops: int) -> None:
    topology = load_topology(name)
    expected = gcn_propagation(edges_within(topology, hops), len(topology))
    torch.testing.assert_close(normalised_adjacency(topology, hops), expected)


def test_parts_by_hand() -> None:
    half = 0.5
    expected = [[half, half, 0, 0, 0], [half, half, 0, 0, 0], [0, 0, half, half, 0], [0, 0, half, half, 0], [0, 0, 0, 0, 1]]
    assert PartAverage().matrix(TINY).tolist() == expected
    smoothed = PartAverage()(torch.tensor([[[2.0, 4.0, 1.0, 5.0, 9.0]]]), grid(TINY))
    assert smoothed.tolist() == [[[3.0, 3.0, 3.0, 3.0, 9.0]]]


def gdc(topology: Topology, **diffusion: float | str) -> Tensor:
    """torch_geometric's exact diffusion matrix of the bones."""
    transform = GDC(self_loop_weight=1, normalization_in="sym", diffusion_kwargs=diffusion, exact=True)
    nodes = len(topology)
    edges = torch.cat([skeleton_graph(topology).edge_index, torch.arange(nodes).expand(2, -1)], 1)
    edges, weights = transform.transition_matrix(edges, torch.ones(edges.shape[1]), nodes, "sym")
    return transform.diffusion_matrix_exact(edges, weights, nodes, **diffusion)


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("restart", [0.05, 0.15, 0.9])
def test_pagerank_is_torch_geometrics(name: str, restart: float) -> None:
    topology = load_topology(name)
    matrix = PersonalisedPageRank(restart=restart).matrix(topology)
    torch.testing.assert_close(matrix, gdc(topology, method="ppr", alpha=restart), atol=1e-5, rtol=1e-4)
    steps = APPNP(K=400, alpha=restart)(torch.eye(len(topology)), skeleton_graph(topology).edge_index)
    torch.testing.assert_close(matrix, steps, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("time", [0.5, 1.0, 4.0])
def test_heat_is_torch_geometrics(name: str, time: float) -> None:
    topology = load_topology(name)
    torch.testing.assert_close(Heat(time=time).matrix(topology), gdc(topology, method="heat", t=time), atol=1e-5, rtol=1e-4)


def test_diffusions_that_do_not_move() -> None:
    torch.testing.assert_close(PersonalisedPageRank(restart=1.0).matrix(TINY), torch.eye(5))
    torch.testing.assert_close(Heat(time=0.0).matrix(TINY), torch.eye(5))


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("segments", [1, 2, 3, 6])
def test_spatio_temporal_is_gcn_propagation(name: str, segments: int) -> None:
    topology = load_topology(name)
    nodes = segments * len(topology)
    eta = torch.rand(3, segments, len(topology))
    edges, weights = gcn_norm(skeleton_graph(topology, segments).edge_index, num_nodes=nodes)
    matrix = torch.zeros(nodes, nodes).index_put_((edges[1], edges[0]), weights, accumulate=True)
    smoothed = SpatioTemporal()(eta, grid(topology, segments, bodies=3))
    torch.testing.assert_close(smoothed.flatten(1), eta.flatten(1) @ matrix.T)


OPERATORS: list[tuple[Operator, Callable[[Topology], Tensor]]] = [
    (Identity(), lambda topology: torch.eye(len(topology))),
    (Adjacency(hops=2), lambda topology: normalised_adjacency(topology, 2)),
    (Adjacency(normalise="row"), lambda topology: normalised_adjacency(topology, normalise="row")),
    (PartAverage(), PartAverage().matrix),
    (PersonalisedPageRank(restart=0.3), PersonalisedPageRank(restart=0.3).matrix),
    (Heat(time=2.0), Heat(time=2.0).matrix),
]


@pytest.mark.parametrize(("operator", "matrix"), OPERATORS, ids=["identity", "adjacency", "row", "parts", "ppr", "heat"])
def test_modules_multiply_each_segment_by_their_matrix(operator: Operator, matrix: Callable[[Topology], Tensor]) -> None:
    assert not operator.state_dict(), "computed from the topology, never saved"
    eta = torch.rand(3, 2, 5)
    expected = torch.stack([torch.stack([segment @ matrix(TINY) for segment in body]) for body in eta])
    torch.testing.assert_close(operator(eta, grid(TINY, 2, bodies=3)), expected)


EVERY: list[Operator] = [*(operator for operator, _ in OPERATORS), SpatioTemporal()]
every = pytest.mark.parametrize(
    "operator", EVERY, ids=["identity", "adjacency", "row", "parts", "ppr", "heat", "spatio_temporal"]
)


@every
def test_joint_order_does_not_matter(operator: Operator) -> None:
    order = [3, 0, 4, 1, 2]
    eta = torch.rand(2, 3, 5)
    there = operator(eta[:, :, order], grid(reordered(TINY, order), 3, bodies=2))
    torch.testing.assert_close(there, operator(eta, grid(TINY, 3, bodies=2))[:, :, order])


@every
def test_one_operator_serves_every_skeleton(operator: Operator) -> None:
    """Whatever it has seen before: the skeleton comes with the batch."""
    for name, segments in (("tiny5", 3), ("kinect20", 2), ("tiny5", 2), ("kinect20_long", 2), ("tiny5", 3)):
        topology = load_topology(name)
        eta, batch = torch.rand(2, segments, len(topology)), grid(topology, segments, bodies=2)
        assert torch.equal(operator(eta, batch), copy.deepcopy(operator)(eta, batch))


@pytest.mark.parametrize("name", SKELETONS)
def test_rows_keep_a_flat_score_flat(name: str) -> None:
    """Each score is a mean over the joint and its neighbours."""
    topology = load_topology(name)
    matrix = normalised_adjacency(topology, normalise="row")
    torch.testing.assert_close(torch.ones(len(topology)) @ matrix, torch.ones(len(topology)))
    assert torch.equal(matrix > 0, normalised_adjacency(topology) > 0)


def test_rows_by_hand() -> None:
    eta = torch.tensor([[[3.0, 6.0, 1.0, 5.0, 9.0]]])
    # Hip: hip, head, foot; head: hip, head, both hands; hands: themselves and the head; foot: foot and hip.
    expected = torch.tensor([[[6.0, 15 / 4, 3.5, 5.5, 6.0]]])
    torch.testing.assert_close(Adjacency(normalise="row")(eta, grid(TINY)), expected)


def test_an_operator_made_outside() -> None:
    """A matrix of its own: each joint's score goes to its mirror partner."""

    class Mirrored(Operator):
        def matrix(self, topology: Topology) -> Tensor:
            return torch.eye(len(topology))[[topology.index[topology.mirror[joint]] for joint in topology.joints]]

    eta = torch.rand(2, 3, 5)
    smoothed = Mirrored()(eta, batch_of(torch.randn(2, 3, 5, 6), TINY))
    assert torch.equal(smoothed, eta[:, :, [0, 1, 3, 2, 4]])


@pytest.mark.parametrize(
    ("matrix", "found"),
    [(torch.eye(4), r"one of \[4, 4\]"), (torch.ones(5), r"one of \[5\]"), (np.eye(5), "a ndarray"), (None, "a NoneType")],
)
def test_an_operator_without_a_matrix_of_the_joints(matrix: Any, found: str) -> None:
    class Odd(Operator):
        def matrix(self, topology: Topology) -> Any:
            return matrix

    with pytest.raises(InputError, match=rf"^Odd.matrix\(tiny5\): expected a \[V, V\] tensor, here \[5, 5\], found {found}$"):
        Odd()(torch.rand(1, 3, 5), grid(TINY, 3))


def test_a_matrix_of_whole_numbers() -> None:
    class Whole(Operator):
        def matrix(self, topology: Topology) -> Any:
            return torch.eye(len(topology), dtype=torch.int64)

    assert Whole()(torch.rand(1, 3, 5), grid(TINY, 3)).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(Adjacency, hops=0), "hops: expected at least 1, found 0"),
        (partial(PersonalisedPageRank, restart=0.0), r"restart: expected a share in \(0, 1\], found 0.0"),
        (partial(PersonalisedPageRank, restart=1.5), r"restart: expected a share in \(0, 1\], found 1.5"),
        (partial(Heat, time=-1.0), "time: expected a diffusion time of at least 0, found -1.0"),
        (partial(Heat, time=float("nan")), "time: expected a diffusion time of at least 0, found nan"),
    ],
)
def test_options_out_of_range(make: Callable[[], Operator], message: str) -> None:
    """Said when it is made, not when the first mask is drawn."""
    with pytest.raises(InputError, match=f"^{message}$"):
        make()
