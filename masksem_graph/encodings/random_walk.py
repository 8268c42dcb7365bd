"""Return probabilities of a random walk (RWSE; Dwivedi et al., ICLR 2022)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.transforms import AddRandomWalkPE

from masksem_graph.edges import of_topology, skeleton_graph
from masksem_graph.encodings.base import Encoding
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology


@of_topology
def return_probabilities(topology: Topology, steps: int) -> Float[Tensor, "V steps"]:
    """How likely a walk from a joint over random bones is back after 1, 2, ... ``steps`` steps."""
    return AddRandomWalkPE(steps, attr_name="back")(skeleton_graph(topology).clone()).back.view(len(topology), steps)


class RandomWalk(Encoding):
    """Random-walk return probabilities through a linear layer: a joint's role (tip, limb, hub), the same left and right.

    Args:
        width: D.
        steps: the longest walk; on a tree every odd one returns nowhere.
    """

    def __init__(self, *, width: int, steps: int = 16) -> None:
        super().__init__()
        self.project = nn.Linear(steps, width, bias=False)
        nn.init.trunc_normal_(self.project.weight, std=0.02)

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        weight = self.project.weight
        return self.project(return_probabilities(batch.topology, weight.shape[1], device=weight.device))[None]
