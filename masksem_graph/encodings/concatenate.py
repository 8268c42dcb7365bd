"""Encodings side by side."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.encodings.base import Encoding, EncodingFactory
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.parts import build_part


class Concatenate(Encoding):
    """Several encodings, each in its own share of the width; the first ones get what does not divide.

    A list of encodings is a sum: all write to all of the width.

    Args:
        width: D.
        joints, segments: given to the parts that ask for them.
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
