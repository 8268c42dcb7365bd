"""What predicting zero costs: the level that an error is to be held against."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from masksem_graph.graph import SkeletonData, nodes_of, to_segments
from masksem_graph.targets import Target, standardise


@torch.no_grad()
def zero_levels(target: Target, batches: Iterable[SkeletonData], segment: int) -> dict[str, float]:
    """Mean squared value of each standardised target over all nodes of some clips.

    With the unbiased variance over the l * C numbers of a node it is at most 1 - 1 / (l * C), and less where nodes hardly
    move and the eps of the standardisation matters.

    Args:
        target: what is predicted.
        batches: the clips.
        segment: l.
    """
    total: dict[str, torch.Tensor] = {}
    nodes = 0
    for batch in batches:
        for name, values in target.values(batch).items():
            standard = standardise(to_segments(nodes_of(values, batch.topology), segment)).double()
            total[name] = standard.square().mean(-1).sum() + total.get(name, 0)
        nodes += len(batch.x)
    return {name: (value / max(nodes, 1)).item() for name, value in total.items()}
