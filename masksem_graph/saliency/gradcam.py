"""Grad-CAM of how far a clip is from the average motion, in closed form (MaskSem Eq. 2-6).

``sim`` is the cosine between the mean feature of a sequence and that of the reference. As it depends on the features only
through their mean, its gradient is the same at every node and needs neither a backward pass nor an autograd graph.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.graph import SkeletonData
from masksem_graph.masking.scores import Evidence, Scores
from masksem_graph.models.pool import sequence_mean


def similarity_gradient(
    z: Float[Tensor, "S D"], reference: Float[Tensor, " D"], pooled: Float[Tensor, "S 1"]
) -> Float[Tensor, "S D"]:
    r""":math:`d(-\cos(z, z_{ref})) / dH` at any node, for ``pooled`` nodes averaged into ``z``.

    :math:`-( z_{ref} / (|z| |z_{ref}|) - \cos \cdot z / |z|^2 ) / pooled`
    """
    norm, ref_norm = z.norm(dim=1, keepdim=True), reference.norm()
    cosine = (z @ reference)[:, None] / (norm * ref_norm)
    return -(reference / (norm * ref_norm) - cosine * z / norm**2) / pooled


def gradcam(
    features: Float[Tensor, "B N D"],
    reference: Float[Tensor, "R N D"],
    sequence: Int64[Tensor, " B"],
    sequences: int,
    absent: Float[Tensor, "1 N D"] | None = None,
) -> Float[Tensor, "B N"]:
    """Saliency of each node: ``ReLU(sum_c alpha_c H_c)`` with ``alpha = ReLU(d(-sim)/dH)``, averaged over nodes (Eq. 4-6).

    Args:
        features: H, the teacher's features of the bodies.
        reference: the teacher's features of the reference clip, one body or several.
        sequence: the sequence of each body; its bodies' nodes are pooled together.
        sequences: S.
        absent: features of a body that is not there, where such bodies count in a sequence's mean (``pool: all_slots``); the
            reference is then a sequence of one body, too.
    """
    z, bodies = sequence_mean(features, sequence, sequences, absent)
    z_ref = sequence_mean(reference, sequence.new_zeros(len(reference)), 1, absent)[0][0]
    gradient = similarity_gradient(z, z_ref, bodies * features.shape[1])
    alpha = gradient.relu()[sequence]
    return torch.einsum("bnd,bd->bn", features, alpha).relu()


Per = Literal["sequence", "body"]


def per_sequence_or_body(batch: SkeletonData, per: Per) -> tuple[Int64[Tensor, " B"], int]:
    """Which bodies are pooled together, and how many such groups there are."""
    if per == "sequence":
        return batch.sequence, batch.num_sequences
    return torch.arange(batch.num_bodies, device=batch.sequence.device), batch.num_bodies


class GradCam(Scores):
    """Semantic saliency: Grad-CAM against the average motion.

    Args:
        per: ``sequence`` pools the nodes of all bodies of a clip, as the paper and its code do; ``body`` gives each body a
            feature, a cosine and an alpha of its own.
    """

    needs_features = True

    def __init__(self, *, per: Per = "sequence") -> None:
        super().__init__()
        self.per = per

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        if evidence.features is None or evidence.reference is None:
            raise ValueError("GradCam needs the features of the teacher and of the reference")
        absent = None if evidence.absent is None or self.per == "body" else evidence.absent.float()
        groups = per_sequence_or_body(evidence.batch, self.per)
        eta = gradcam(evidence.features.float(), evidence.reference.float(), *groups, absent)
        return eta.view(evidence.nodes.shape[:3])
