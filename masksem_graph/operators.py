"""Matrices on a topology, and the smoothing operators made of them.

A smoothing operator spreads a score over neighbouring nodes of the skeleton graph (MaskSem, Eq. 6: eta <- eta A). Pure
functions give the matrices; a small module holds one ready for a device, so that it is computed once per topology and never
per batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import networkx as nx
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.errors import InputError
from masksem_graph.topology import Topology


def hop_distance(topology: Topology) -> Int64[Tensor, "V V"]:
    """Bones on the shortest path between two joints."""
    distance = torch.zeros(len(topology), len(topology), dtype=torch.int64)
    for joint, reached in nx.all_pairs_shortest_path_length(topology.graph):
        for other, hops in reached.items():
            distance[topology.index[joint], topology.index[other]] = hops
    return distance


def normalised_adjacency(topology: Topology, hops: int = 1) -> Float[Tensor, "V V"]:
    r""":math:`D^{-1/2} (A_k + I) D^{-1/2}`, where :math:`A_k` links joints at most ``hops`` bones apart.

    At ``hops=1`` this is the propagation matrix of GCN (Kipf and Welling, ICLR 2017).
    """
    if hops < 1:
        raise InputError(f"hops: expected at least 1, found {hops}")
    linked = (hop_distance(topology) <= hops).double()
    root = linked.sum(1).rsqrt()
    return (root[:, None] * linked * root[None, :]).float()


def part_average(topology: Topology) -> Float[Tensor, "V V"]:
    """The mean over the joints of a body part, given to each of them (the operator of the authors' MaskSem code)."""
    matrix = torch.zeros(len(topology), len(topology))
    for joints in topology.parts.values():
        members = torch.tensor([topology.index[joint] for joint in joints])
        matrix[members[:, None], members[None, :]] = 1 / len(members)
    return matrix


def personalised_pagerank(topology: Topology, restart: float = 0.15) -> Float[Tensor, "V V"]:
    r""":math:`\alpha (I - (1 - \alpha) \hat A)^{-1}` with the normalised adjacency :math:`\hat A` (GDC, NeurIPS 2019, Eq. 3).

    Args:
        topology: the skeleton.
        restart: :math:`\alpha`, the chance of jumping back to the start; 1 smooths nothing.
    """
    if not 0 < restart <= 1:
        raise InputError(f"restart: expected a share in (0, 1], found {restart}")
    identity = torch.eye(len(topology), dtype=torch.float64)
    return (restart * torch.linalg.inv(identity - (1 - restart) * normalised_adjacency(topology).double())).float()


def heat_kernel(topology: Topology, time: float = 1.0) -> Float[Tensor, "V V"]:
    r""":math:`\exp(-t (I - \hat A))` with the normalised adjacency :math:`\hat A` (GDC, NeurIPS 2019, Eq. 4)."""
    if time < 0:
        raise InputError(f"time: expected a diffusion time of at least 0, found {time}")
    laplacian = torch.eye(len(topology), dtype=torch.float64) - normalised_adjacency(topology).double()
    return torch.linalg.matrix_exp(-time * laplacian).float()


class Operator(nn.Module, ABC):
    """Smooths a score over the nodes of each segment: ``eta @ matrix``.

    Args:
        topology: the skeleton.
        segments: segments of a clip.

    Shapes:
        eta: [B, Te, V] -> [B, Te, V]
    """

    matrix: Tensor

    def __init__(self, *, topology: Topology, segments: int) -> None:
        super().__init__()
        self.segments = segments
        self.register_buffer("matrix", self.build(topology), persistent=False)

    @abstractmethod
    def build(self, topology: Topology) -> Float[Tensor, "V V"]:
        """The matrix on the joints of one segment."""

    def forward(self, eta: Float[Tensor, "B Te V"]) -> Float[Tensor, "B Te V"]:
        return eta @ self.matrix


@runtime_checkable
class OperatorFactory(Protocol):
    """An operator class with its options set; the builder gives the rest."""

    def __call__(self, *, topology: Topology, segments: int) -> Operator: ...


class Identity(Operator):
    """No smoothing."""

    def build(self, topology: Topology) -> Float[Tensor, "V V"]:
        return torch.eye(len(topology))

    def forward(self, eta: Float[Tensor, "B Te V"]) -> Float[Tensor, "B Te V"]:
        return eta


class Adjacency(Operator):
    """Normalised adjacency over 1..k hops; see `normalised_adjacency`.

    Args:
        topology: the skeleton.
        segments: segments of a clip.
        hops: how many bones apart two joints may be to share a score.
    """

    def __init__(self, *, topology: Topology, segments: int, hops: int = 1) -> None:
        self.hops = hops
        super().__init__(topology=topology, segments=segments)

    def build(self, topology: Topology) -> Float[Tensor, "V V"]:
        return normalised_adjacency(topology, self.hops)


class PartAverage(Operator):
    """Mean within each body part; see `part_average`."""

    def build(self, topology: Topology) -> Float[Tensor, "V V"]:
        return part_average(topology)


class PersonalisedPageRank(Operator):
    """Personalised PageRank diffusion; see `personalised_pagerank`.

    Args:
        topology: the skeleton.
        segments: segments of a clip.
        restart: the chance of jumping back to the start, in (0, 1].
    """

    def __init__(self, *, topology: Topology, segments: int, restart: float = 0.15) -> None:
        self.restart = restart
        super().__init__(topology=topology, segments=segments)

    def build(self, topology: Topology) -> Float[Tensor, "V V"]:
        return personalised_pagerank(topology, self.restart)


class Heat(Operator):
    """Heat kernel diffusion; see `heat_kernel`.

    Args:
        topology: the skeleton.
        segments: segments of a clip.
        time: diffusion time, at least 0.
    """

    def __init__(self, *, topology: Topology, segments: int, time: float = 1.0) -> None:
        self.time = time
        super().__init__(topology=topology, segments=segments)

    def build(self, topology: Topology) -> Float[Tensor, "V V"]:
        return heat_kernel(topology, self.time)


class SpatioTemporal(Operator):
    """Normalised adjacency of the whole spatio-temporal graph: bones within a segment, and the same joint one segment on.

    A node's degree is 1 (itself) + its bones + its neighbours in time, so that the matrix on all Te * V nodes is never built.
    """

    degree_root: Tensor

    def __init__(self, *, topology: Topology, segments: int) -> None:
        super().__init__(topology=topology, segments=segments)
        in_time = torch.full((segments,), 2.0)
        in_time[0] -= 1
        in_time[-1] -= 1
        degree = in_time[:, None] + self.matrix.sum(0)[None, :]
        self.register_buffer("degree_root", degree.rsqrt(), persistent=False)

    def build(self, topology: Topology) -> Float[Tensor, "V V"]:
        return (hop_distance(topology) <= 1).float()

    def forward(self, eta: Float[Tensor, "B Te V"]) -> Float[Tensor, "B Te V"]:
        scaled = eta * self.degree_root
        spread = scaled @ self.matrix
        spread[:, 1:] += scaled[:, :-1]
        spread[:, :-1] += scaled[:, 1:]
        return spread * self.degree_root
