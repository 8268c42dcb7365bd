"""Several encodings together: summed, or side by side."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.encodings.base import Encoding, EncodingFactory
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.parts import build_part


class Positions(nn.Module):
    """Adds the sum of encodings to node features, before the first block; see `Encoding` for the arguments."""

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


class Concatenate(Encoding):
    """Several encodings, each in its own share of the width; the first ones get what does not divide.

    A list of encodings is a sum: all write to all of the width.

    Args:
        width, joints, segments: see `Encoding`.
        parts: the encodings.
    """

    def __init__(self, *, width: int, joints: tuple[str, ...], segments: int, parts: list[EncodingFactory]) -> None:
        super().__init__()
        if not 1 <= len(parts) <= width:
            raise InputError(f"parts: expected 1 to {width} encodings, as many as the width at most, found {len(parts)}")
        share, rest = divmod(width, len(parts))
        self.parts = nn.ModuleList(
            build_part(part, width=share + (i < rest), joints=joints, segments=segments) for i, part in enumerate(parts)
        )

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        grid = (batch.segments, len(batch.topology))
        return torch.cat([part(batch).expand(*grid, -1) for part in self.parts], -1)
