"""Convolution over the skeleton, then over time (after ST-GCN; Yan et al., AAAI 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch_geometric.nn import RGCNConv

from masksem_graph.backbones.base import Backbone, Masked, of_no_body
from masksem_graph.backbones.edges import HopEdges
from masksem_graph.errors import InputError
from masksem_graph.models.drop_path import DropPath
from masksem_graph.models.linear import xavier_linear
from masksem_graph.topology import Topology

RELATIONS = 3  # an edge leads towards the centre, across, or away from it


class STGCNBlock(nn.Module):
    """``h + time(gelu(norm(space(norm(h)))))``.

    Args:
        width: D.
        kernel: segments that the convolution over time spans; odd.
        drop_path: rate of stochastic depth.
    """

    def __init__(self, *, width: int, kernel: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.space = RGCNConv(width, width, num_relations=RELATIONS)
        self.norm2 = nn.LayerNorm(width)
        self.time = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.drop_path = DropPath(drop_path)

    def forward(
        self,
        h: Float[Tensor, "B n D"],
        pairs: Int64[Tensor, "2 E"],
        relation: Int64[Tensor, " E"],
        grid: tuple[int, int],
        nodes: Int64[Tensor, "B n"] | None,
    ) -> Float[Tensor, "B n D"]:
        mixed = self.space(self.norm1(h).flatten(0, 1), pairs, relation).view_as(h)
        return h + self.drop_path(self._over_time(F.gelu(self.norm2(mixed)), grid, nodes))

    def _over_time(
        self, h: Float[Tensor, "B n D"], grid: tuple[int, int], nodes: Int64[Tensor, "B n"] | None
    ) -> Float[Tensor, "B n D"]:
        """Each joint by itself. A node that is not there is zero, as what lies beyond a clip's ends."""
        (segments, joints), (bodies, _, width) = grid, h.shape
        if nodes is None:
            rows = h.view(bodies, segments, joints, width).permute(0, 2, 3, 1).flatten(0, 1)
            return self.time(rows).view(bodies, joints, width, segments).permute(0, 3, 1, 2).flatten(1, 2)
        places = nodes[..., None].expand(-1, -1, width)
        whole = h.new_zeros(bodies, segments * joints, width).scatter(1, places, h)
        return self._over_time(whole, grid, None).gather(1, places)


class STGCN(Backbone):
    """Blocks of `torch_geometric.nn.RGCNConv` within each segment and a convolution over the segments of each joint.

    As in the paper's spatial partitioning, neighbours nearer to the centre, further from it and as far each have a weight
    matrix of their own; a node's message is the mean over the neighbours of a kind. Norms are layer norms, before each step.

    Args:
        width: D.
        topology: the skeleton.
        segments: Te.
        depth: blocks.
        kernel: segments that a convolution over time spans; odd.
        hops: reach of the edges over bones where all nodes are there.
        kept_hops: reach of the edges over bones among kept nodes.
        masked: ``drop`` masked nodes, or put a ``token`` at their places; a convolution is at home on the whole grid.
        drop_path: rate of stochastic depth in the last block, growing linearly from 0 in the first.
    """

    def __init__(
        self,
        *,
        width: int,
        topology: Topology,
        segments: int,
        depth: int = 8,
        kernel: int = 5,
        hops: int = 1,
        kept_hops: int = 4,
        masked: Masked = "token",
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"kernel: expected an odd number of segments, found {kernel}")
        self.masked, self.grid = masked, (segments, len(topology))
        self.edges = HopEdges(topology=topology, segments=segments, hops=hops, kept_hops=kept_hops, over_time=False)
        rates = torch.linspace(0, drop_path, depth).tolist()
        self.blocks = nn.ModuleList(STGCNBlock(width=width, kernel=kernel, drop_path=rate) for rate in rates)
        self.norm = nn.LayerNorm(width)
        self.apply(xavier_linear)

    def forward(self, h: Float[Tensor, "B n D"], nodes: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B n D"]:
        if h.shape[0] == 0:
            return of_no_body(self, h, nodes)
        edges = self.edges(h.shape[0], nodes)
        relation = edges.outward.sign() + 1
        for block in self.blocks:
            h = block(h, edges.pairs, relation, self.grid, nodes)
        return self.norm(h)
