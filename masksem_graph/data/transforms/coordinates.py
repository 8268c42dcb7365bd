"""The channels of a joint that say where it is, apart from its score."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.topology import Topology


def coordinates_of(frames: Float[Tensor, "B T V C"], topology: Topology) -> Float[Tensor, "B T V d"]:
    """The first channels: two of a skeleton in an image, else three.

    Raises:
        InputError: there are fewer.
    """
    if frames.shape[-1] < topology.dimensions:
        raise InputError(
            f"{topology.name}: expected {topology.dimensions} coordinates a joint ({topology.units}), found {frames.shape[-1]}"
        )
    return frames[..., : topology.dimensions]


def with_coordinates(frames: Float[Tensor, "B T V C"], coordinates: Float[Tensor, "B T V d"]) -> Float[Tensor, "B T V C"]:
    """The frames with other coordinates; what stands behind them, such as a score, stays."""
    changed = coordinates.shape[-1]
    return coordinates if changed == frames.shape[-1] else torch.cat([coordinates, frames[..., changed:]], -1)


def mapped(frames: Float[Tensor, "B T V C"], matrix: Float[Tensor, "B 3 3"], topology: Topology) -> Float[Tensor, "B T V C"]:
    """A linear map of each joint's coordinates; of a skeleton in an image, the map's part for x and y."""
    coordinates = coordinates_of(frames, topology)
    matrix = matrix[:, : topology.dimensions, : topology.dimensions]
    return with_coordinates(frames, (coordinates.flatten(1, 2) @ matrix.mT).view(coordinates.shape))
