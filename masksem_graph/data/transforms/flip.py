"""Left and right exchanged, or time reversed."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Int64
from torch import Tensor

from masksem_graph.data.transforms.base import Draws, Frames, SkeletonTransform, coordinates_of
from masksem_graph.errors import InputError, require_range
from masksem_graph.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Mirror(SkeletonTransform):
    """Flip the x axis and exchange the joints of each mirror pair, their scores too.

    Takes one number: below ``probability``, the clip is mirrored. A left-handed action becomes a right-handed one, so leave
    this out where the labels tell left from right.

    Args:
        probability: of a clip to be mirrored.
    """

    probability: float = 0.5

    numbers = 1
    linear = True

    def __post_init__(self) -> None:
        require_range("Mirror.probability", self.probability, 0, 1)

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        coordinates_of(frames, topology)
        flip = torch.ones(frames.shape[-1], dtype=frames.dtype, device=frames.device)
        flip[0] = -1
        mirrored = frames[:, :, mirror_columns(topology, frames.device)] * flip
        return torch.where((uniform[:, 0] < self.probability)[:, None, None, None], mirrored, frames)


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
        require_range("ReverseTime.probability", self.probability, 0, 1)

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        return torch.where((uniform[:, 0] < self.probability)[:, None, None, None], frames.flip(1), frames)


@lru_cache(maxsize=64)
def mirror_columns(topology: Topology, device: torch.device) -> Int64[Tensor, " V"]:
    """Where the counterpart of each input joint stands; raises `InputError` where there are no mirror pairs."""
    columns = partners(topology)
    if columns == list(range(len(columns))):
        raise InputError(f"{topology.name}: mirror: expected pairs of joints, found none; Mirror cannot tell left from right")
    return torch.tensor(columns, device=device)


def partners(topology: Topology) -> list[int]:
    """The position of each input joint's counterpart; its own where it has none."""
    return [topology.inputs.index(topology.mirror[joint]) for joint in topology.inputs]
