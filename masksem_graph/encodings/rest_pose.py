"""Where a joint is when the body stands at rest: it tells left from right, which no spectrum of a symmetric graph can."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.edges import of_topology
from masksem_graph.encodings.base import Encoding
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology


def rest_places(topology: Topology) -> Float[Tensor, "V 3"]:
    """The topology's rest pose in its own size: the middle of its extent is 0, and half its largest extent is 1.

    The size is the body's and not its bones': skeletons of the same body differ in the length of their bones by far, and the
    same joint should be at the same place in each.

    Raises:
        InputError: the topology has no rest pose.
    """
    if not topology.rest_pose:
        raise InputError(
            f"{topology.name}: rest_pose: this field is missing, which the encoding RestPose needs; expected a topology that "
            "has it (--model.topology), such as `masksem-graph topology pose STORE` writes"
        )
    places = torch.tensor([topology.rest_pose[joint] for joint in topology.joints], dtype=torch.float64)
    low, high = places.amin(0), places.amax(0)
    half = (high - low).max() / 2
    return ((places - (low + high) / 2) / half.clamp(min=1e-9)).float()


def fourier_features(places: Float[Tensor, "V 3"], octaves: int) -> Float[Tensor, "V features"]:
    """Places, and their sines and cosines at wavelengths 4, 2, 1, ... (as in NeRF; Mildenhall et al., ECCV 2020, Eq. 4)."""
    angle = places[:, :, None] * (torch.pi / 2 * 2.0 ** torch.arange(octaves))
    return torch.cat([places, angle.sin().flatten(1), angle.cos().flatten(1)], 1)


@of_topology
def rest_features(topology: Topology, octaves: int) -> Float[Tensor, "V features"]:
    """`fourier_features` of `rest_places`."""
    return fourier_features(rest_places(topology), octaves)


class RestPose(Encoding):
    """A joint's place in the rest pose, and waves of it, through a linear layer.

    Args:
        width: D.
        octaves: wavelengths; the shortest is 4 / 2^(octaves - 1) of half a body's height, 0.2 m at 6.
    """

    def __init__(self, *, width: int, octaves: int = 6) -> None:
        super().__init__()
        if octaves < 0:
            raise InputError(f"octaves: expected at least 0, found {octaves}")
        self.octaves, features = octaves, 3 + 6 * octaves
        self.project = nn.Linear(features, width, bias=False)
        # The sum over the features then starts at about the size that a learned table starts at.
        nn.init.trunc_normal_(self.project.weight, std=0.02 * (features / 2) ** -0.5)

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        return self.project(rest_features(batch.topology, self.octaves, device=self.project.weight.device))[None]
