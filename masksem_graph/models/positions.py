"""The sum of several positional encodings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.encodings import Encoding, EncodingFactory
from masksem_graph.topology import Topology


class Positions(nn.Module):
    """Adds encodings to node features, before the first block.

    Args:
        width: D.
        topology: the skeleton.
        segments: Te.
        encodings: what to sum.
    """

    def __init__(self, *, width: int, topology: Topology, segments: int, encodings: Sequence[EncodingFactory]) -> None:
        super().__init__()
        self.shape = (segments, len(topology), width)
        self.encodings = nn.ModuleList(make(width=width, topology=topology, segments=segments) for make in encodings)

    @property
    def joint_numbered(self) -> list[str]:
        """Names of the encodings that hold parameters for a joint's number."""
        return [type(e).__name__ for e in self.encodings if isinstance(e, Encoding) and e.joint_numbered]

    def table(self) -> Float[Tensor, "N D"]:
        """The encoding of every node, segment-major."""
        device = next((p.device for p in (*self.parameters(), *self.buffers())), None)
        total = torch.zeros(self.shape, device=device)
        for encoding in self.encodings:
            total = total + encoding()
        return total.reshape(-1, self.shape[-1])

    def forward(self, h: Float[Tensor, "B n D"], nodes: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B n D"]:
        table = self.table()
        return h + (table if nodes is None else table[nodes])
