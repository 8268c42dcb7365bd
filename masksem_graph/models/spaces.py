"""The space in which the encoder's first block meets the embedded nodes."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class Space(nn.Module, ABC):
    """Maps embedded nodes, encodings added, to what the backbone sees. A new one is one file with one subclass."""

    @abstractmethod
    def forward(self, h: Float[Tensor, "B n D"]) -> Float[Tensor, "B n D"]:
        """The nodes' points."""
