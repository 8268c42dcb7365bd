"""Stand-in until the transforms branch is merged."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch_geometric.transforms import BaseTransform

ViewName = Literal["recorded", "yaw", "body"]
ViewOf = Literal["first", "mean"]


class SkeletonTransform(BaseTransform):
    def forward(self, data):
        return data

    numbers: int = 0
    linear: bool = True

    def apply(self, frames: Tensor, uniform: Tensor, topology: object) -> Tensor:
        raise NotImplementedError


class Rotate(SkeletonTransform):
    numbers = 3

    def __init__(self, *, x: float = 0.3, y: float = 0.3, z: float = 0.3) -> None:
        self.largest = (x, y, z)

    def apply(self, frames: Tensor, uniform: Tensor, topology: object) -> Tensor:
        angle = (uniform * 2 - 1) * torch.tensor(self.largest)
        count = len(angle)
        (cx, cy, cz), (sx, sy, sz) = angle.cos().T, angle.sin().T
        zero, one = torch.zeros(count), torch.ones(count)
        about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], 1).view(-1, 3, 3)
        about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(-1, 3, 3)
        about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], 1).view(-1, 3, 3)
        return (frames.flatten(1, 2) @ (about_z @ about_y @ about_x).mT).view_as(frames)


class Shear(SkeletonTransform):
    numbers = 9

    def __init__(self, *, amount: float = 0.2) -> None:
        self.amount = amount

    def apply(self, frames: Tensor, uniform: Tensor, topology: object) -> Tensor:
        shear = (uniform.view(-1, 3, 3) * 2 - 1) * self.amount
        shear[:, range(3), range(3)] = 1.0
        return (frames.flatten(1, 2) @ shear.mT).view_as(frames)
