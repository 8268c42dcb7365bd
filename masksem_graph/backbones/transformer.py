"""Pre-norm transformer (Vaswani et al., 2017; as in MAE and MAMP)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.backbones.base import Backbone, Masked, of_no_body
from masksem_graph.encodings.base import AttentionBiasFactory
from masksem_graph.errors import InputError
from masksem_graph.models.attention import attention
from masksem_graph.models.drop_path import DropPath
from masksem_graph.models.linear import Linear, linear, xavier_linear
from masksem_graph.topology import Topology


class Attention(nn.Module):
    """Multi-head self-attention over the nodes of a body.

    Args:
        width: D.
        heads: how many; D must be a multiple.
        dropout: of the attention weights.
    """

    def __init__(self, *, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, h: Float[Tensor, "B n D"], bias: Float[Tensor, "#B heads n n"] | None = None) -> Float[Tensor, "B n D"]:
        bodies, nodes, width = h.shape
        # The keys' bias shifts all logits of a query alike, so softmax drops it: its gradient is rounding noise, which Adam
        # would blow up to full steps, different ones for every number of processes.
        for_q, for_k, for_v = self.qkv.bias.chunk(3)
        qkv = linear(h, self.qkv.weight, torch.cat([for_q, for_k.detach(), for_v]))
        q, k, v = qkv.view(bodies, nodes, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        if h.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # The CPU's fused attention is slower in bfloat16 than in float32, its backward pass twice as slow.
            with torch.autocast("cpu", enabled=False):
                out = attention(q.float(), k.float(), v.float(), bias=bias, dropout=dropout)
        else:
            out = attention(q, k, v, bias=bias if bias is None else bias.to(q.dtype), dropout=dropout)
        return self.proj(out.transpose(1, 2).reshape(bodies, nodes, width))


class Block(nn.Module):
    """``h + attention(norm(h))``, then ``h + mlp(norm(h))``."""

    def __init__(self, *, width: int, heads: int, mlp_ratio: float, drop_path: float, dropout: float) -> None:
        super().__init__()
        hidden = round(width * mlp_ratio)
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width=width, heads=heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(Linear(width, hidden), nn.GELU(), Linear(hidden, width))
        self.drop_path = DropPath(drop_path)

    def forward(self, h: Float[Tensor, "B n D"], bias: Float[Tensor, "#B heads n n"] | None = None) -> Float[Tensor, "B n D"]:
        h = h + self.drop_path(self.attention(self.norm1(h), bias))
        return h + self.drop_path(self.mlp(self.norm2(h)))


class Transformer(Backbone):
    """Every node attends to every other node of its body.

    Args:
        width: D.
        topology: only for the bias; otherwise the skeleton comes in through the encodings.
        segments: only for the bias.
        depth: blocks.
        heads: attention heads; D must be a multiple.
        mlp_ratio: width of the MLP over D.
        bias: what is added to all blocks' attention logits, such as `masksem_graph.encodings.HopBias`; None for nothing.
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
        bias: AttentionBiasFactory | None = None,
        masked: Masked = "drop",
        drop_path: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"heads: expected a divisor of the width {width}, found {heads}")
        self.masked = masked
        rates = torch.linspace(0, drop_path, depth).tolist()
        self.blocks = nn.ModuleList(
            Block(width=width, heads=heads, mlp_ratio=mlp_ratio, drop_path=rate, dropout=dropout) for rate in rates
        )
        self.norm = nn.LayerNorm(width)
        self.bias = None if bias is None else bias(heads=heads, topology=topology, segments=segments)
        self.apply(xavier_linear)

    def forward(self, h: Float[Tensor, "B n D"], nodes: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B n D"]:
        if self.bias is not None and h.shape[0] == 0:
            return of_no_body(self, h, nodes)
        bias = None if self.bias is None else self.bias(nodes)
        for block in self.blocks:
            h = block(h, bias)
        return self.norm(h)
