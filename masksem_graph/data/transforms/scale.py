"""Larger and smaller bodies, and bodies of other proportions."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from masksem_graph.data.transforms.base import Draws, Frames, SkeletonTransform, coordinates_of, with_coordinates
from masksem_graph.data.transforms.counter import KEY, uniform_of_key
from masksem_graph.data.transforms.flip import partners
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Scale(SkeletonTransform):
    """Lengthen or shorten the bones of a body, from its centre joint outwards; the centre joint stays where it is.

    Takes two numbers. Without ``limbs`` the first is the factor of the whole body. With ``limbs`` the two are the key of a
    hash (`uniform_of_key`) that gives each bone its own factor. A bone and its mirror image have the same one. Joints that are
    context hang on no bone; they keep their places to each other and move from the centre by one factor.

    Args:
        low, high: range of the factors.
        limbs: each bone has a factor of its own.
    """

    low: float = 0.9
    high: float = 1.1
    limbs: bool = False

    numbers = KEY
    linear = True

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < float("inf"):
            raise InputError(f"Scale: expected two factors with 0 < low <= high, found low {self.low} and high {self.high}")

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        tree = bone_tree(topology, frames.device)
        places = coordinates_of(frames, topology)
        if not self.limbs:
            middle = places[:, :, tree.centre, None]
            return with_coordinates(frames, torch.lerp(middle, places, self._factor(uniform[:, 0])[:, None, None, None]))
        factor = self._factor(uniform_of_key(uniform, len(topology.inputs)))[:, tree.factor][:, None, :, None]
        bones = (places - places[:, :, tree.parent]) * factor
        scaled = places.clone()
        for joints in tree.levels:
            scaled[:, :, joints] = scaled[:, :, tree.parent[joints]] + bones[:, :, joints]
        return with_coordinates(frames, scaled)

    def _factor(self, uniform: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * uniform


class BoneTree(NamedTuple):
    """The bones of a topology as a tree over all its input joints, by position; mirror images have the same factor.

    Context joints hang from the centre. Levels are the joints that are one bone from the centre, two bones, and so on.
    """

    centre: int
    parent: Int64[Tensor, " V"]
    factor: Int64[Tensor, " V"]
    levels: tuple[Int64[Tensor, " _"], ...]


@lru_cache(maxsize=64)
def bone_tree(topology: Topology, device: torch.device) -> BoneTree:
    """The tree of shortest ways from the centre, in the order of the file where two are equal."""
    place = {joint: i for i, joint in enumerate(topology.inputs)}
    centre = place[topology.centre]
    parent = [centre] * len(place)
    for joint, towards in zip(topology.joints, topology.parents, strict=True):
        parent[place[joint]] = place[topology.joints[towards]]
    factor = [min(pair) for pair in enumerate(partners(topology))]
    for joint in topology.context:
        factor[place[joint]] = place[topology.context[0]]
    levels, level = [], [centre]
    while level := [child for child in range(len(place)) if parent[child] in level and child != centre]:
        levels.append(torch.tensor(level, device=device))
    return BoneTree(centre, torch.tensor(parent, device=device), torch.tensor(factor, device=device), tuple(levels))
