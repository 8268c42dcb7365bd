"""What is reconstructed at masked nodes: motion (MAMP Eq. 5; MaskSem Eq. 12-15), or coordinates (SkeletonMAE)."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData

Moment = Literal["before_resize", "after_resize"]
End = Literal["zero", "jump"]


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


def velocity(x: Float[Tensor, "B T V C"]) -> Float[Tensor, "B T V C"]:
    """``v_t = x_{t+1} - x_t``; zero in the last frame, which has no next."""
    out = torch.zeros_like(x)
    out[:, :-1] = x[:, 1:] - x[:, :-1]
    return out


def acceleration(x: Float[Tensor, "B T V C"], end: End = "zero") -> Float[Tensor, "B T V C"]:
    """``a_t = x_{t+2} - 2 x_{t+1} + x_t``; zero in the last two frames.

    Args:
        x: coordinates.
        end: ``jump`` differences the velocity with its zero at the end, as the authors of MaskSem do: the body seems to stop
            dead, and the last but one frame holds ``-v``.
    """
    if end == "jump":
        return velocity(velocity(x))
    out = torch.zeros_like(x)
    out[:, :-2] = x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]
    return out


class Coordinates(Target):
    """The coordinates themselves."""

    @property
    def weights(self) -> dict[str, float]:
        return {"coordinates": 1.0}

    def values(self, batch: SkeletonData) -> dict[str, Float[Tensor, "B T J C"]]:
        return {"coordinates": batch.frames}


class VelocityAcceleration(Target):
    """``(1 - beta)`` times velocity plus ``beta`` times acceleration; a quantity of weight 0 is left out.

    Args:
        beta: the acceleration's share: 0.2 in MaskSem, 0 for MAMP's velocity alone, 1 for acceleration alone.
        differentiate: the clip as the encoder sees it, or the original frames before they are resized. Upsampling a short clip
            linearly makes the acceleration zero between the original frames and a jump at them.
        end: the acceleration where it needs a frame past the end: ``zero``, or the ``jump`` of the authors' code.
    """

    def __init__(self, *, beta: float = 0.2, differentiate: Moment = "after_resize", end: End = "zero") -> None:
        if not 0 <= beta <= 1:
            raise InputError(f"beta: expected a share in [0, 1], found {beta}")
        if end == "jump" and differentiate == "before_resize":
            raise InputError("end: jump needs differentiate: after_resize, found before_resize")
        self.beta, self.end = beta, end
        self.before_resize = differentiate == "before_resize"

    @property
    def weights(self) -> dict[str, float]:
        both = {"velocity": 1 - self.beta, "acceleration": self.beta}
        return {name: weight for name, weight in both.items() if weight > 0}

    def values(self, batch: SkeletonData) -> dict[str, Float[Tensor, "B T J C"]]:
        if self.before_resize and ("velocity" not in batch or "acceleration" not in batch):
            raise ValueError("targets differenced before the resize need clips read with derivatives")
        if self.before_resize:
            return {name: batch[name] for name in self.weights}
        x = batch.frames
        return {name: velocity(x) if name == "velocity" else acceleration(x, self.end) for name in self.weights}
