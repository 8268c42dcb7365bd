"""Clips played backwards."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.transforms.base import SkeletonTransform, expect_share
from masksem_graph.topology import Topology


@dataclass(frozen=True, kw_only=True)
class ReverseTime(SkeletonTransform):
    """Play a clip backwards.

    Takes one number: below ``probability``, the clip is reversed. To sit down becomes to stand up, so leave this out where
    labels tell the two apart.

    Args:
        probability: of a clip to be reversed.
    """

    probability: float = 0.5

    numbers = 1

    def __post_init__(self) -> None:
        expect_share("ReverseTime.probability", self.probability)

    def apply(
        self, frames: Float[Tensor, "B T V C"], uniform: Float[Tensor, "B numbers"], topology: Topology
    ) -> Float[Tensor, "B T V C"]:
        return torch.where((uniform[:, 0] < self.probability)[:, None, None, None], frames.flip(1), frames)
