"""A vector for each place: learned, as in MAMP and MaskSem, or sines and cosines over time."""

import math
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.encodings.base import Encoding
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData


class Learned(Encoding):
    """One learned vector for each joint, or for each segment.

    Joints are known by name: ``left_wrist`` is the same vector on every skeleton that has one.

    Args:
        width, joints, segments: see `Encoding`.
        over: ``joints`` or ``segments``.
    """

    def __init__(self, *, width: int, joints: tuple[str, ...], segments: int, over: Literal["joints", "segments"]) -> None:
        super().__init__()
        self.joints = joints if over == "joints" else None
        self.table = nn.Parameter(torch.empty((1, len(joints), width) if over == "joints" else (segments, 1, width)))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        if self.joints is None:
            if batch.segments != len(self.table):
                raise InputError(f"Learned: expected {len(self.table)} segments, found {batch.segments}")
            return self.table
        wanted = batch.topology.joints
        if wanted == self.joints:
            return self.table
        place = {joint: i for i, joint in enumerate(self.joints)}
        if lacking := [joint for joint in wanted if joint not in place]:
            raise InputError(
                f"model.encodings: Learned has no vector for {', '.join(lacking)} of {batch.topology.name}; expected joints "
                "that the encoder was trained on, or encodings of the graph alone (--model.encodings of configs/encodings)"
            )
        return self.table[:, [place[joint] for joint in wanted]]


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def sinusoids(positions: int, width: int, base: float = 10_000.0) -> Float[Tensor, "positions width"]:
    """Sines in the first half of the width, cosines in the second, at wavelengths from 2 pi to 2 pi ``base``."""
    half = (width + 1) // 2
    frequency = torch.exp(-math.log(base) * torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(positions, dtype=torch.float64)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :width].float()


class Sinusoidal(Encoding):
    """Sinusoidal encoding of the segment; no parameters, no joint (Vaswani et al., NeurIPS 2017, section 3.5)."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        return sinusoids(batch.segments, self.width).to(batch.joint.device)[:, None, :]
