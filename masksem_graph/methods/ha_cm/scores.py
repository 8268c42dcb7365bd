"""HA-CM's scores: spatial hierarchy on some segments, temporal attention on the others."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.masking.scores import Evidence, Scores
from masksem_graph.methods.ha_cm.hyperbolic import exponential_map, poincare_distances

FACTOR = 4.0
"""Where the metric of curvature -1 has 2; see `poincare_distances`."""


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


class AttentionScores(Scores):
    r"""Attention between segments, softmaxed over the joints, summed over the segments that ask (HA-CM, as its code has it).

    :math:`\eta_{sv} = \sum_t \mathrm{softmax}_v ( q_{tv} \cdot k_{sv} \sqrt{D} )`, with q and k two linear maps of the
    embedded nodes, encodings added.

    The maps reach the loss through a sort alone, so no gradient gets to them: they stay as drawn, and are saved with the run.
    """

    needs_embeddings = True

    def build(self, *, width: int) -> None:
        self.query, self.key = (nn.Linear(width, width).requires_grad_(False) for _ in range(2))
        for linear in (self.query, self.key):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        if evidence.embedded is None:
            raise ValueError("AttentionScores needs the student's embedded nodes")
        h = evidence.embedded
        q, k = (linear(h).float().transpose(1, 2) for linear in (self.query, self.key))
        logits = q @ k.transpose(2, 3) * h.shape[-1] ** 0.5
        return logits.softmax(1).sum(2).transpose(1, 2)


class AlternatingScores(Scores):
    """Segments 0, 2, 4, ... are scored by one part and 1, 3, 5, ... by another, as in HA-CM.

    Each sees its own segments alone, as if they were a clip. The two scores may differ in size: ``method.sampling: halves``
    makes a distribution of each, where ``whole`` compares them.

    Args:
        even: scores of segments 0, 2, 4, ...
        odd: scores of segments 1, 3, 5, ...
    """

    def __init__(self, *, even: Scores, odd: Scores) -> None:
        super().__init__()
        self.even, self.odd = even, odd
        self.needs_features = even.needs_features or odd.needs_features
        self.needs_embeddings = even.needs_embeddings or odd.needs_embeddings
        self.draws = even.draws + odd.draws

    def build(self, *, width: int) -> None:
        self.even.build(width=width)
        self.odd.build(width=width)

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        eta = torch.empty_like(evidence.nodes[..., 0], dtype=torch.float32)
        for first, scores in enumerate((self.even, self.odd)):
            if first < eta.shape[1]:
                own = evidence.of_segments(first, 2)
                if evidence.uniform is not None:
                    own = replace(own, uniform=evidence.uniform.tensor_split([self.even.draws], 1)[first])
                eta[:, first::2] = scores(own).float()
        return eta

    def after_smoothing(self, eta: Float[Tensor, "B Te V"]) -> Float[Tensor, "B Te V"]:
        eta = eta.clone()
        for first, scores in enumerate((self.even, self.odd)):
            eta[:, first::2] = scores.after_smoothing(eta[:, first::2])
        return eta
