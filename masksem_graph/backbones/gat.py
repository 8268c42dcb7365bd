"""Graph attention network in its second version (GATv2; Brody et al., ICLR 2022)."""

from __future__ import annotations

import torch
from torch_geometric.nn import GATv2Conv

from masksem_graph.backbones.base import Masked
from masksem_graph.backbones.edges import HopEdges
from masksem_graph.backbones.message_passing import ConvBlock, MessagePassing
from masksem_graph.errors import InputError
from masksem_graph.models.linear import xavier_linear
from masksem_graph.topology import Topology


class GAT(MessagePassing):
    """Pre-norm blocks of `torch_geometric.nn.GATv2Conv` and an MLP.

    A node attends to its neighbours and itself (Eq. 7 of the paper); the layer knows each edge's hops, its steps in time, and
    whether it leads towards the centre of the body.

    Args:
        width: D.
        topology: the skeleton.
        segments: Te.
        depth: blocks.
        heads: attention heads; D must be a multiple.
        mlp_ratio: width of the MLP over D.
        hops: reach of the edges where all nodes are there.
        kept_hops: reach of the edges among kept nodes.
        masked: ``drop`` masked nodes, or put a ``token`` at their places.
        drop_path: rate of stochastic depth in the last block, growing linearly from 0 in the first.
        dropout: of the attention weights.
    """

    def __init__(
        self,
        *,
        width: int,
        topology: Topology,
        segments: int,
        depth: int = 8,
        heads: int = 8,
        mlp_ratio: float = 4.0,
        hops: int = 1,
        kept_hops: int = 4,
        masked: Masked = "drop",
        drop_path: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        if width % heads:
            raise InputError(f"heads: expected a divisor of the width {width}, found {heads}")
        edges = HopEdges(topology=topology, segments=segments, hops=hops, kept_hops=kept_hops, loops=True)
        super().__init__(width=width, edges=edges, masked=masked)
        for rate in torch.linspace(0, drop_path, depth).tolist():
            conv = GATv2Conv(
                width, width // heads, heads=heads, dropout=dropout, add_self_loops=False, edge_dim=edges.features
            )
            self.blocks.append(ConvBlock(conv=conv, width=width, mlp_ratio=mlp_ratio, drop_path=rate))
        self.apply(xavier_linear)
