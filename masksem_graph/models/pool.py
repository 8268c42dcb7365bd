"""Pooling node features into one feature a sequence."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def sequence_mean(
    features: Float[Tensor, "B N D"], sequence: Int64[Tensor, " B"], sequences: int
) -> tuple[Float[Tensor, "S D"], Float[Tensor, "S 1"]]:
    """Mean feature over all nodes of all bodies of each sequence, and the number of bodies that went into it."""
    per_body = features.mean(1)
    total = per_body.new_zeros(sequences, per_body.shape[1]).index_add_(0, sequence, per_body)
    bodies = per_body.new_zeros(sequences).index_add_(0, sequence, torch.ones_like(per_body[:, 0]))[:, None]
    return total / bodies.clamp(min=1), bodies
