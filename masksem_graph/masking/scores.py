"""Scores that say which nodes are worth hiding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


@dataclass(frozen=True)
class Evidence:
    """What a score may be computed from.

    Args:
        nodes: node values of the augmented clips.
        sequence: the sequence of each body, ascending.
        sequences: S.
        features: the teacher's features of the same nodes; only for scores that set ``needs_features``.
        reference: the teacher's features of the reference clip; likewise.
        absent: the teacher's features of a body that is not there, where these count in a sequence's mean.
    """

    nodes: Float[Tensor, "B Te V F"]
    sequence: Int64[Tensor, " B"]
    sequences: int
    features: Float[Tensor, "B N D"] | None = None
    reference: Float[Tensor, "1 N D"] | None = None
    absent: Float[Tensor, "1 N D"] | None = None


class Scores(nn.Module, ABC):
    """Scores the nodes of each body; the larger, the likelier it is hidden. A new one is one file with one subclass."""

    needs_features: ClassVar[bool] = False
    """Whether ``features`` and ``reference`` are to be filled in, which costs a forward pass of the teacher."""

    @abstractmethod
    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        """One score of at least 0 for each node."""


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
