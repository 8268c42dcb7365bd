"""Scores that say which nodes are worth hiding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.graph import SkeletonData


@dataclass(frozen=True)
class Evidence:
    """What a score may be computed from.

    Args:
        batch, nodes: the augmented clips, and their node values on the grid.
        features, reference: the teacher's features of the same nodes, and of the reference clip, one body or several; only for
            scores that set ``needs_features``.
        absent: the teacher's features of a body that is not there, where these count in a sequence's mean.
        embedded, context: the student's embedded nodes, encodings added, not yet mapped into its space, and context joints,
            embedded without encodings; only for scores that set ``needs_embeddings``.
        uniform: draws in (0, 1), `Scores.draws` a body.
    """

    batch: SkeletonData
    nodes: Float[Tensor, "B Te V F"]
    features: Float[Tensor, "B N D"] | None = None
    reference: Float[Tensor, "R N D"] | None = None
    absent: Float[Tensor, "1 N D"] | None = None
    embedded: Float[Tensor, "B Te V D"] | None = None
    context: Float[Tensor, "B Te context D"] | None = None
    uniform: Float[Tensor, "B _"] | None = None

    def of_segments(self, first: int, step: int) -> Evidence:
        """The same of segments ``first``, ``first + step``, ... alone."""
        grid, chosen = self.nodes.shape[1:3], slice(first, None, step)

        def flat(values: Tensor | None) -> Tensor | None:
            return None if values is None else values.unflatten(1, grid)[:, chosen].flatten(1, 2)

        return replace(
            self,
            nodes=self.nodes[:, chosen],
            features=flat(self.features),
            reference=flat(self.reference),
            absent=flat(self.absent),
            embedded=None if self.embedded is None else self.embedded[:, chosen],
            context=None if self.context is None else self.context[:, chosen],
        )


class Scores(nn.Module, ABC):
    """Scores the nodes of each body; the larger, the likelier it is drawn. A new one is one file with one subclass."""

    needs_features: bool = False
    """Whether ``features`` and ``reference`` are to be filled in, which costs a forward pass of the teacher."""

    needs_embeddings: bool = False
    """Whether ``embedded`` and ``context`` are to be filled in."""

    draws: int = 0
    """Uniform numbers in (0, 1) that it needs for each body; drawn with the masks', so that runs repeat to the bit."""

    def build(self, *, width: int) -> None:
        """Make what depends on the encoder's width D; called once, by the builder, with the run's seed set."""

    @abstractmethod
    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        """One score of at least 0 for each node."""

    def after_smoothing(self, eta: Float[Tensor, "B Te V"]) -> Float[Tensor, "B Te V"]:
        """What is done to the scores once they are smoothed over the skeleton; nothing unless overridden."""
        return eta


class Uniform(Scores):
    """Every node alike: random masking, as in SkeletonMAE."""

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        return torch.ones_like(evidence.nodes[..., 0])


class Motion(Scores):
    """Motion between segments (MAMP, Eq. 3): mean over l * C of abs(segment - previous one), the first as the second."""

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        nodes = evidence.nodes
        if nodes.shape[1] < 2:
            return torch.ones_like(nodes[..., 0])
        moved = (nodes[:, 1:] - nodes[:, :-1]).abs().mean(-1)
        return torch.cat([moved[:, :1], moved], 1)
