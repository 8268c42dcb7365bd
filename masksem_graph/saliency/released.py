"""Grad-CAM as the authors of MaskSem released it, which is not what their paper says."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.masking.scores import Evidence, Scores
from masksem_graph.models.pool import sequence_mean
from masksem_graph.saliency.gradcam import similarity_gradient

DIVISOR = 1e-8


def released_gradcam(
    features: Float[Tensor, "B N D"],
    reference: Float[Tensor, "R N D"],
    sequence: Int64[Tensor, " B"],
    sequences: int,
    batch_size: int,
    absent: Float[Tensor, "1 N D"] | None = None,
) -> Float[Tensor, "B N"]:
    r"""``ReLU(mean_c alpha_c H_c) / 1e-8`` with ``alpha = d(1 - sim)/dH``, not rectified, averaged over a body's nodes.

    ``sim`` is the mean over the batch there, so that every gradient carries one over the batch size. Unlike `gradcam`, a
    channel's weight may be negative, and a channel that the reference has more of counts against a node.

    Args:
        features: H, the teacher's features of the bodies.
        reference: the teacher's features of the reference clip, one body or several.
        sequence: the sequence of each body; its bodies' nodes are pooled together.
        sequences: S.
        batch_size: sequences in the batch that the gradient is the mean of.
        absent: features of a body that is not there, where such bodies count in a sequence's mean (``pool: all_slots``).
    """
    z, bodies = sequence_mean(features, sequence, sequences, absent)
    z_ref = sequence_mean(reference, sequence.new_zeros(len(reference)), 1, absent)[0][0]
    alpha = similarity_gradient(z, z_ref, bodies * features.shape[1])[sequence] / batch_size
    return torch.einsum("bnd,bd->bn", features, alpha / features.shape[2]).relu() / DIVISOR


class ReleasedGradCam(Scores):
    """Semantic saliency as the authors' code computes it; clipped to [0, 1] once it is averaged over body parts.

    The division by 1e-8 lifts raw scores far above 1, so that most of what is positive ends at exactly 1; how much depends on
    the batch size and on the width.

    Args:
        batch_size: what each gradient is divided by: 32 clips a GPU in the authors' scripts, whatever the batch is here.
    """

    needs_features = True

    def __init__(self, *, batch_size: int = 32) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"batch_size: expected at least 1, found {batch_size}")
        self.batch_size = batch_size

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        if evidence.features is None or evidence.reference is None:
            raise ValueError("ReleasedGradCam needs the features of the teacher and of the reference")
        eta = released_gradcam(
            evidence.features.float(),
            evidence.reference.float(),
            evidence.batch.sequence,
            evidence.batch.num_sequences,
            self.batch_size,
            None if evidence.absent is None else evidence.absent.float(),
        )
        return eta.view(evidence.nodes.shape[:3])

    def after_smoothing(self, eta: Float[Tensor, "B Te V"]) -> Float[Tensor, "B Te V"]:
        return eta.clamp(0, 1)
