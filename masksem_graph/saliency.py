"""Grad-CAM of how far a clip is from the average motion, in closed form (MaskSem Eq. 2-6), and as the authors released it.

``sim`` is the cosine between the mean feature of a sequence and that of the reference. As it depends on the features only
through their mean, its gradient is the same at every node and needs neither a backward pass nor an autograd graph.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.masking.scores import Evidence, Scores
from masksem_graph.models.pool import sequence_mean

DIVISOR = 1e-8  # of the released code


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
    alpha = _gradient(features, reference, sequence, sequences, absent).relu()
    return torch.einsum("bnd,bd->bn", features, alpha).relu()


def released_gradcam(
    features: Float[Tensor, "B N D"],
    reference: Float[Tensor, "R N D"],
    sequence: Int64[Tensor, " B"],
    sequences: int,
    batch_size: int,
    absent: Float[Tensor, "1 N D"] | None = None,
) -> Float[Tensor, "B N"]:
    r"""``ReLU(mean_c alpha_c H_c) / 1e-8`` with ``alpha = d(1 - sim)/dH``, not rectified, averaged over a body's nodes.

    ``sim`` is the mean over a batch of ``batch_size`` sequences there, so that every gradient carries one over it. A channel's
    weight may be negative: what the reference has more of counts against a node. Other arguments are those of `gradcam`.
    """
    alpha = _gradient(features, reference, sequence, sequences, absent) / batch_size
    return torch.einsum("bnd,bd->bn", features, alpha / features.shape[2]).relu() / DIVISOR


def _gradient(
    features: Tensor, reference: Tensor, sequence: Tensor, sequences: int, absent: Tensor | None
) -> Float[Tensor, "B D"]:
    z, bodies = sequence_mean(features, sequence, sequences, absent)
    z_ref = sequence_mean(reference, sequence.new_zeros(len(reference)), 1, absent)[0][0]
    return similarity_gradient(z, z_ref, bodies * features.shape[1])[sequence]


class GradCam(Scores):
    """Semantic saliency: Grad-CAM against the average motion.

    Args:
        per: ``sequence`` pools the nodes of all bodies of a clip, as the paper and its code do; ``body`` gives each body a
            feature, a cosine and an alpha of its own.
    """

    needs_features = True

    def __init__(self, *, per: Literal["sequence", "body"] = "sequence") -> None:
        super().__init__()
        self.per = per

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        features, reference, absent = _floats(evidence)
        batch = evidence.batch
        if self.per == "body":
            own = torch.arange(batch.num_bodies, device=features.device)
            return gradcam(features, reference, own, batch.num_bodies).view(evidence.nodes.shape[:3])
        return gradcam(features, reference, batch.sequence, batch.num_sequences, absent).view(evidence.nodes.shape[:3])


class ReleasedGradCam(Scores):
    """Semantic saliency as the authors' code computes it, which is not what their paper says.

    It is clipped to [0, 1] once it is averaged over body parts. The division by 1e-8 lifts raw scores far above 1, so most of
    what is positive ends at exactly 1; how much depends on the batch size and on the width.

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
        features, reference, absent = _floats(evidence)
        batch = evidence.batch
        eta = released_gradcam(features, reference, batch.sequence, batch.num_sequences, self.batch_size, absent)
        return eta.view(evidence.nodes.shape[:3])

    def after_smoothing(self, eta: Float[Tensor, "B Te V"]) -> Float[Tensor, "B Te V"]:
        return eta.clamp(0, 1)


def _floats(evidence: Evidence) -> tuple[Tensor, Tensor, Tensor | None]:
    if evidence.features is None or evidence.reference is None:
        raise ValueError("Grad-CAM needs the features of the teacher and of the reference")
    absent = None if evidence.absent is None else evidence.absent.float()
    return evidence.features.float(), evidence.reference.float(), absent
