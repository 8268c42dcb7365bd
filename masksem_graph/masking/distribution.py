"""From scores to a distribution over a body's nodes (METHOD: MaskSem Eq. 8; MAMP Eq. 4)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def score_distribution(eta: Float[Tensor, "B N"], temperature: float = 0.8) -> Float[Tensor, "B N"]:
    """``softmax(eta / (max eta * temperature + 1e-10))`` over the nodes of each body.

    Raw Grad-CAM scores are of order 1 / N and would give a uniform distribution; dividing by the largest makes the result
    independent of their scale, as both published codes do.
    """
    peak = eta.amax(1, keepdim=True)
    return (eta / (peak * temperature + 1e-10)).softmax(1)
