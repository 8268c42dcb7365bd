"""Pre-norm blocks of graph convolutions: GCN (Kipf and Welling, ICLR 2017) and GATv2 (Brody et al., ICLR 2022)."""

import torch
from torch import Tensor
from torch_geometric.nn import GATv2Conv, GCNConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import add_self_loops

from masksem_graph.backbones.base import Masked, check_heads
from masksem_graph.backbones.drop_path import block_rates
from masksem_graph.backbones.message_passing import ConvBackbone, ConvBlock, edge_weights, edge_width, one_hot_edges
from masksem_graph.graph import SkeletonData


class GCN(ConvBackbone):
    r"""Pre-norm blocks of `torch_geometric.nn.GCNConv` and an MLP.

    A convolution is :math:`D^{-1/2} (A + I) D^{-1/2} H W` (Eq. 2 of the paper). Two nodes at d hops, over bones and time
    together, have weight 1 / d in A.

    Args:
        width: D.
        depth: blocks.
        mlp_ratio: width of the MLP over D.
        hops, kept_hops, masked: see `MessagePassingBackbone`.
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


class GAT(ConvBackbone):
    """Pre-norm blocks of `torch_geometric.nn.GATv2Conv` and an MLP.

    A node attends to its neighbours and itself (Eq. 7 of the paper). The layer knows each edge's bones, its steps in time, and
    whether it leads towards the centre of the body.

    Args:
        width: D.
        depth: blocks.
        heads: attention heads; D must be a multiple.
        mlp_ratio: width of the MLP over D.
        hops, kept_hops, masked: see `MessagePassingBackbone`.
        drop_path: rate of stochastic depth in the last block, growing linearly from 0 in the first.
        dropout: of the attention weights.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int = 8,
        heads: int = 8,
        mlp_ratio: float = 4.0,
        hops: int = 1,
        kept_hops: int = 4,
        masked: Masked = "drop",
        drop_path: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        check_heads(width, heads)
        # The loops are there already, once for all blocks.
        layer = {"heads": heads, "dropout": dropout, "add_self_loops": False, "edge_dim": edge_width(max(hops, kept_hops))}
        blocks = (
            ConvBlock(conv=GATv2Conv(width, width // heads, **layer), width=width, mlp_ratio=mlp_ratio, drop_path=rate)
            for rate in block_rates(depth, drop_path)
        )
        super().__init__(width=width, blocks=blocks, hops=hops, kept_hops=kept_hops, masked=masked)

    def tell(self, graph: SkeletonData) -> tuple[Tensor, ...]:
        index, attributes = add_self_loops(graph.edge_index, graph.edge_attr, fill_value=0, num_nodes=graph.body.shape[0])
        return index, one_hot_edges(attributes, self.reach)
