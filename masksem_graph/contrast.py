"""Losses that hold the bodies of a batch against each other."""

from __future__ import annotations

from abc import ABC, abstractmethod

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
            features: the student's features of the kept nodes, in float32.
            kept: which nodes those are.
            grid: (Te, V).
        """

    @abstractmethod
    def forward(self, latents: Float[Tensor, "B views D"]) -> Float[Tensor, ""]:
        """The loss of a whole batch."""
