"""Who talks to whom: edges between nodes that are few hops apart, for whole batches at once."""

from __future__ import annotations

from typing import NamedTuple

import networkx as nx
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.errors import InputError
from masksem_graph.operators import hop_distance
from masksem_graph.topology import Topology


class Edges(NamedTuple):
    """Edges between the nodes of a batch, bodies end to end, sorted by target.

    Attributes:
        pairs: source and target, torch_geometric's ``edge_index``.
        hops: bones between their joints.
        steps: segments from the source on to the target; negative where the target comes first.
        outward: bones that the target's joint is further from the topology's centre than the source's.
    """

    pairs: Int64[Tensor, "2 E"]
    hops: Int64[Tensor, " E"]
    steps: Int64[Tensor, " E"]
    outward: Int64[Tensor, " E"]


class HopEdges(nn.Module):
    """Joins nodes of the spatio-temporal graph that are at most some hops apart, over bones and time together.

    With all nodes there and ``hops=1`` this is the skeleton graph itself (`masksem_graph.graph.skeleton_edges`). Where some
    are masked, the others are joined over ``kept_hops``, so that few of them still talk: the subgraph that they induce in the
    graph of that reach.

    Args:
        topology: the skeleton.
        segments: Te.
        hops: reach where all nodes are there.
        kept_hops: reach among kept nodes.
        loops: whether a node is joined to itself.
        over_time: whether nodes of different segments are joined.
    """

    hop_distance: Tensor
    depth: Tensor

    def __init__(
        self,
        *,
        topology: Topology,
        segments: int,
        hops: int,
        kept_hops: int,
        loops: bool = False,
        over_time: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (("hops", hops), ("kept_hops", kept_hops)):
            if value < 1:
                raise InputError(f"{name}: expected at least 1, found {value}")
        self.hops, self.kept_hops = hops, kept_hops
        self.loops, self.over_time = loops, over_time
        self.nodes, self.joints = segments * len(topology), len(topology)
        depth = nx.single_source_shortest_path_length(topology.graph, topology.centre)
        self.register_buffer("hop_distance", hop_distance(topology), persistent=False)
        self.register_buffer("depth", torch.tensor([depth[joint] for joint in topology.joints]), persistent=False)
        self._largest: tuple[int, Edges] | None = None

    def forward(self, bodies: int, nodes: Int64[Tensor, "B n"] | None = None) -> Edges:
        """The edges of a batch.

        Args:
            bodies: B.
            nodes: which nodes of each body are there; None for all.
        """
        return self._whole(bodies) if nodes is None else self._among(nodes, self.kept_hops)

    def _whole(self, bodies: int) -> Edges:
        """One body's edges repeated with an offset. Those of the largest batch so far are kept: a smaller one's come first."""
        device = self.hop_distance.device
        if self._largest is None or self._largest[0] < bodies or self._largest[1].pairs.device != device:
            with torch.inference_mode(False):  # what is kept must serve training too
                one = self._among(torch.arange(self.nodes, device=device)[None], self.hops)
                self._largest = max(bodies, 1), repeat_edges(one, max(bodies, 1), self.nodes)
        known, edges = self._largest
        count = edges.hops.shape[0] // known * bodies
        return Edges(edges.pairs[:, :count], edges.hops[:count], edges.steps[:count], edges.outward[:count])

    def _among(self, nodes: Int64[Tensor, "B n"], reach: int) -> Edges:
        segment, joint = nodes // self.joints, nodes % self.joints
        # Rows are targets, columns sources.
        hops = self.hop_distance[joint[:, :, None], joint[:, None, :]]
        steps = segment[:, :, None] - segment[:, None, :]
        near = hops + steps.abs() <= reach
        if not self.over_time:
            near &= steps == 0
        if not self.loops:
            near.diagonal(dim1=1, dim2=2).fill_(False)
        body, target, source = near.nonzero(as_tuple=True)
        depth = self.depth[joint]
        return Edges(
            pairs=torch.stack([source, target]) + nodes.shape[1] * body,
            hops=hops[body, target, source],
            steps=steps[body, target, source],
            outward=depth[body, target] - depth[body, source],
        )

    @property
    def features(self) -> int:
        """How many features `encode` gives an edge."""
        return 3 * max(self.hops, self.kept_hops) + 5

    def encode(self, edges: Edges) -> Float[Tensor, "E features"]:
        """What a layer may know of an edge, one-hot: hops, steps, and whether it leads inward, across or outward."""
        reach = max(self.hops, self.kept_hops)
        hops = F.one_hot(edges.hops, reach + 1)
        steps = F.one_hot(edges.steps + reach, 2 * reach + 1)
        return torch.cat([hops, steps, F.one_hot(edges.outward.sign() + 1, 3)], 1).float()


def repeat_edges(edges: Edges, bodies: int, nodes: int) -> Edges:
    """The edges of several bodies alike, ``nodes`` nodes each."""
    offset = nodes * torch.arange(bodies, device=edges.pairs.device)
    index = (edges.pairs[:, None, :] + offset[None, :, None]).flatten(1)
    return Edges(index, edges.hops.repeat(bodies), edges.steps.repeat(bodies), edges.outward.repeat(bodies))
