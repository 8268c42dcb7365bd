"""Return probabilities of a random walk (RWSE; Dwivedi et al., ICLR 2022)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.encodings.base import Encoding
from masksem_graph.operators import hop_distance
from masksem_graph.topology import Topology


def return_probabilities(topology: Topology, steps: int) -> Float[Tensor, "V steps"]:
    """How likely a walk from a joint over random bones is back after 1, 2, ... ``steps`` steps."""
    adjacency = (hop_distance(topology) == 1).double()
    walk = adjacency / adjacency.sum(1, keepdim=True).clamp(min=1)
    power, diagonals = torch.eye(len(topology), dtype=torch.float64), []
    for _ in range(steps):
        power = power @ walk
        diagonals.append(power.diagonal())
    return torch.stack(diagonals, 1).float()


class RandomWalk(Encoding):
    """Random-walk return probabilities through a linear layer: a joint's role (tip, limb, hub), the same left and right.

    Args:
        width: D.
        topology: the skeleton.
        segments: not used.
        steps: the longest walk; on a tree every odd one returns nowhere.
    """

    probabilities: Tensor

    def __init__(self, *, width: int, topology: Topology, segments: int, steps: int = 16) -> None:
        super().__init__()
        self.register_buffer("probabilities", return_probabilities(topology, steps), persistent=False)
        self.project = nn.Linear(steps, width, bias=False)
        nn.init.trunc_normal_(self.project.weight, std=0.02)

    def forward(self) -> Float[Tensor, "#Te #V D"]:
        return self.project(self.probabilities)[None]
