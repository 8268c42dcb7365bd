"""What stands on the encoder when it is evaluated."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class LinearHead(nn.Module):
    """BatchNorm without affine, then a linear layer: the linear probe of MAE and MAMP.

    Args:
        width: D.
        classes: how many.
    """

    def __init__(self, *, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False, eps=1e-6)
        self.linear = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Float[Tensor, "S D"]) -> Float[Tensor, "S classes"]:
        return self.linear(self.norm(features))
