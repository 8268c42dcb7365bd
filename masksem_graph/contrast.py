"""Losses that hold the bodies of a batch against each other."""

from abc import ABC, abstractmethod

from jaxtyping import Float, Int64
from torch import Tensor, nn


class Contrast(nn.Module, ABC):
    """A loss over all bodies of a batch at once. A new one is one file with one subclass.

    Split in two, so that value and gradient are those of the whole global batch however it is divided among processes and
    parts (`masksem_graph.tasks.pretrain.GlobalBatch`). For the same reason it has no parameters that learn: each part would
    add the gradient of the whole batch to them.
    """

    @abstractmethod
    def latents(
        self, features: Float[Tensor, "B n D"], kept: Int64[Tensor, "B n"], grid: tuple[int, int]
    ) -> Float[Tensor, "B views D"]:
        """What each body contributes: of the student's float32 ``features`` of the ``kept`` nodes on a ``grid`` (Te, V)."""

    @abstractmethod
    def forward(self, latents: Float[Tensor, "B views D"]) -> Float[Tensor, ""]:
        """The loss of a whole batch, which compares them all."""
