"""Velocity and acceleration (MAMP Eq. 5; MaskSem Eq. 12-15), and plain coordinates (SkeletonMAE)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.clips import ClipBatch
from masksem_graph.errors import InputError
from masksem_graph.targets.base import Target

Moment = Literal["before_resize", "after_resize"]


def velocity(x: Float[Tensor, "B T V C"]) -> Float[Tensor, "B T V C"]:
    """``v_t = x_{t+1} - x_t``; zero in the last frame, which has no next."""
    out = torch.zeros_like(x)
    out[:, :-1] = x[:, 1:] - x[:, :-1]
    return out


def acceleration(x: Float[Tensor, "B T V C"]) -> Float[Tensor, "B T V C"]:
    """``a_t = x_{t+2} - 2 x_{t+1} + x_t``; zero in the last two frames.

    Differencing a zero-padded velocity instead would put a false jump of ``-v`` at the end.
    """
    out = torch.zeros_like(x)
    out[:, :-2] = x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]
    return out


class Coordinates(Target):
    """The coordinates themselves."""

    @property
    def weights(self) -> dict[str, float]:
        return {"coordinates": 1.0}

    def values(self, clips: ClipBatch) -> dict[str, Float[Tensor, "B T V C"]]:
        return {"coordinates": clips.coordinates}


class VelocityAcceleration(Target):
    """``(1 - beta)`` times velocity plus ``beta`` times acceleration; a quantity of weight 0 is left out.

    Args:
        beta: the acceleration's share: 0.2 in MaskSem, 0 for MAMP's velocity alone, 1 for acceleration alone.
        differentiate: difference the clip as the encoder sees it, or the original frames before they are resized. Upsampling a
            short clip linearly makes the acceleration zero between the original frames and a jump at them.
    """

    def __init__(self, *, beta: float = 0.2, differentiate: Moment = "after_resize") -> None:
        if not 0 <= beta <= 1:
            raise InputError(f"beta: expected a share in [0, 1], found {beta}")
        self.beta = beta
        self.before_resize = differentiate == "before_resize"

    @property
    def weights(self) -> dict[str, float]:
        both = {"velocity": 1 - self.beta, "acceleration": self.beta}
        return {name: weight for name, weight in both.items() if weight > 0}

    def values(self, clips: ClipBatch) -> dict[str, Float[Tensor, "B T V C"]]:
        if not self.before_resize:
            made = {"velocity": velocity, "acceleration": acceleration}
            return {name: made[name](clips.coordinates) for name in self.weights}
        if clips.velocity is None or clips.acceleration is None:
            raise ValueError("targets differenced before the resize need clips read with derivatives")
        given = {"velocity": clips.velocity, "acceleration": clips.acceleration}
        return {name: given[name] for name in self.weights}
