"""Stochastic depth (Huang et al., Deep networks with stochastic depth, ECCV 2016)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class DropPath(nn.Module):
    """Leaves a residual branch out for some bodies of a batch while training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, h: Float[Tensor, "B n D"]) -> Float[Tensor, "B n D"]:
        if not self.training or self.rate == 0:
            return h
        stays = torch.rand(h.shape[0], 1, 1, device=h.device) >= self.rate
        return h * stays.to(h.dtype) / (1 - self.rate)
