"""Encodings side by side."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.encodings.base import Encoding, EncodingFactory
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology


class Concatenate(Encoding):
    """Several encodings, each in its own share of the width; the first ones get what does not divide.

    A list of encodings is a sum: all write to all of the width.

    Args:
        width: D.
        topology: the skeleton.
        segments: Te.
        parts: the encodings.
    """

    def __init__(self, *, width: int, topology: Topology, segments: int, parts: list[EncodingFactory]) -> None:
        super().__init__()
        if not 1 <= len(parts) <= width:
            raise InputError(f"parts: expected 1 to {width} encodings, as many as the width at most, found {len(parts)}")
        share, rest = divmod(width, len(parts))
        widths = [share + (i < rest) for i in range(len(parts))]
        built = [make(width=w, topology=topology, segments=segments) for make, w in zip(parts, widths, strict=True)]
        self.parts = nn.ModuleList(built)
        self.grid = (segments, len(topology))
        self.joint_numbered = any(part.joint_numbered for part in built)  # type: ignore[misc]

    def forward(self) -> Float[Tensor, "#Te #V D"]:
        values = [part() for part in self.parts]
        return torch.cat([value.expand(*self.grid, -1) for value in values], -1)
