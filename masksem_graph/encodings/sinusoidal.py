"""Sines and cosines over time (Vaswani et al., NeurIPS 2017, section 3.5)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.encodings.base import Encoding
from masksem_graph.graph import SkeletonData


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def sinusoids(positions: int, width: int, base: float = 10_000.0) -> Float[Tensor, "positions width"]:
    """Sines in the first half of the width, cosines in the second, at wavelengths from 2 pi to 2 pi ``base``."""
    half = (width + 1) // 2
    frequency = torch.exp(-math.log(base) * torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(positions, dtype=torch.float64)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :width].float()


class Sinusoidal(Encoding):
    """Sinusoidal encoding of the segment; no parameters, no joint.

    Args:
        width: D.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        return sinusoids(batch.segments, self.width).to(batch.joint.device)[:, None, :]
