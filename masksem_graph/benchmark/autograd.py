"""Grad-CAM as it is usually implemented: with a backward pass. The yardstick for the closed form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.clips import ClipBatch
from masksem_graph.masking import Draw
from masksem_graph.models.pool import sequence_mean
from masksem_graph.tasks.pretrain import Pretrain


def autograd_draw(task: Pretrain, clips: ClipBatch, uniform: Float[Tensor, "B N"]) -> Draw:
    """The same mask as `Pretrain.draw`, up to float rounding, by ``(-sim).backward()`` through the teacher.

    As the usual hooks do it, the teacher runs with a graph, the gradient is kept at its output, and ``backward()`` goes on
    through all of its blocks.
    """
    teacher = task.teacher
    if teacher is None:
        raise ValueError("autograd_draw needs a task whose scores need a teacher")
    teacher.requires_grad_(True)
    try:
        with torch.enable_grad():
            features = teacher(teacher.nodes(clips.coordinates))
            features.retain_grad()
            z = sequence_mean(features.float(), clips.sequence, len(clips.label))[0]
            reference = teacher.features(task.reference[None]).float().mean((0, 1))
            (-F.cosine_similarity(z, reference[None])).sum().backward()
    finally:
        teacher.requires_grad_(False)
        teacher.zero_grad(set_to_none=True)
    if features.grad is None:
        raise RuntimeError("no gradient reached the teacher's features")
    alpha = sequence_mean(features.grad.float().relu(), clips.sequence, len(clips.label))[0]
    eta = torch.einsum("bnd,bd->bn", features.detach().float(), alpha[clips.sequence]).relu()
    return task.sampler(task.operator(eta.view(-1, *teacher.grid)), uniform)
