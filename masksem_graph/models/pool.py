"""Pooling node features into one feature a sequence."""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Pool = Literal["present", "all_slots"]
"""What the mean over a sequence's bodies is taken over: those that are there, or all slots of the community's arrays."""

ReadOut = Literal["mean", "joints"]
"""What a probe reads: the mean over nodes and bodies, or the mean over time with joints kept apart, then over bodies."""

SLOTS = 2  # places for bodies that a clip has in the community's arrays, taken or not


def body_mean(
    values: Float[Tensor, "B K"], sequence: Int64[Tensor, " B"], sequences: int, absent: Float[Tensor, "1 K"] | None = None
) -> tuple[Float[Tensor, "S K"], Float[Tensor, "S 1"]]:
    """Mean over the bodies of each sequence, and their number.

    Args:
        values: of each body.
        sequence: the sequence of each body.
        sequences: S.
        absent: the value of a slot that is not taken; None leaves those out.
    """
    total = values.new_zeros(sequences, values.shape[1]).index_add_(0, sequence, values)
    bodies = values.new_zeros(sequences).index_add_(0, sequence, torch.ones_like(values[:, 0]))[:, None]
    if absent is not None:
        free = (SLOTS - bodies).clamp(min=0)
        total, bodies = total + free * absent, bodies + free
    return total / bodies.clamp(min=1), bodies


def sequence_mean(
    features: Float[Tensor, "B N D"],
    sequence: Int64[Tensor, " B"],
    sequences: int,
    absent: Float[Tensor, "1 N D"] | None = None,
) -> tuple[Float[Tensor, "S D"], Float[Tensor, "S 1"]]:
    """`body_mean` of the mean feature over the nodes; ``absent`` are `SkeletonEncoder.absent_features`."""
    return body_mean(features.mean(1), sequence, sequences, None if absent is None else absent.mean(1))


def pooled(
    features: Float[Tensor, "B N D"],
    sequence: Int64[Tensor, " B"],
    sequences: int,
    absent: Float[Tensor, "1 N D"] | None = None,
    *,
    pool: ReadOut,
    joints: int,
) -> Float[Tensor, "S P"]:
    """One vector a sequence: [S, D], or [S, V * D] with joints end to end; see `ReadOut` and `sequence_mean`."""
    if pool == "mean":
        return sequence_mean(features, sequence, sequences, absent)[0]
    nothing = None if absent is None else _by_joint(absent, joints)
    return body_mean(_by_joint(features, joints), sequence, sequences, nothing)[0]


def _by_joint(features: Float[Tensor, "B N D"], joints: int) -> Float[Tensor, "B P"]:
    return features.unflatten(1, (-1, joints)).mean(1).flatten(1)
