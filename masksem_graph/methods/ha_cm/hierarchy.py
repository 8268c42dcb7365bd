"""Spatial hierarchy of HA-CM: how far out a joint is in hyperbolic space."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from masksem_graph.masking.scores import Evidence, Scores
from masksem_graph.methods.ha_cm.hyperbolic import exponential_map, poincare_distances

FACTOR = 4.0  # where the metric of curvature -1 has 2; see `poincare_distances`


class HierarchyScores(Scores):
    """Sum of a node's hyperbolic distances to the nodes of its segment, and to the trunk (HA-CM, as its code has it).

    The trunk is the mean of the topology's context joints, embedded without encodings and mapped into the ball; on a topology
    without any there is none.

    Args:
        trunk: weight of the distance to the trunk.
    """

    needs_embeddings = True

    def __init__(self, *, trunk: float = 0.01) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        if evidence.embedded is None or evidence.context is None:
            raise ValueError("HierarchyScores needs the student's embedded nodes and context joints")
        points = exponential_map(evidence.embedded)
        eta = poincare_distances(points, points, FACTOR).sum(-1)
        if evidence.context.shape[2]:
            trunk = exponential_map(evidence.context).mean(2, keepdim=True)
            eta = eta + self.trunk * poincare_distances(points, trunk, FACTOR)[..., 0]
        return eta
