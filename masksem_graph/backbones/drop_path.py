"""What blocks have in common: an MLP, and stochastic depth (Huang et al., ECCV 2016)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.errors import require_range


def block_rates(depth: int, drop_path: float) -> list[float]:
    """The rate of each of ``depth`` blocks, growing linearly from 0 in the first."""
    require_range("depth", depth, 1, 1000)
    require_range("drop_path", drop_path, 0, 1)
    return torch.linspace(0, drop_path, depth).tolist()


def feed_forward(width: int, mlp_ratio: float) -> nn.Sequential:
    """The MLP of a block."""
    require_range("mlp_ratio", mlp_ratio, 1 / width, 64)
    hidden = round(width * mlp_ratio)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


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
