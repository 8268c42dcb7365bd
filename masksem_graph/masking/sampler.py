"""From scores to a mask: a distribution over a body's nodes, and nodes drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.masking.gumbel import Mask, Rounding, gumbel_top_k, masked_count, score_distribution

Select = Literal["mask", "keep"]
Sampling = Literal["whole", "halves"]


@dataclass(frozen=True)
class Draw:
    """A mask and the distribution that it was drawn from."""

    mask: Mask
    pi: Float[Tensor, "B N"]


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Draws masks.

    Args:
        ratio: delta, the share of the nodes that is hidden.
        temperature: tau of `score_distribution`.
        rounding: how the share becomes a number, see `masked_count`.
        select: whether the nodes that are drawn are hidden, or kept.
        sampling: ``whole`` draws from all nodes of a body; ``halves`` from even and from odd segments, each by itself, with a
            distribution, a share and a count of its own.
    """

    ratio: float
    temperature: float
    rounding: Rounding = "nearest"
    select: Select = "mask"
    sampling: Sampling = "whole"

    def masked(self, segments: int, joints: int) -> int:
        """K, the nodes of a body that are hidden."""
        return sum(self._masked_of(first, segments, joints) for first in range(self._step))

    @property
    def _step(self) -> int:
        return 1 if self.sampling == "whole" else 2

    def _masked_of(self, first: int, segments: int, joints: int) -> int:
        if segments < self._step:
            raise InputError(f"method.sampling: halves needs at least 2 segments, found {segments}")
        return masked_count(len(range(first, segments, self._step)) * joints, self.ratio, self.rounding)

    def __call__(self, eta: Float[Tensor, "B Te V"], uniform: Float[Tensor, "B N"]) -> Draw:
        """Draw a mask for each body.

        Args:
            eta: scores.
            uniform: draws in (0, 1), one a node.
        """
        pi, joints = torch.empty_like(eta), eta.shape[2]
        kept: list[Tensor] = []
        masked: list[Tensor] = []
        for first in range(self._step):
            part = slice(first, None, self._step)
            own = score_distribution(eta[:, part].flatten(1), self.temperature)
            count = self._masked_of(first, *eta.shape[1:])
            drawn = gumbel_top_k(
                own.log(),
                uniform.view_as(eta)[:, part].flatten(1),
                count if self.select == "mask" else own.shape[1] - count,
            )
            for nodes, into in zip(drawn, (kept, masked) if self.select == "mask" else (masked, kept), strict=True):
                # Numbers of nodes within the part as numbers in the whole graph.
                into.append((nodes // joints * self._step + first) * joints + nodes % joints)
            # The part's share of the nodes: pi sums to one over the body, and N pi is 1 where all nodes are alike.
            pi[:, part] = (own * (own.shape[1] / uniform.shape[1])).view_as(pi[:, part])
        both = Mask(*(torch.cat(parts, 1).sort(1).values for parts in (kept, masked)))
        return Draw(mask=both, pi=pi.flatten(1))
