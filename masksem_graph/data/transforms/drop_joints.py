"""Joints that are not seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.transforms.base import SkeletonTransform, expect_share
from masksem_graph.data.transforms.coordinates import coordinates_of
from masksem_graph.data.transforms.counter import KEY, uniform_of_key
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
        expect_share("DropJoints.share", self.share)

    def apply(
        self, frames: Float[Tensor, "B T V C"], uniform: Float[Tensor, "B numbers"], topology: Topology
    ) -> Float[Tensor, "B T V C"]:
        coordinates = coordinates_of(frames, topology)
        joints, centre = len(topology.inputs), topology.inputs.index(topology.centre)
        order = uniform_of_key(uniform, joints)
        order[:, centre] = 2.0  # behind all others
        rank = order.argsort(dim=1, stable=True).argsort(dim=1)
        dropped = rank < min(round(self.share * joints), joints - 1)
        stand_in = torch.zeros_like(frames[:, :, [centre]])
        stand_in[..., : coordinates.shape[-1]] = coordinates[:, :, [centre]]
        return torch.where(dropped[:, None, :, None], stand_in, frames)
