"""Attention biased by distance in the graph (Graphormer; Ying et al., NeurIPS 2021, Eq. 6)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.encodings.base import AttentionBias
from masksem_graph.operators import hop_distance
from masksem_graph.topology import Topology


class HopBias(AttentionBias):
    """A learned number for each head and distance, the same in all blocks and 0 at the start.

    The shortest path between two nodes of the spatio-temporal graph is bones and steps in time, in any order; here the bones
    and the steps each have numbers of their own, which add up.

    Args:
        heads: of the attention.
        topology: the skeleton.
        segments: Te.
        hops: joints further apart count as this far; the encoder then fits other skeletons too.
        steps: segments further apart count as this far.
    """

    hop_distance: Tensor
    step_distance: Tensor

    def __init__(self, *, heads: int, topology: Topology, segments: int, hops: int = 8, steps: int = 8) -> None:
        super().__init__()
        time = torch.arange(segments)
        self.register_buffer("hop_distance", hop_distance(topology).clamp(max=hops), persistent=False)
        self.register_buffer("step_distance", (time[:, None] - time).abs().clamp(max=steps), persistent=False)
        self.over_bones = nn.Parameter(torch.zeros(hops + 1, heads))
        self.over_time = nn.Parameter(torch.zeros(steps + 1, heads))

    def forward(self, nodes: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B heads n n"]:
        bones = self.over_bones[self.hop_distance]
        time = self.over_time[self.step_distance]
        if nodes is None:
            whole = time[:, None, :, None] + bones[None, :, None, :]
            count = whole.shape[0] * whole.shape[1]
            return whole.reshape(count, count, -1).permute(2, 0, 1)[None]
        segment, joint = nodes // len(bones), nodes % len(bones)
        among = time[segment[:, :, None], segment[:, None, :]] + bones[joint[:, :, None], joint[:, None, :]]
        return among.permute(0, 3, 1, 2)
