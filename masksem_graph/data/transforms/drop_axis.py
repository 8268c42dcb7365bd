"""One coordinate of all joints left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.transforms.base import SkeletonTransform, expect_share
from masksem_graph.data.transforms.coordinates import coordinates_of
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology

Axis = Literal["x", "y", "z"]


@dataclass(frozen=True, kw_only=True)
class DropAxis(SkeletonTransform):
    """Set one coordinate of all joints to zero.

    Takes two numbers. Below ``probability``, the first says that the clip loses an axis; the second chooses which.

    Args:
        axes: those to choose from, each as likely as the others.
        probability: of a clip to lose one.
    """

    axes: tuple[Axis, ...] = ("x", "y", "z")
    probability: float = 0.5

    numbers = 2
    linear = True

    def __post_init__(self) -> None:
        expect_share("DropAxis.probability", self.probability)
        if not self.axes or len(set(self.axes)) < len(self.axes) or not set(self.axes) <= {"x", "y", "z"}:
            raise InputError(f"DropAxis.axes: expected some of x, y and z, each once, found {list(self.axes)}")

    def apply(
        self, frames: Float[Tensor, "B T V C"], uniform: Float[Tensor, "B numbers"], topology: Topology
    ) -> Float[Tensor, "B T V C"]:
        coordinates_of(frames, topology)
        if topology.dimensions == 2 and "z" in self.axes:
            raise InputError(f"DropAxis.axes: {topology.name} has 2 coordinates, expected [x, y] or one of them")
        channels = torch.tensor(["xyz".index(axis) for axis in self.axes], device=frames.device)
        chosen = channels[(uniform[:, 1] * len(self.axes)).long().clamp(max=len(self.axes) - 1)]
        lost = chosen[:, None] == torch.arange(frames.shape[-1], device=frames.device)
        lost &= uniform[:, :1] < self.probability
        return frames.masked_fill(lost[:, None, None, :], 0.0)
