"""The sum of several positional encodings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.encodings import EncodingFactory
from masksem_graph.graph import SkeletonData
from masksem_graph.parts import build_part


class Positions(nn.Module):
    """Adds encodings to node features, before the first block.

    Args:
        width: D.
        joints: names of all joints that the encodings are to know.
        segments: Te.
        encodings: what to sum.
    """

    def __init__(self, *, width: int, joints: tuple[str, ...], segments: int, encodings: Sequence[EncodingFactory]) -> None:
        super().__init__()
        self.encodings = nn.ModuleList(build_part(make, width=width, joints=joints, segments=segments) for make in encodings)

    def table(self, batch: SkeletonData, width: int) -> Float[Tensor, "N D"]:
        """The encoding of every node of a whole body, segment-major."""
        total = torch.zeros(batch.segments, len(batch.topology), width, device=batch.joint.device)
        for encoding in self.encodings:
            total = total + encoding(batch)
        return total.flatten(0, 1)

    def forward(self, h: Float[Tensor, "B n D"], batch: SkeletonData) -> Float[Tensor, "B n D"]:
        table = self.table(batch, h.shape[2])
        return h + (table if batch.nodes is None else table[batch.nodes])
