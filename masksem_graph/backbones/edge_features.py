"""What message passing may know of an edge."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.edges import BONES, OUTWARD, STEPS


def edge_width(reach: int) -> int:
    """How many features `one_hot_edges` gives an edge."""
    return 3 * reach + 5


def one_hot_edges(edge_attr: Int64[Tensor, "E 3"], reach: int) -> Float[Tensor, "E f"]:
    """One-hot features of edges: bones, steps in time, and whether the edge leads inward, across or outward.

    Args:
        edge_attr: see `masksem_graph.edges.skeleton_graph`; zeros for a loop.
        reach: the most bones and steps, both together, that an edge spans.
    """
    bones = F.one_hot(edge_attr[:, BONES], reach + 1)
    steps = F.one_hot(edge_attr[:, STEPS] + reach, 2 * reach + 1)
    return torch.cat([bones, steps, F.one_hot(edge_attr[:, OUTWARD].sign() + 1, 3)], 1).float()


def edge_weights(edge_attr: Int64[Tensor, "E 3"]) -> Float[Tensor, " E"]:
    """1 / (bones + steps in time)."""
    return 1 / (edge_attr[:, BONES] + edge_attr[:, STEPS].abs())
