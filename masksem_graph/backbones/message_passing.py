"""What backbones of message passing share: the edges, pre-norm blocks around a torch_geometric layer, the final norm."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.backbones.base import Backbone, Masked, of_no_body
from masksem_graph.backbones.edges import Edges, HopEdges
from masksem_graph.models.drop_path import DropPath
from masksem_graph.models.linear import Linear


class ConvBlock(nn.Module):
    """``h + conv(norm(h))``, then ``h + mlp(norm(h))``: the transformer's block with a graph convolution for its attention.

    Args:
        conv: a torch_geometric layer; called with node features [B * n, D], ``edge_index`` and what else the block is told.
        width: D.
        mlp_ratio: width of the MLP over D.
        drop_path: rate of stochastic depth.
    """

    def __init__(self, *, conv: nn.Module, width: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        hidden = round(width * mlp_ratio)
        self.norm1 = nn.LayerNorm(width)
        self.conv = conv
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(Linear(width, hidden), nn.GELU(), Linear(hidden, width))
        self.drop_path = DropPath(drop_path)

    def forward(self, h: Float[Tensor, "B n D"], pairs: Int64[Tensor, "2 E"], *told: Tensor) -> Float[Tensor, "B n D"]:
        mixed = self.conv(self.norm1(h).flatten(0, 1), pairs, *told)
        h = h + self.drop_path(mixed.view_as(h))
        return h + self.drop_path(self.mlp(self.norm2(h)))


class MessagePassing(Backbone):
    """Blocks on edges. A subclass fills `blocks` and says what they are told of the edges.

    Args:
        width: D.
        edges: between which nodes messages pass.
        masked: masked nodes are left out, and messages pass among the kept ones; or a token stands at their places, and
            messages pass over the whole graph.
    """

    def __init__(self, *, width: int, edges: HopEdges, masked: Masked) -> None:
        super().__init__()
        self.edges, self.masked = edges, masked
        self.blocks = nn.ModuleList()
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Float[Tensor, "B n D"], nodes: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B n D"]:
        if h.shape[0] == 0:
            return of_no_body(self, h, nodes)
        edges = self.edges(h.shape[0], nodes)
        told = self.tell(edges, h.shape[0] * h.shape[1])
        for block in self.blocks:
            h = block(h, *told)
        return self.norm(h)

    def tell(self, edges: Edges, nodes: int) -> tuple[Tensor, ...]:
        """What every block is given beside the features: ``edge_index``, and here the one-hot features of each edge.

        Args:
            edges: of the batch.
            nodes: B * n.
        """
        return edges.pairs, self.edges.encode(edges)
