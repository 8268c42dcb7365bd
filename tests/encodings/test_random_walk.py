"""Return probabilities: torch_geometric's, and by hand."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.transforms import AddRandomWalkPE

from masksem_graph.edges import skeleton_graph
from masksem_graph.encodings.projected import return_probabilities
from masksem_graph.topology import load_topology


@pytest.mark.parametrize("name", ["tiny5", "kinect20", "ntu25"])
def test_equal_to_torch_geometric(name: str) -> None:
    topology = load_topology(name)
    graph = Data(edge_index=skeleton_graph(topology).edge_index, num_nodes=len(topology))
    expected = AddRandomWalkPE(walk_length=16, attr_name="pe")(graph).pe
    torch.testing.assert_close(return_probabilities(topology, 16), expected)


def test_by_hand() -> None:
    # From a tip the walk is back after two steps with the chance 1 / degree of its only neighbour.
    expected = [[0, 1 / 2 * 1 / 3 + 1 / 2], [0, 1 / 3 * 1 / 2 + 2 / 3], [0, 1 / 3], [0, 1 / 3], [0, 1 / 2]]
    torch.testing.assert_close(return_probabilities(load_topology("tiny5"), 2), torch.tensor(expected))
