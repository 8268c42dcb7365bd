"""Attention biased by distance in the graph (Graphormer; Ying et al., NeurIPS 2021, Eq. 6)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.edges import hop_distance
from masksem_graph.encodings.base import AttentionBias
from masksem_graph.graph import SkeletonData


class HopBias(AttentionBias):
    """A learned number for each head and distance, the same in all blocks and 0 at the start.

    The shortest path between two nodes of the spatio-temporal graph is bones and steps in time, in any order; here the bones
    and the steps each have numbers of their own, which add up.

    Args:
        heads: of the attention.
        hops: joints further apart count as this far; the encoder then fits other skeletons too.
        steps: segments further apart count as this far.
    """

    def __init__(self, *, heads: int, hops: int = 8, steps: int = 8) -> None:
        super().__init__()
        self.over_bones = nn.Parameter(torch.zeros(hops + 1, heads))
        self.over_time = nn.Parameter(torch.zeros(steps + 1, heads))

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#B heads n n"]:
        device = self.over_bones.device
        between = hop_distance(batch.topology, device=device).clamp(max=len(self.over_bones) - 1)
        moments = torch.arange(batch.segments, device=device)
        apart = (moments[:, None] - moments).abs().clamp(max=len(self.over_time) - 1)
        bones, time = self.over_bones[between], self.over_time[apart]
        if batch.nodes is None:
            whole = time[:, None, :, None] + bones[None, :, None, :]
            return whole.flatten(0, 1).flatten(1, 2).permute(2, 0, 1)[None]
        segment, joint = batch.nodes // len(bones), batch.nodes % len(bones)
        among = time[segment[:, :, None], segment[:, None, :]] + bones[joint[:, :, None], joint[:, None, :]]
        return among.permute(0, 3, 1, 2)
