"""Random shears."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.transforms.base import SkeletonTransform, expect_at_least_zero
from masksem_graph.data.transforms.coordinates import mapped
from masksem_graph.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Shear(SkeletonTransform):
    """Multiply by a matrix with ones on its diagonal and the rest uniform in plus or minus ``amount``.

    Takes nine numbers, the matrix row by row; those on the diagonal are not used. A skeleton in an image takes the matrix's
    part for x and y.

    Args:
        amount: the largest entry off the diagonal.
    """

    amount: float

    numbers = 9
    linear = True

    def __post_init__(self) -> None:
        expect_at_least_zero("Shear.amount", self.amount)

    def apply(
        self, frames: Float[Tensor, "B T V C"], uniform: Float[Tensor, "B numbers"], topology: Topology
    ) -> Float[Tensor, "B T V C"]:
        matrix = (uniform.view(-1, 3, 3) * 2 - 1) * self.amount
        diagonal = torch.eye(3, dtype=torch.bool, device=matrix.device)
        return mapped(frames, matrix.masked_fill(diagonal, 1.0), topology)
