"""From scores to a mask: a distribution over a body's nodes, and nodes drawn from it without replacement."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.errors import InputError

Rounding = Literal["nearest", "floor"]
Select = Literal["mask", "keep"]
Sampling = Literal["whole", "halves"]


def score_distribution(eta: Float[Tensor, "B N"], temperature: float = 0.8) -> Float[Tensor, "B N"]:
    """``softmax(eta / (max eta * temperature + 1e-10))`` over the nodes of each body (MaskSem Eq. 8; MAMP Eq. 4).

    Raw Grad-CAM scores are of order 1 / N and would give a uniform distribution; dividing by the largest makes the result
    independent of their scale, as both published codes do.
    """
    peak = eta.amax(1, keepdim=True)
    return (eta / (peak * temperature + 1e-10)).softmax(1)


class Mask(NamedTuple):
    """Which nodes of each body are hidden; both index lists are in graph order."""

    kept: Int64[Tensor, "B kept"]
    masked: Int64[Tensor, "B masked"]


def masked_count(nodes: int, ratio: float, rounding: Rounding = "nearest") -> int:
    """K, at least one node hidden and at least one kept.

    Args:
        nodes: N.
        ratio: delta.
        rounding: ``nearest`` hides round(delta N) nodes; ``floor`` keeps floor((1 - delta) N), in floating point, as the
            authors of MAMP and MaskSem do: of 750 nodes 74 stay at 0.9, because 750 * (1 - 0.9) is less than 75.
    """
    masked = round(ratio * nodes) if rounding == "nearest" else nodes - int(nodes * (1 - ratio))
    return min(max(masked, 1), nodes - 1)


def gumbel_top_k(log_pi: Float[Tensor, "B N"], uniform: Float[Tensor, "B N"], count: int) -> Mask:
    """Hide the ``count`` nodes with the largest ``log pi - log(-log u)`` (Kool et al., ICML 2019; MaskSem Eq. 9).

    Equal to drawing ``count`` nodes one after the other from ``pi`` without putting any back.

    Args:
        log_pi: log-probability of each node, up to a constant.
        uniform: draws in (0, 1), one a node; given from outside so that they need not depend on device or rank.
        count: K.
    """
    tiny = 1e-20  # a draw of exactly 0 or 1 (float32 rounding) must stay finite
    keys = log_pi - (-(uniform + tiny).log() + tiny).log()
    order = keys.argsort(dim=1, descending=True, stable=True)
    return Mask(kept=order[:, count:].sort(1).values, masked=order[:, :count].sort(1).values)


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
