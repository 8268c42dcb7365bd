"""What backbones of message passing share: what they know of an edge, and pre-norm blocks around a torch_geometric layer."""

from abc import abstractmethod
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.backbones.base import Backbone, Masked, of_no_body, xavier_linear
from masksem_graph.backbones.drop_path import DropPath, feed_forward
from masksem_graph.edges import BONES, OUTWARD, STEPS
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData


def edge_width(reach: int) -> int:
    """How many features `one_hot_edges` gives an edge."""
    return 3 * reach + 5


def one_hot_edges(edge_attr: Int64[Tensor, "E 3"], reach: int) -> Float[Tensor, "E f"]:
    """One-hot features of edges: bones, steps in time, and whether the edge leads inward, across or outward.

    Args:
        edge_attr: see `masksem_graph.edges.skeleton_graph`; zeros for a loop.
        reach: the most bones and steps, both together, that an edge spans.
    """
    bones = F.one_hot(edge_attr[:, BONES], reach + 1)
    steps = F.one_hot(edge_attr[:, STEPS] + reach, 2 * reach + 1)
    return torch.cat([bones, steps, F.one_hot(edge_attr[:, OUTWARD].sign() + 1, 3)], 1).float()


def edge_weights(edge_attr: Int64[Tensor, "E 3"]) -> Float[Tensor, " E"]:
    """1 / (bones + steps in time)."""
    return 1 / (edge_attr[:, BONES] + edge_attr[:, STEPS].abs())


class MessagePassingBackbone(Backbone):
    """A backbone on edges. A subclass writes `propagate`.

    Two nodes are joined where the bones and the steps in time between them are together at most ``hops``. Kept nodes are few
    and far between, so they are joined over ``kept_hops``.

    Args:
        hops: reach of the edges where all nodes are there.
        kept_hops: reach of the edges among kept nodes.
        masked: ``drop`` masked nodes, or put a ``token`` at their places.
    """

    def __init__(self, *, hops: int = 1, kept_hops: int = 4, masked: Masked = "drop") -> None:
        super().__init__()
        for name, value in (("hops", hops), ("kept_hops", kept_hops)):
            if value < 1:
                raise InputError(f"{name}: expected at least 1, found {value}")
        self.hops, self.kept_hops, self.masked = hops, kept_hops, masked

    @property
    def reach(self) -> int:
        """The most bones and steps in time that an edge spans."""
        return max(self.hops, self.kept_hops)

    def forward(self, h: Float[Tensor, "B n D"], batch: SkeletonData) -> Float[Tensor, "B n D"]:
        if h.shape[0] == 0:
            return of_no_body(self, h, batch)
        return self.propagate(h, batch.over(self.hops if batch.nodes is None else self.kept_hops))

    @abstractmethod
    def propagate(self, h: Float[Tensor, "B n D"], graph: SkeletonData) -> Float[Tensor, "B n D"]:
        """Features of the nodes of one body at least, with ``edge_index`` and ``edge_attr`` of the graph over the reach."""


class ConvBackbone(MessagePassingBackbone):
    """A stack of blocks, each called with [B, n, D] and what `tell` gives, and a final norm."""

    def __init__(
        self, *, width: int, blocks: Iterable[nn.Module], hops: int = 1, kept_hops: int = 4, masked: Masked = "drop"
    ) -> None:
        super().__init__(hops=hops, kept_hops=kept_hops, masked=masked)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)
        self.apply(xavier_linear)

    def propagate(self, h: Float[Tensor, "B n D"], graph: SkeletonData) -> Float[Tensor, "B n D"]:
        told = self.tell(graph)
        for block in self.blocks:
            h = block(h, *told)
        return self.norm(h)

    def tell(self, graph: SkeletonData) -> tuple[Tensor, ...]:
        """What every block is given beside the features: ``edge_index``, and here the one-hot features of each edge."""
        return graph.edge_index, one_hot_edges(graph.edge_attr, self.reach)


class ConvBlock(nn.Module):
    """``h + conv(norm(h))``, then ``h + mlp(norm(h))``: the transformer's block with a graph convolution for its attention.

    ``conv`` is a torch_geometric layer, called with node features [B * n, D] and what the block is told.
    """

    def __init__(self, *, conv: nn.Module, width: int, mlp_ratio: float = 4.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.conv, self.norm2 = nn.LayerNorm(width), conv, nn.LayerNorm(width)
        self.mlp = feed_forward(width, mlp_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, h: Float[Tensor, "B n D"], edge_index: Int64[Tensor, "2 E"], *told: Tensor) -> Float[Tensor, "B n D"]:
        mixed = self.conv(self.norm1(h).flatten(0, 1), edge_index, *told)
        h = h + self.drop_path(mixed.view_as(h))
        return h + self.drop_path(self.mlp(self.norm2(h)))
