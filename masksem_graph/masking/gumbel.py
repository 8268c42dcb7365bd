"""From scores to a distribution over a body's nodes, and sampling from it without replacement."""

from __future__ import annotations

from typing import Literal, NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor

Rounding = Literal["nearest", "floor"]


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
