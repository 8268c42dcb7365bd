"""Cross-contrast of HA-CM."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.contrast import Contrast


class CrossContrast(Contrast):
    """Cross-contrast of HA-CM: what is seen of a body's even segments, of its odd ones and of all of them should agree.

    Three matrices of scalar products between the bodies (even with all, odd with all, even with odd), softmaxed row by row,
    are pulled to the identity by their mean squared error. There is no temperature and nothing is normalised, as in the
    authors' code.

    Args:
        weight: of the sum of the three errors.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def latents(
        self, features: Float[Tensor, "B n D"], kept: Int64[Tensor, "B n"], grid: tuple[int, int]
    ) -> Float[Tensor, "B 3 D"]:
        """Mean features over the kept nodes of even segments, of odd ones, and of all."""
        odd = (kept // grid[1] % 2).to(features.dtype)
        views = torch.stack([1 - odd, odd, torch.ones_like(odd)], 1)
        return views @ features / views.sum(2, keepdim=True).clamp(min=1)

    def forward(self, latents: Float[Tensor, "B 3 D"]) -> Float[Tensor, ""]:
        even, odd, whole = latents.unbind(1)
        identity = torch.eye(len(latents), dtype=latents.dtype, device=latents.device)
        similarities = torch.stack([(one @ other.T).softmax(1) for one, other in ((even, whole), (odd, whole), (even, odd))])
        return self.weight * (similarities - identity).square().mean((1, 2)).sum()
