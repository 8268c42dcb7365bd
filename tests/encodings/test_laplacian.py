"""Laplacian eigenvectors: eigenvectors indeed, and the same whatever order the joints are listed in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.utils import get_laplacian, to_dense_adj

from masksem_graph.edges import skeleton_graph
from masksem_graph.encodings.projected import laplacian_eigenvectors
from masksem_graph.files import shipped
from masksem_graph.topology import load_topology, parse_topology
from tests.helpers import reordered

SKELETONS = sorted(path.stem for path in shipped("graphs").glob("*.yaml"))


@pytest.mark.parametrize("name", SKELETONS)
def test_orthogonal_eigenvectors_in_ascending_order(name: str) -> None:
    topology = load_topology(name)
    joints = len(topology)
    vectors = laplacian_eigenvectors(topology, joints - 1).double()
    index, weight = get_laplacian(skeleton_graph(topology).edge_index, normalization="sym", num_nodes=joints)
    laplacian = to_dense_adj(index, edge_attr=weight)[0].double()
    values = torch.linalg.eigvalsh(laplacian)
    assert values[0].abs() < 1e-6 < values[1], "the constant eigenvector alone is left out"
    torch.testing.assert_close(laplacian @ vectors, vectors * values[1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors.T @ vectors / joints, torch.eye(joints - 1).double(), atol=1e-5, rtol=0)


def test_ntu25_has_a_degenerate_eigenspace() -> None:
    """Without one the order of joints would hardly matter: the tests below would be easier than what they are for."""
    topology = load_topology("ntu25")
    index, weight = get_laplacian(skeleton_graph(topology).edge_index, normalization="sym")
    values = torch.linalg.eigvalsh(to_dense_adj(index, edge_attr=weight)[0].double())
    together = torch.tensor_split(values, (values.diff() > 1e-6).nonzero()[:, 0] + 1)
    assert max(map(len, together)) == 3


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(SKELETONS), data=st.data())
def test_another_joint_order_permutes_rows_and_nothing_else(name: str, data: st.DataObject) -> None:
    topology = load_topology(name)
    order = data.draw(st.permutations(range(len(topology))))
    there = laplacian_eigenvectors(reordered(topology, order), 8)
    assert torch.equal(there, laplacian_eigenvectors(topology, 8)[order])


@pytest.mark.parametrize("name", SKELETONS)
def test_another_solver_gives_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver may return any basis of an eigenspace and rounds in its own way."""
    topology, eigh = load_topology(name), torch.linalg.eigh
    expected = laplacian_eigenvectors(topology, 24)

    def other_solver(matrix: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = eigh(matrix)
        spaces = torch.tensor_split(vectors, (values.diff() > 1e-6).nonzero()[:, 0] + 1, dim=1)
        turned = [space @ torch.linalg.qr(torch.randn(space.shape[1], space.shape[1]).double())[0] for space in spaces]
        return values, torch.cat(turned, 1) + 1e-13 * torch.randn(matrix.shape).double()

    monkeypatch.setattr(torch.linalg, "eigh", other_solver)
    for _ in range(5):
        laplacian_eigenvectors.cache_clear()  # type: ignore[attr-defined]
        torch.testing.assert_close(laplacian_eigenvectors(topology, 24), expected, atol=1e-5, rtol=0)
    laplacian_eigenvectors.cache_clear()  # type: ignore[attr-defined]


def test_bones_may_be_listed_in_any_order() -> None:
    topology = load_topology("ntu25")
    fields = topology.to_dict()
    fields["bones"] = [bone[::-1] for bone in reversed(fields["bones"])]
    other = parse_topology(fields, source_file="bones")
    assert torch.equal(laplacian_eigenvectors(other, 16), laplacian_eigenvectors(topology, 16))


def test_columns_that_do_not_exist_are_zero() -> None:
    vectors = laplacian_eigenvectors(load_topology("tiny5"), 7)
    assert vectors.shape == (5, 7)
    assert torch.equal(vectors[:, 4:], torch.zeros(5, 3))
    torch.testing.assert_close(vectors[:, :4].square().mean(0), torch.ones(4))


def test_fewer_are_the_first() -> None:
    topology = load_topology("ntu25")
    assert torch.equal(laplacian_eigenvectors(topology, 5), laplacian_eigenvectors(topology, 24)[:, :5])


def test_by_hand() -> None:
    """A chain a - b - c: eigenvalues 0, 1, 2; the second vector is (1, 0, -1), the third (-1, sqrt 2, -1) before scaling."""
    fields = {"name": "chain", "joints": ["a", "b", "c"], "bones": [["a", "b"], ["b", "c"]], "centre": "b"}
    chain = parse_topology({**fields, "parts": {"all": ["a", "b", "c"]}}, source_file="chain")
    expected = torch.tensor([[1.5**0.5, -(0.75**0.5)], [0.0, 1.5**0.5], [-(1.5**0.5), -(0.75**0.5)]])
    torch.testing.assert_close(laplacian_eigenvectors(chain, 2), expected, atol=1e-6, rtol=0)
