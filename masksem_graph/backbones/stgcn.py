"""Convolution over the skeleton, then over time (after ST-GCN; Yan et al., AAAI 2018)."""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch_geometric.nn import RGCNConv

from masksem_graph.backbones.base import Masked
from masksem_graph.backbones.drop_path import DropPath, block_rates
from masksem_graph.backbones.message_passing import ConvBackbone
from masksem_graph.edges import OUTWARD, STEPS
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData

RELATIONS = 3  # an edge leads towards the centre, across, or away from it


class STGCNBlock(nn.Module):
    """``h + time(gelu(norm(space(norm(h)))))``."""

    def __init__(self, *, width: int, kernel: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.space = RGCNConv(width, width, num_relations=RELATIONS)
        self.norm2 = nn.LayerNorm(width)
        self.time = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.drop_path = DropPath(drop_path)

    def forward(
        self, h: Float[Tensor, "B n D"], edge_index: Int64[Tensor, "2 E"], relation: Int64[Tensor, " E"], graph: SkeletonData
    ) -> Float[Tensor, "B n D"]:
        mixed = self.space(self.norm1(h).flatten(0, 1), edge_index, relation).view_as(h)
        return h + self.drop_path(self._over_time(F.gelu(self.norm2(mixed)), graph))

    def _over_time(self, h: Float[Tensor, "B n D"], graph: SkeletonData) -> Float[Tensor, "B n D"]:
        """Each joint by itself. A node that is not there is zero, as what lies beyond a clip's ends."""
        (bodies, _, width), whole = h.shape, h
        if graph.nodes is not None:
            places = graph.nodes[..., None].expand(-1, -1, width)
            whole = h.new_zeros(bodies, graph.layout.nodes, width).scatter(1, places, h)
        rows = whole.view(bodies, graph.segments, -1, width).permute(0, 2, 3, 1)
        out = self.time(rows.flatten(0, 1)).view_as(rows).permute(0, 3, 1, 2).flatten(1, 2)
        return out if graph.nodes is None else out.gather(1, places)


class STGCN(ConvBackbone):
    """Blocks of `torch_geometric.nn.RGCNConv` within each segment and a convolution over the segments of each joint.

    As in the paper's spatial partitioning, neighbours nearer to the centre, further from it and as far each have a weight
    matrix of their own. A node's message is the mean over the neighbours of a kind. Norms are layer norms, before each step.

    Args:
        width: D.
        depth: blocks.
        kernel: segments that a convolution over time spans; odd.
        hops, kept_hops: reach of the edges over bones alone, see `MessagePassingBackbone`.
        masked: as there; a convolution is at home on the whole grid.
        drop_path: rate of stochastic depth in the last block, growing linearly from 0 in the first.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int = 8,
        kernel: int = 5,
        hops: int = 1,
        kept_hops: int = 4,
        masked: Masked = "token",
        drop_path: float = 0.0,
    ) -> None:
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"kernel: expected an odd number of segments, found {kernel}")
        blocks = (STGCNBlock(width=width, kernel=kernel, drop_path=rate) for rate in block_rates(depth, drop_path))
        super().__init__(width=width, blocks=blocks, hops=hops, kept_hops=kept_hops, masked=masked)

    def tell(self, graph: SkeletonData) -> tuple[Any, ...]:
        within = graph.edge_attr[:, STEPS] == 0
        return graph.edge_index[:, within], graph.edge_attr[within, OUTWARD].sign() + 1, graph
