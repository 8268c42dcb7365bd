"""What a reconstruction target is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.clips import ClipBatch


class Target(ABC):
    """What the decoder has to predict at masked nodes. A new one is one file with one subclass."""

    before_resize: bool = False
    """Whether it needs `ClipBatch.velocity` and ``acceleration``, differenced on the original frames."""

    @property
    @abstractmethod
    def weights(self) -> dict[str, float]:
        """Name -> weight in the loss of each quantity to predict."""

    @abstractmethod
    def values(self, clips: ClipBatch) -> dict[str, Float[Tensor, "B T V C"]]:
        """Name -> the quantity itself, frame by frame; the same names as `weights`."""
