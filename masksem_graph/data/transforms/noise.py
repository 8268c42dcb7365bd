"""Random noise on each coordinate."""

import math
from dataclasses import dataclass

from masksem_graph.data.transforms.base import Draws, Frames, SkeletonTransform, coordinates_of, with_coordinates
from masksem_graph.data.transforms.counter import KEY, normal_of_key
from masksem_graph.errors import require_range
from masksem_graph.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Noise(SkeletonTransform):
    """Add normal noise to each coordinate of each frame.

    Takes two numbers, the key of a hash that gives each coordinate its own noise (`normal_of_key`). Two bodies of a clip get
    the same noise.

    Args:
        std: standard deviation, in the topology's units.
    """

    std: float

    numbers = KEY

    def __post_init__(self) -> None:
        require_range("Noise.std", self.std, 0, 10**9)

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        coordinates = coordinates_of(frames, topology)
        noise = normal_of_key(uniform, math.prod(coordinates.shape[1:])).view(coordinates.shape)
        return with_coordinates(frames, coordinates + self.std * noise)
