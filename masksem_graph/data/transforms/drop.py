"""Joints that are not seen, and one coordinate of all joints left out."""

from dataclasses import dataclass
from typing import Literal

import torch

from masksem_graph.data.transforms.base import Draws, Frames, SkeletonTransform, coordinates_of
from masksem_graph.data.transforms.counter import KEY, uniform_of_key
from masksem_graph.errors import InputError, require_range
from masksem_graph.topology import Topology


@dataclass(frozen=True, kw_only=True)
class DropJoints(SkeletonTransform):
    """Put a drawn share of the joints at the centre joint, for the whole clip.

    Zero would not do: it is a place like any other, and how far it is from the body depends on the clip's origin. The centre
    joint moves and turns with the body, so it does not matter whether a rotation comes before or after. The score of a dropped
    joint becomes 0.

    Takes two numbers, the key of a hash that puts the joints in a random order (`uniform_of_key`); the first are dropped.
    Two bodies of a clip lose the same joints. The centre joint is never dropped.

    Args:
        share: of all joints; it is rounded to whole joints.
    """

    share: float

    numbers = KEY
    linear = True

    def __post_init__(self) -> None:
        require_range("DropJoints.share", self.share, 0, 1)

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        coordinates = coordinates_of(frames, topology)
        joints, centre = len(topology.inputs), topology.inputs.index(topology.centre)
        order = uniform_of_key(uniform, joints)
        order[:, centre] = 2.0  # behind all others
        rank = order.argsort(dim=1, stable=True).argsort(dim=1)
        dropped = rank < min(round(self.share * joints), joints - 1)
        stand_in = torch.zeros_like(frames[:, :, [centre]])
        stand_in[..., : coordinates.shape[-1]] = coordinates[:, :, [centre]]
        return torch.where(dropped[:, None, :, None], stand_in, frames)


@dataclass(frozen=True, kw_only=True)
class DropAxis(SkeletonTransform):
    """Set one coordinate of all joints to zero.

    Takes two numbers. Below ``probability``, the first says that the clip loses an axis; the second chooses which.

    Args:
        axes: those to choose from, each as likely as the others.
        probability: of a clip to lose one.
    """

    axes: tuple[Literal["x", "y", "z"], ...] = ("x", "y", "z")
    probability: float = 0.5

    numbers = 2
    linear = True

    def __post_init__(self) -> None:
        require_range("DropAxis.probability", self.probability, 0, 1)
        if not self.axes or len(set(self.axes)) < len(self.axes) or not set(self.axes) <= {"x", "y", "z"}:
            raise InputError(f"DropAxis.axes: expected some of x, y and z, each once, found {list(self.axes)}")

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        coordinates_of(frames, topology)
        if topology.dimensions == 2 and "z" in self.axes:
            raise InputError(f"DropAxis.axes: {topology.name} has 2 coordinates, expected [x, y] or one of them")
        channels = torch.tensor(["xyz".index(axis) for axis in self.axes], device=frames.device)
        chosen = channels[(uniform[:, 1] * len(self.axes)).long().clamp(max=len(self.axes) - 1)]
        lost = chosen[:, None] == torch.arange(frames.shape[-1], device=frames.device)
        lost &= uniform[:, :1] < self.probability
        return frames.masked_fill(lost[:, None, None, :], 0.0)
