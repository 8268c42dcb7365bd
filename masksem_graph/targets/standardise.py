"""Standardisation of target values node by node."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def standardise(values: Float[Tensor, "*nodes F"], eps: float = 1e-6) -> Float[Tensor, "*nodes F"]:
    """Zero mean and unit (unbiased) variance over each node's own l * C numbers (MAE, CVPR 2022, section 4; MAMP)."""
    mean = values.mean(-1, keepdim=True)
    variance = values.var(-1, keepdim=True)
    return (values - mean) * (variance + eps).rsqrt()
