"""Standardisation of target values node by node."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def standardise(values: Float[Tensor, "*nodes F"], eps: float = 1e-6) -> Float[Tensor, "*nodes F"]:
    """Zero mean and unit (unbiased) variance over each node's own l * C numbers (MAE, CVPR 2022, section 4; MAMP)."""
    centred = values - values.mean(-1, keepdim=True)
    variance = centred.square().sum(-1, keepdim=True) / (values.shape[-1] - 1)
    return centred * (variance + eps).rsqrt()
