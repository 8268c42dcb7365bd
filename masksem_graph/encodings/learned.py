"""A learned vector for each place, as in MAMP and MaskSem."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.encodings.base import Encoding
from masksem_graph.topology import Topology


class Learned(Encoding):
    """One learned vector for each joint, or for each segment.

    Args:
        width: D.
        topology: gives V.
        segments: Te.
        over: ``joints`` or ``segments``.
    """

    def __init__(self, *, width: int, topology: Topology, segments: int, over: Literal["joints", "segments"]) -> None:
        super().__init__()
        shape = (1, len(topology), width) if over == "joints" else (segments, 1, width)
        self.joint_numbered = over == "joints"  # type: ignore[misc]
        self.table = nn.Parameter(torch.empty(shape))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self) -> Float[Tensor, "#Te #V D"]:
        return self.table
