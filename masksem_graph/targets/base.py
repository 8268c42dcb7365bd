"""What a reconstruction target is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from masksem_graph.graph import SkeletonData


class Target(ABC):
    """What the decoder has to predict at masked nodes. A new one is one file with one subclass."""

    before_resize: bool = False
    """Whether it needs `SkeletonData.velocity` and ``acceleration``, differenced on the original frames."""

    @property
    @abstractmethod
    def weights(self) -> dict[str, float]:
        """Name -> weight in the loss of each quantity to predict."""

    @abstractmethod
    def values(self, batch: SkeletonData) -> dict[str, Float[Tensor, "B T J C"]]:
        """Name -> the quantity itself, frame by frame, of all input joints; the same names as `weights`.

        Args:
            batch: the augmented clips; ``frames`` and ``topology`` are there, ``velocity`` and ``acceleration`` if asked for.
        """


def standardise(values: Float[Tensor, "*nodes F"], eps: float = 1e-6) -> Float[Tensor, "*nodes F"]:
    """Zero mean and unit (unbiased) variance over each node's own l * C numbers (MAE, CVPR 2022, section 4; MAMP)."""
    centred = values - values.mean(-1, keepdim=True)
    variance = centred.square().sum(-1, keepdim=True) / (values.shape[-1] - 1)
    return centred * (variance + eps).rsqrt()
