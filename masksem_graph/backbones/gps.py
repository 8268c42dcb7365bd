"""Local message passing beside global attention (GraphGPS; Rampášek et al., NeurIPS 2022)."""

from functools import partial

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch_geometric.nn import GINEConv, GPSConv

from masksem_graph.backbones.base import Masked, check_heads
from masksem_graph.backbones.drop_path import DropPath, block_rates, feed_forward
from masksem_graph.backbones.message_passing import ConvBackbone, edge_width


class GPSBlock(nn.Module):
    """What `torch_geometric.nn.GPSConv` computes. Stochastic depth leaves all of it out."""

    def __init__(self, *, width: int, heads: int, edge_dim: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.layer = GPSConv(
            width,
            GINEConv(feed_forward(width, 1), train_eps=True, edge_dim=edge_dim),
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
        self, h: Float[Tensor, "B n D"], edge_index: Int64[Tensor, "2 E"], edges: Float[Tensor, "E f"]
    ) -> Float[Tensor, "B n D"]:
        # `GPSConv.forward` without its `to_dense_batch`, which waits for the device to say how large the largest body is.
        layer, x = self.layer, h.flatten(0, 1)
        dropped = partial(F.dropout, p=layer.dropout, training=layer.training)
        local = layer.norm1(dropped(layer.conv(x, edge_index, edge_attr=edges)) + x)
        attended = layer.norm2(dropped(layer.attn(h, h, h, need_weights=False)[0].flatten(0, 1)) + x)
        both = local + attended
        out = layer.norm3(both + layer.mlp(both)).view_as(h)
        return h + self.drop_path(out - h)


class GPS(ConvBackbone):
    """Layers of `torch_geometric.nn.GPSConv`: GINE convolution over the edges, attention over all nodes of a body.

    Args:
        width: D.
        depth: layers.
        heads: attention heads; D must be a multiple.
        hops, kept_hops, masked: see `MessagePassingBackbone`.
        drop_path: rate of stochastic depth in the last layer, growing linearly from 0 in the first.
        dropout: of both branches' and the MLP's outputs.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int = 8,
        heads: int = 8,
        hops: int = 1,
        kept_hops: int = 4,
        masked: Masked = "drop",
        drop_path: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        check_heads(width, heads)
        edge_dim = edge_width(max(hops, kept_hops))
        blocks = (
            GPSBlock(width=width, heads=heads, edge_dim=edge_dim, dropout=dropout, drop_path=rate)
            for rate in block_rates(depth, drop_path)
        )
        super().__init__(width=width, blocks=blocks, hops=hops, kept_hops=kept_hops, masked=masked)
