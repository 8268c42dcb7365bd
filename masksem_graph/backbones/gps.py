"""Local message passing beside global attention (GraphGPS; Rampášek et al., NeurIPS 2022)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch_geometric.nn import GINEConv, GPSConv

from masksem_graph.backbones.base import Masked
from masksem_graph.backbones.edges import HopEdges
from masksem_graph.backbones.message_passing import MessagePassing
from masksem_graph.errors import InputError
from masksem_graph.models.drop_path import DropPath
from masksem_graph.models.linear import Linear, xavier_linear
from masksem_graph.topology import Topology


class GPSBlock(nn.Module):
    """A `GPSConv` layer; stochastic depth leaves all of it out.

    Args:
        width: D.
        heads: of the attention.
        features: of an edge.
        dropout: of both branches' and the MLP's outputs.
        drop_path: rate of stochastic depth.
    """

    def __init__(self, *, width: int, heads: int, features: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        local = nn.Sequential(Linear(width, width), nn.GELU(), Linear(width, width))
        self.layer = GPSConv(
            width,
            GINEConv(local, train_eps=True, edge_dim=features),
            heads=heads,
            dropout=dropout,
            act="gelu",
            # Batch norm, the default, would let the bodies of a batch see each other.
            norm="layer_norm",
            norm_kwargs={"mode": "node"},
            # The bias of the keys has rounding noise for a gradient; see `masksem_graph.backbones.transformer`.
            attn_kwargs={"bias": False},
        )
        self.drop_path = DropPath(drop_path)

    def forward(
        self, h: Float[Tensor, "B n D"], pairs: Int64[Tensor, "2 E"], edges: Float[Tensor, "E f"]
    ) -> Float[Tensor, "B n D"]:
        bodies, nodes, _ = h.shape
        body = torch.arange(bodies, device=h.device).repeat_interleave(nodes)
        out = self.layer(h.flatten(0, 1), pairs, body, edge_attr=edges).view_as(h)
        return h + self.drop_path(out - h)


class GPS(MessagePassing):
    """Layers of `torch_geometric.nn.GPSConv`: GINE convolution over the edges, attention over all nodes of a body.

    Args:
        width: D.
        topology: the skeleton.
        segments: Te.
        depth: layers.
        heads: attention heads; D must be a multiple.
        hops: reach of the edges where all nodes are there.
        kept_hops: reach of the edges among kept nodes.
        masked: ``drop`` masked nodes, or put a ``token`` at their places.
        drop_path: rate of stochastic depth in the last layer, growing linearly from 0 in the first.
        dropout: of both branches' and the MLP's outputs.
    """

    def __init__(
        self,
        *,
        width: int,
        topology: Topology,
        segments: int,
        depth: int = 8,
        heads: int = 8,
        hops: int = 1,
        kept_hops: int = 4,
        masked: Masked = "drop",
        drop_path: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        if width % heads:
            raise InputError(f"heads: expected a divisor of the width {width}, found {heads}")
        edges = HopEdges(topology=topology, segments=segments, hops=hops, kept_hops=kept_hops)
        super().__init__(width=width, edges=edges, masked=masked)
        for rate in torch.linspace(0, drop_path, depth).tolist():
            block = GPSBlock(width=width, heads=heads, features=edges.features, dropout=dropout, drop_path=rate)
            self.blocks.append(block)
        self.apply(xavier_linear)
