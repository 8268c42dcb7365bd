"""Smoothing operators spread a score over neighbouring nodes of the skeleton graph (MaskSem, Eq. 7: eta <- eta A).

Their matrices are pure functions of a topology; an operator reads it off the batch, so that one serves every skeleton.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.transforms import GDC
from torch_geometric.utils import add_self_loops, to_dense_adj

from masksem_graph.edges import of_topology, reach_graph, skeleton_graph
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology

Normalise = Literal["symmetric", "row"]


def normalised_adjacency(
    topology: Topology, hops: int = 1, normalise: Normalise = "symmetric", segments: int = 1
) -> Float[Tensor, "N N"]:
    r""":math:`D^{-1/2} (A_k + I) D^{-1/2}`, where :math:`A_k` links joints at most ``hops`` bones apart.

    At ``hops=1`` this is the propagation matrix of GCN (Kipf and Welling, ICLR 2017). It does not keep a flat score flat: hubs
    go up, leaves go down. ``row`` is :math:`D^{-1} (A_k + I)`, transposed since scores stand on its left, which does. With
    more than one of Te ``segments`` it is of the whole spatio-temporal graph of N = Te * V nodes.
    """
    graph = reach_graph(topology, segments, hops)
    if normalise == "symmetric":
        index, weight = gcn_norm(graph.edge_index, None, graph.num_nodes, dtype=torch.float64)
    else:
        index, _ = add_self_loops(graph.edge_index, num_nodes=graph.num_nodes)
        ones = torch.ones(index.shape[1], dtype=torch.float64)
        index, weight = GDC().transition_matrix(index, ones, graph.num_nodes, "col")
    return to_dense_adj(index, edge_attr=weight, max_num_nodes=graph.num_nodes)[0].float()


class Operator(nn.Module, ABC):
    """Smooths scores of nodes, [B, Te, V], in each segment: ``eta @ matrix``. A new one is one file with one subclass.

    Masks are drawn without a gradient, so an operator has no weights that learn; the task refuses one that has.
    """

    @abstractmethod
    def matrix(self, topology: Topology) -> Float[Tensor, "V V"]:
        """The matrix on the joints of one segment; asked for once for each topology and device."""

    def forward(self, eta: Float[Tensor, "B Te V"], batch: SkeletonData) -> Float[Tensor, "B Te V"]:
        return eta @ matrix_of(batch.topology, self, device=eta.device)


@of_topology
def matrix_of(topology: Topology, operator: Operator) -> Float[Tensor, "V V"]:
    """`Operator.matrix`, made once; an ``InputError`` where it is no matrix of the topology's joints."""
    found, joints = operator.matrix(topology), len(topology)
    if not isinstance(found, Tensor) or found.shape != (joints, joints):
        told = f"one of {list(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        expected = f"expected a [V, V] tensor, here [{joints}, {joints}], found {told}"
        raise InputError(f"{type(operator).__name__}.matrix({topology.name}): {expected}")
    return found.float()


adjacency_of = of_topology(normalised_adjacency)


class Identity(Operator):
    """No smoothing."""

    def matrix(self, topology: Topology) -> Float[Tensor, "V V"]:
        return torch.eye(len(topology))

    def forward(self, eta: Float[Tensor, "B Te V"], batch: SkeletonData) -> Float[Tensor, "B Te V"]:
        return eta


class Adjacency(Operator):
    """Normalised adjacency over 1..k hops; see `normalised_adjacency`.

    Args:
        hops: how many bones apart two joints may be to share a score.
        normalise: ``symmetric``, the paper's, or ``row``, which keeps a flat score flat.
    """

    def __init__(self, *, hops: int = 1, normalise: Normalise = "symmetric") -> None:
        super().__init__()
        if hops < 1:
            raise InputError(f"hops: expected at least 1, found {hops}")
        self.hops, self.normalise = hops, normalise

    def matrix(self, topology: Topology) -> Float[Tensor, "V V"]:
        return normalised_adjacency(topology, self.hops, self.normalise)


class PartAverage(Operator):
    """The mean over the joints of a body part, given to each of them (the operator of the authors' MaskSem code)."""

    def matrix(self, topology: Topology) -> Float[Tensor, "V V"]:
        member = torch.tensor([[joint in part for joint in topology.joints] for part in topology.parts.values()]).float()
        return member.T @ (member / member.sum(1, keepdim=True))


class PersonalisedPageRank(Operator):
    r""":math:`\alpha (I - (1 - \alpha) \hat A)^{-1}` with the normalised adjacency :math:`\hat A` (GDC, NeurIPS 2019, Eq. 3).

    Args:
        restart: :math:`\alpha`, the chance of jumping back to the start, in (0, 1]; 1 smooths nothing.
    """

    def __init__(self, *, restart: float = 0.15) -> None:
        super().__init__()
        if not 0 < restart <= 1:
            raise InputError(f"restart: expected a share in (0, 1], found {restart}")
        self.restart = restart

    def matrix(self, topology: Topology) -> Float[Tensor, "V V"]:
        return _diffusion(topology, method="ppr", alpha=self.restart)


class Heat(Operator):
    r""":math:`\exp(-t (I - \hat A))` with the normalised adjacency :math:`\hat A` (GDC, NeurIPS 2019, Eq. 4).

    Args:
        time: diffusion time t, at least 0.
    """

    def __init__(self, *, time: float = 1.0) -> None:
        super().__init__()
        if not 0 <= time < math.inf:
            raise InputError(f"time: expected a diffusion time of at least 0, found {time}")
        self.time = time

    def matrix(self, topology: Topology) -> Float[Tensor, "V V"]:
        return _diffusion(topology, method="heat", t=self.time)


def _diffusion(topology: Topology, **options: float | str) -> Float[Tensor, "V V"]:
    graph = skeleton_graph(topology)
    index, weight = gcn_norm(graph.edge_index, None, graph.num_nodes, dtype=torch.float64)
    return GDC().diffusion_matrix_exact(index, weight, graph.num_nodes, **options).float()


class SpatioTemporal(Operator):
    """Normalised adjacency of the whole spatio-temporal graph: bones within a segment, and the same joint one segment on."""

    def matrix(self, topology: Topology) -> Float[Tensor, "V V"]:
        return normalised_adjacency(topology)

    def forward(self, eta: Float[Tensor, "B Te V"], batch: SkeletonData) -> Float[Tensor, "B Te V"]:
        whole = adjacency_of(batch.topology, 1, "symmetric", batch.segments, device=eta.device)
        return (eta.flatten(1) @ whole).view_as(eta)
