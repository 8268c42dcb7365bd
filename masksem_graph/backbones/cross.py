"""A light decoder: masked nodes ask the visible ones, and not each other (CrossMAE, arXiv 2401.14391)."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.backbones.base import Backbone, check_heads, xavier_linear
from masksem_graph.backbones.drop_path import block_rates, hidden_width
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData


class CrossAttention(nn.Module):
    """Multi-head attention of some nodes to others of the same body.

    Args:
        width: D.
        heads: how many; D must be a multiple.
    """

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # No bias for keys: softmax drops it (see `masksem_graph.backbones.transformer.Attention`).
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
        hidden = hidden_width(width, mlp_ratio)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CrossAttention(width=width, heads=heads)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

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
        """Features of the asking nodes.

        Args:
            h: the asking nodes, encodings added.
            batch: their graph; not looked at.
            seen: features of the visible nodes, encodings added.

        Raises:
            InputError: there are no visible nodes apart, as in an encoder.
        """
        if seen is None:
            raise InputError("model.backbone: CrossTransformer is a decoder; expected it as model.decoder")
        for block in self.blocks:
            h = block(h, seen)
        return self.norm(h)
