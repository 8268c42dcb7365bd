"""Masked pre-training: student, teacher, decoder, saliency, masking and targets make one loss."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.data.clips import ClipBatch
from masksem_graph.errors import InputError
from masksem_graph.graph import to_segments
from masksem_graph.masking import Evidence, Mask, Scores, gumbel_top_k, score_distribution
from masksem_graph.masking.gumbel import masked_count
from masksem_graph.models.build import ModelConfig, build_decoder, build_encoder
from masksem_graph.models.decoder import Decoder
from masksem_graph.models.encoder import SkeletonEncoder, update_average
from masksem_graph.operators import Identity, Operator, OperatorFactory
from masksem_graph.targets import Target, standardise
from masksem_graph.topology import Topology

SHARED = "shared"


@dataclass(frozen=True)
class MethodConfig:
    """What is masked, predicted and weighted. A preset is a choice of these parts.

    Args:
        scores: what makes a node likely to be masked.
        target: what is predicted at masked nodes.
        operator: how scores are smoothed over the skeleton graph.
        temperature: tau; the smaller, the more the masks follow the scores.
        mask_ratio: delta, share of the nodes that is masked.
        weighting: of a masked node's error: by N times its probability, or all alike.
        reference: the average motion: of the training set, computed once, or of the augmented batch.
        heads: one prediction held against all targets, or one for each.
        momentum: m of the teacher's moving average, per step.
    """

    scores: Scores
    target: Target
    operator: OperatorFactory = field(default=Identity)
    temperature: float = 0.8
    mask_ratio: float = 0.9
    weighting: Literal["saliency", "uniform"] = "uniform"
    reference: Literal["dataset", "batch"] = "dataset"
    heads: Literal["shared", "separate"] = "shared"
    momentum: float = 0.99

    def __post_init__(self) -> None:
        for name, low, high in (("mask_ratio", 0, 1), ("momentum", 0, 1)):
            if not low <= (value := getattr(self, name)) <= high:
                raise InputError(f"method.{name}: expected a share in [0, 1], found {value}")
        if self.temperature <= 0:
            raise InputError(f"method.temperature: expected a number above 0, found {self.temperature}")


@dataclass(frozen=True)
class Draw:
    """A mask and the distribution that it was drawn from."""

    mask: Mask
    pi: Float[Tensor, "B N"]


class Pretrain(nn.Module):
    """The pre-training task.

    Args:
        student, decoder: the networks that learn.
        scores, operator, target: the method's parts.
        config: the method's numbers.

    Attributes:
        teacher: moving average of the student's encoder; None where the scores need none.
    """

    reference: Tensor

    def __init__(
        self,
        *,
        student: SkeletonEncoder,
        decoder: Decoder,
        scores: Scores,
        operator: Operator,
        target: Target,
        config: MethodConfig,
    ) -> None:
        super().__init__()
        self.student, self.decoder = student, decoder
        self.scores, self.operator, self.target, self.config = scores, operator, target, config
        self.teacher = copy.deepcopy(student).requires_grad_(False) if scores.needs_features else None
        segments, joints = student.grid
        self.nodes = segments * joints
        self.masked = masked_count(self.nodes, config.mask_ratio)
        self.register_buffer("reference", torch.zeros(student.frames, joints, student.channels))
        self.train()

    @property
    def needs_reference(self) -> bool:
        """Whether a reference clip has to be given: `reference` for the data set's, or ``forward``'s for the batch's."""
        return self.scores.needs_features

    def train(self, mode: bool = True) -> Pretrain:
        """Training mode for all but the teacher, whose saliency must not depend on dropout."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def update_teacher(self) -> None:
        """``theta <- m theta + (1 - m) phi``; before each step."""
        if self.teacher is not None:
            update_average(self.teacher, self.student, self.config.momentum)

    @torch.no_grad()
    def draw(self, clips: ClipBatch, uniform: Float[Tensor, "B N"], reference: Float[Tensor, "T V C"] | None = None) -> Draw:
        """Score the nodes with the teacher, smooth the scores over the graph, and draw a mask.

        Args:
            clips: the augmented clips.
            uniform: draws in (0, 1), one a node.
            reference: a clip to use in place of the stored `reference`.
        """
        nodes = to_segments(clips.coordinates, self.student.segment)
        features = encoded_reference = absent = None
        if self.teacher is not None:
            clip = self.reference if reference is None else reference
            features, encoded_reference = self.teacher(nodes), self.teacher.features(clip[None])
            absent = self.teacher.absent_features()
        sequences = clips.label.shape[0]
        evidence = Evidence(nodes, clips.sequence, sequences, features, encoded_reference, absent)
        eta = self.scores(evidence).float()
        pi = score_distribution(self.operator(eta).flatten(1), self.config.temperature)
        return Draw(mask=gumbel_top_k(pi.log(), uniform, self.masked), pi=pi)

    def predict(self, clips: ClipBatch, mask: Mask) -> dict[str, Float[Tensor, "B masked F"]]:
        """The decoder's predictions at the masked nodes, from the kept ones, by head."""
        nodes = to_segments(clips.coordinates, self.student.segment)
        return self.decoder(self.student(nodes, mask.kept), mask.kept, mask.masked)

    def losses(
        self, clips: ClipBatch, mask: Mask, pi: Float[Tensor, "B N"], predictions: dict[str, Float[Tensor, "B masked F"]]
    ) -> dict[str, Float[Tensor, ""]]:
        """Summed, not averaged, error at the masked nodes of each target, weighted as configured."""
        weight = self.nodes * pi.gather(1, mask.masked) if self.config.weighting == "saliency" else None
        out = {}
        for name, values in self.target.values(clips).items():
            nodes = standardise(to_segments(values, self.student.segment)).flatten(1, 2)
            truth = nodes.gather(1, mask.masked[..., None].expand(-1, -1, nodes.shape[-1]))
            predicted = predictions[name if name in predictions else SHARED]
            error = (predicted.float() - truth).square().mean(-1)
            out[name] = (error if weight is None else error * weight).sum()
        return out

    def forward(
        self,
        clips: ClipBatch,
        uniform: Float[Tensor, "B N"],
        masked_total: int | None = None,
        reference: Float[Tensor, "T V C"] | None = None,
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss, and what it is made of.

        Args:
            clips: a batch, or the part of it that this process handles now.
            uniform: draws in (0, 1) for these bodies.
            masked_total: masked nodes in the whole global batch; those given here where omitted.
            reference: the batch's mean clip where the configuration asks for it.

        Returns:
            ``loss`` and each target's own, all divided by ``masked_total``.
        """
        total = masked_total or clips.coordinates.shape[0] * self.masked
        drawn = self.draw(clips, uniform, reference)
        parts = self.losses(clips, drawn.mask, drawn.pi, self.predict(clips, drawn.mask))
        parts = {name: value / total for name, value in parts.items()}
        loss = torch.stack([parts[name] * weight for name, weight in self.target.weights.items()]).sum()
        return {"loss": loss, **{name: value.detach() for name, value in parts.items()}}


def build_pretrain(model: ModelConfig, method: MethodConfig, *, topology: Topology, channels: int) -> Pretrain:
    """The task of a configuration, freshly initialised."""
    heads = [SHARED] if method.heads == "shared" else list(method.target.weights)
    return Pretrain(
        student=build_encoder(model, topology=topology, channels=channels),
        decoder=build_decoder(model, topology=topology, channels=channels, heads=heads),
        scores=method.scores,
        operator=method.operator(topology=topology, segments=model.segments),
        target=method.target,
        config=method,
    )
