"""Graph convolutional network (Kipf and Welling, ICLR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.nn import GCNConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from masksem_graph.backbones.base import Masked
from masksem_graph.backbones.drop_path import block_rates
from masksem_graph.backbones.edge_features import edge_weights
from masksem_graph.backbones.message_passing import ConvBackbone, ConvBlock
from masksem_graph.graph import SkeletonData


class GCN(ConvBackbone):
    r"""Pre-norm blocks of `torch_geometric.nn.GCNConv` and an MLP.

    A convolution is :math:`D^{-1/2} (A + I) D^{-1/2} H W` (Eq. 2 of the paper). Two nodes at d hops, over bones and time
    together, have weight 1 / d in A.

    Args:
        width: D.
        depth: blocks.
        mlp_ratio: width of the MLP over D.
        hops: reach of the edges where all nodes are there.
        kept_hops: reach of the edges among kept nodes.
        masked: ``drop`` masked nodes, or put a ``token`` at their places.
        drop_path: rate of stochastic depth in the last block, growing linearly from 0 in the first.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int = 8,
        mlp_ratio: float = 4.0,
        hops: int = 1,
        kept_hops: int = 4,
        masked: Masked = "drop",
        drop_path: float = 0.0,
    ) -> None:
        blocks = (
            ConvBlock(conv=GCNConv(width, width, normalize=False), width=width, mlp_ratio=mlp_ratio, drop_path=rate)
            for rate in block_rates(depth, drop_path)
        )
        super().__init__(width=width, blocks=blocks, hops=hops, kept_hops=kept_hops, masked=masked)

    def tell(self, graph: SkeletonData) -> tuple[Tensor, ...]:
        # Once for all blocks; the layer by itself would normalise in each.
        return gcn_norm(graph.edge_index, edge_weights(graph.edge_attr), graph.body.shape[0], dtype=torch.float32)
