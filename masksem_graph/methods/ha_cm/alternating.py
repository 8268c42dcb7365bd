"""One score on even segments, another on odd ones."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.masking.scores import Evidence, Scores


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
