"""Pre-norm transformers (Vaswani et al., 2017; as in MAE and MAMP), of all nodes, or of masked nodes that ask visible ones."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.backbones.base import Backbone, Masked, check_heads, of_no_body, xavier_linear
from masksem_graph.backbones.drop_path import DropPath, block_rates, feed_forward
from masksem_graph.encodings.base import AttentionBiasFactory
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData


class Attention(nn.Module):
    """Multi-head self-attention over the nodes of a body; ``dropout`` is of the attention weights."""

    def __init__(self, *, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, h: Float[Tensor, "B n D"], bias: Float[Tensor, "#B heads n n"] | None = None) -> Float[Tensor, "B n D"]:
        bodies, nodes, width = h.shape
        # The keys' bias shifts all logits of a query alike, so softmax drops it: its gradient is rounding noise, which Adam
        # would blow up to full steps, different ones for every number of processes.
        for_q, for_k, for_v = self.qkv.bias.chunk(3)
        qkv = F.linear(h, self.qkv.weight, torch.cat([for_q, for_k.detach(), for_v]))
        # Parted before the axes are turned: their gradients are then stacked where they belong, without another copy.
        q, k, v = (part.transpose(1, 2) for part in qkv.view(bodies, nodes, 3, self.heads, width // self.heads).unbind(2))
        dropout = self.dropout if self.training else 0.0
        if h.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # The backward pass of the CPU's fused attention is up to four times as slow in bfloat16 as in float32.
            with torch.autocast("cpu", enabled=False):
                out = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), bias, dropout_p=dropout)
        else:
            bias = None if bias is None else bias.to(q.dtype)
            out = F.scaled_dot_product_attention(q, k, v, bias, dropout_p=dropout)
        return self.proj(out.transpose(1, 2).reshape(bodies, nodes, width))


class Block(nn.Module):
    """``h + attention(norm(h))``, then ``h + mlp(norm(h))``."""

    def __init__(self, *, width: int, heads: int, mlp_ratio: float, drop_path: float, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width=width, heads=heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = feed_forward(width, mlp_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, h: Float[Tensor, "B n D"], bias: Float[Tensor, "#B heads n n"] | None = None) -> Float[Tensor, "B n D"]:
        h = h + self.drop_path(self.attention(self.norm1(h), bias))
        return h + self.drop_path(self.mlp(self.norm2(h)))


class Transformer(Backbone):
    """Every node attends to every other node of its body. Without a bias, the skeleton comes in through the encodings alone.

    Args:
        width: D.
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
        depth: int = 8,
        heads: int = 8,
        mlp_ratio: float = 4.0,
        bias: AttentionBiasFactory | None = None,
        masked: Masked = "drop",
        drop_path: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads(width, heads)
        self.masked = masked
        self.blocks = nn.ModuleList(
            Block(width=width, heads=heads, mlp_ratio=mlp_ratio, drop_path=rate, dropout=dropout)
            for rate in block_rates(depth, drop_path)
        )
        self.norm = nn.LayerNorm(width)
        self.bias = None if bias is None else bias(heads=heads)
        self.apply(xavier_linear)

    def forward(self, h: Float[Tensor, "B n D"], batch: SkeletonData) -> Float[Tensor, "B n D"]:
        if h.shape[0] == 0:
            return of_no_body(self, h, batch)
        bias = None if self.bias is None else self.bias(batch)
        for block in self.blocks:
            h = block(h, bias)
        return self.norm(h)


class CrossAttention(nn.Module):
    """Multi-head attention of some nodes to others of the same body."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # No bias for keys: softmax drops it, see `Attention`.
        self.q, self.k, self.v = nn.Linear(width, width), nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, asking: Float[Tensor, "B m D"], seen: Float[Tensor, "B n D"]) -> Float[Tensor, "B m D"]:
        q, k, v = (
            layer(h).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, h in ((self.q, asking), (self.k, seen), (self.v, seen))
        )
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class CrossBlock(nn.Module):
    """``h + attention(norm(h), seen)``, then ``h + mlp(norm(h))``."""

    def __init__(self, *, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CrossAttention(width=width, heads=heads)
        self.mlp = feed_forward(width, mlp_ratio)

    def forward(self, h: Float[Tensor, "B m D"], seen: Float[Tensor, "B n D"]) -> Float[Tensor, "B m D"]:
        h = h + self.attention(self.norm1(h), seen)
        return h + self.mlp(self.norm2(h))


class CrossTransformer(Backbone):
    """Decoder blocks in which masked nodes attend to the visible nodes of their body, and to nothing else.

    So the prediction at a node does not depend on which other nodes are predicted, and the cost follows their number: see
    ``predicted`` of `masksem_graph.tasks.pretrain.MethodConfig`. Source: CrossMAE (Fu et al., arXiv 2401.14391). Every block
    attends to the encoder's last features.

    Args:
        width: D.
        depth: blocks.
        heads: attention heads; D must be a multiple.
        mlp_ratio: width of the MLP over D.
    """

    def __init__(self, *, width: int, depth: int = 1, heads: int = 4, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        check_heads(width, heads)
        self.blocks = nn.ModuleList(CrossBlock(width=width, heads=heads, mlp_ratio=mlp_ratio) for _ in block_rates(depth, 0))
        self.norm = nn.LayerNorm(width)
        self.apply(xavier_linear)

    def forward(
        self, h: Float[Tensor, "B m D"], batch: SkeletonData, seen: Float[Tensor, "B n D"] | None = None
    ) -> Float[Tensor, "B m D"]:
        """Features of the asking nodes, given those of the visible ones, encodings added to both; the graph is not looked at.

        Raises:
            InputError: there are no visible nodes apart, as in an encoder.
        """
        if seen is None:
            raise InputError("model.backbone: CrossTransformer is a decoder; expected it as model.decoder")
        for block in self.blocks:
            h = block(h, seen)
        return self.norm(h)
