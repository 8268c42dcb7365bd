"""Losses that hold the bodies of a batch against each other."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


class Contrast(nn.Module, ABC):
    """A loss over all bodies of a batch at once. A new one is one file with one subclass.

    It is split in two so that its value and gradient are those of the whole global batch however that is divided among
    processes and parts: `latents` says what a body contributes, `forward` compares them all. See
    `masksem_graph.tasks.pretrain.GlobalBatch`. For the same reason it has no parameters that learn: each part would add the
    gradient of the whole batch to them.
    """

    @abstractmethod
    def latents(
        self, features: Float[Tensor, "B n D"], kept: Int64[Tensor, "B n"], grid: tuple[int, int]
    ) -> Float[Tensor, "B views D"]:
        """What each body contributes.

        Args:
            features: the student's features of the kept nodes.
            kept: which nodes those are.
            grid: (Te, V).
        """

    @abstractmethod
    def forward(self, latents: Float[Tensor, "B views D"]) -> Float[Tensor, ""]:
        """The loss of a whole batch."""


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
        odd = (kept // grid[1] % 2).float()
        views = torch.stack([1 - odd, odd, torch.ones_like(odd)], 1)
        return views @ features.float() / views.sum(2, keepdim=True).clamp(min=1)

    def forward(self, latents: Float[Tensor, "B 3 D"]) -> Float[Tensor, ""]:
        even, odd, whole = latents.float().unbind(1)
        identity = torch.eye(len(latents), device=latents.device)
        similarities = torch.stack([(one @ other.T).softmax(1) for one, other in ((even, whole), (odd, whole), (even, odd))])
        return self.weight * (similarities - identity).square().mean((1, 2)).sum()
