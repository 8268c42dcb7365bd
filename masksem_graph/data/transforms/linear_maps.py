"""Random rotations and shears: a matrix for each clip."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.transforms.base import Draws, Frames, SkeletonTransform, coordinates_of, with_coordinates
from masksem_graph.errors import InputError, require_range
from masksem_graph.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Rotate(SkeletonTransform):
    """Turn a clip about the origin by ``R_z R_y R_x``, each angle uniform in plus or minus its largest.

    Takes three numbers, the angles about x, y and z. A skeleton in an image turns about z alone, in the plane of the picture.

    Args:
        x, y, z: the largest angle about each axis, in radians.
    """

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0

    numbers = 3
    linear = True

    def __post_init__(self) -> None:
        for axis in ("x", "y", "z"):
            require_range(f"Rotate.{axis}", getattr(self, axis), 0, 10**9)

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        if topology.dimensions == 2 and (self.x or self.y):
            raise InputError(
                f"{self}: {topology.name} has 2 coordinates in {topology.units}; expected a rotation about z alone, "
                f"such as Rotate(z={self.z or 0.3})"
            )
        largest = torch.tensor([self.x, self.y, self.z], device=uniform.device)
        return mapped(frames, rotation_matrix((uniform * 2 - 1) * largest), topology)


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
        require_range("Shear.amount", self.amount, 0, 10**9)

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        matrix = (uniform.view(-1, 3, 3) * 2 - 1) * self.amount
        diagonal = torch.eye(3, dtype=torch.bool, device=matrix.device)
        return mapped(frames, matrix.masked_fill(diagonal, 1.0), topology)


def mapped(frames: Frames, matrix: Float[Tensor, "B 3 3"], topology: Topology) -> Frames:
    """A linear map of each joint's coordinates; of a skeleton in an image, the map's part for x and y."""
    coordinates = coordinates_of(frames, topology)
    matrix = matrix[:, : topology.dimensions, : topology.dimensions]
    return with_coordinates(frames, (coordinates.flatten(1, 2) @ matrix.mT).view(coordinates.shape))


def rotation_matrix(angle: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3 3"]:
    """``R_z R_y R_x`` of the angles about x, y and z, in radians."""
    (cx, cy, cz), (sx, sy, sz) = angle.cos().T, angle.sin().T
    zero, one = torch.zeros_like(cx), torch.ones_like(cx)
    about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], 1).view(-1, 3, 3)
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(-1, 3, 3)
    about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], 1).view(-1, 3, 3)
    return about_z @ about_y @ about_x
