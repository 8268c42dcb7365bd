"""Masked pre-training: student, teacher, decoder, saliency, masking and targets make one loss."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.contrast import Contrast
from masksem_graph.data.clips import ClipBatch
from masksem_graph.errors import InputError
from masksem_graph.masking import Draw, Evidence, Mask, Sampler, Scores
from masksem_graph.masking.gumbel import Rounding
from masksem_graph.masking.sampler import Sampling, Select
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
        rounding: of that share to a number of nodes: ``nearest``, or the kept ones down (``floor``), as published code does.
        select: whether the nodes that are drawn are masked, or kept.
        sampling: draw from the ``whole`` body, or from ``halves``: even and odd segments, each by itself.
        weighting: of a masked node's error: by N times its probability, or all alike.
        reference: the average motion: of the training set, computed once, or of the augmented batch.
        heads: one prediction held against all targets, or one for each.
        momentum: m of the teacher's moving average, per step.
        contrast: a loss between the bodies of a batch, added to that of the targets; null for none.
    """

    scores: Scores
    target: Target
    operator: OperatorFactory = field(default=Identity)
    temperature: float = 0.8
    mask_ratio: float = 0.9
    rounding: Rounding = "nearest"
    select: Select = "mask"
    sampling: Sampling = "whole"
    weighting: Literal["saliency", "uniform"] = "uniform"
    reference: Literal["dataset", "batch"] = "dataset"
    heads: Literal["shared", "separate"] = "shared"
    momentum: float = 0.99
    contrast: Contrast | None = None

    def __post_init__(self) -> None:
        for name, low, high in (("mask_ratio", 0, 1), ("momentum", 0, 1)):
            if not low <= (value := getattr(self, name)) <= high:
                raise InputError(f"method.{name}: expected a share in [0, 1], found {value}")
        if self.temperature <= 0:
            raise InputError(f"method.temperature: expected a number above 0, found {self.temperature}")


class GlobalBatch(NamedTuple):
    """What a part of a batch has to know of the whole, so that the parts add up to one step however they are divided.

    Attributes:
        bodies, sequences: in the whole batch.
        first: position of the part's first body among them.
        reference: the batch's mean clip where the configuration asks for it; the stored one where omitted.
        latents: of all bodies, without gradient, where there is a contrast and more than one part. A part puts its own, with
            gradient, in their place, computes the whole loss, and so gets the gradient of its own share of the batch.
        data_set: which of several data sets the batch is of.
    """

    bodies: int
    sequences: int
    first: int = 0
    reference: Float[Tensor, "T J C"] | None = None
    latents: Float[Tensor, "bodies views D"] | None = None
    data_set: int = 0


class Pretrain(nn.Module):
    """The pre-training task.

    Args:
        student, decoder: the networks that learn.
        scores, operator, target, contrast: the method's parts.
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
        contrast: Contrast | None = None,
    ) -> None:
        super().__init__()
        self.student, self.decoder = student, decoder
        self.scores, self.operator, self.target, self.config = scores, operator, target, config
        self.contrast = contrast
        self.teacher = copy.deepcopy(student).requires_grad_(False) if scores.needs_features else None
        self.sampler = Sampler(
            grid=student.grid,
            ratio=config.mask_ratio,
            temperature=config.temperature,
            rounding=config.rounding,
            select=config.select,
            sampling=config.sampling,
        )
        self.nodes = student.grid[0] * student.grid[1]
        self.register_buffer("reference", torch.zeros(student.frames, len(student.topology.inputs), student.channels))
        self.train()

    @property
    def each(self) -> tuple[Pretrain, ...]:
        """The task on each of its data sets; see `masksem_graph.tasks.several`."""
        return (self,)

    @property
    def masked(self) -> int:
        """K, the masked nodes of a body."""
        return self.sampler.masked

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
    def draw(self, clips: ClipBatch, uniform: Float[Tensor, "B N"], batch: GlobalBatch | None = None) -> Draw:
        """Score the nodes, smooth the scores over the graph, and draw a mask.

        Args:
            clips: the augmented clips.
            uniform: draws in (0, 1), one a node.
            batch: the global batch that these clips are a part of; they are all of it where omitted.
        """
        eta = self.score(clips, batch)
        # Scores are sums with cancellation, too fine for bfloat16, and cost next to nothing.
        with torch.autocast(uniform.device.type, enabled=False):
            return self.sampler(self.scores.after_smoothing(self.operator(eta)), uniform)

    @torch.no_grad()
    def score(self, clips: ClipBatch, batch: GlobalBatch | None = None) -> Float[Tensor, "B Te V"]:
        """Each node's score before it is smoothed; the arguments are those of `draw`."""
        evidence = self._evidence(clips, batch or self._alone(clips))
        with torch.autocast(clips.coordinates.device.type, enabled=False):
            return self.scores(evidence).float()

    def _evidence(self, clips: ClipBatch, batch: GlobalBatch) -> Evidence:
        nodes = self.student.nodes(clips.coordinates)
        features = reference = absent = embedded = context = None
        if self.teacher is not None:
            features = self.teacher(nodes)
            reference = self.teacher.features((self.reference if batch.reference is None else batch.reference)[None])
            absent = self.teacher.absent_features()
        if self.scores.needs_embeddings:
            embedded, context = self.student.embed(nodes).float(), self.student.embed_context(clips.coordinates).float()
        return Evidence(
            nodes=nodes,
            sequence=clips.sequence,
            sequences=len(clips.label),
            features=features,
            reference=reference,
            absent=absent,
            embedded=embedded,
            context=context,
            batch_sequences=batch.sequences,
        )

    @staticmethod
    def _alone(clips: ClipBatch) -> GlobalBatch:
        return GlobalBatch(bodies=len(clips.sequence), sequences=len(clips.label))

    def encode(self, clips: ClipBatch, mask: Mask) -> Float[Tensor, "B kept D"]:
        """The student's features of the kept nodes."""
        return self.student(self.student.nodes(clips.coordinates), mask.kept)

    def predict(self, clips: ClipBatch, mask: Mask) -> dict[str, Float[Tensor, "B masked F"]]:
        """The decoder's predictions at the masked nodes, from the kept ones, by head."""
        return self.decoder(self.encode(clips, mask), mask.kept, mask.masked)

    def latents(
        self, clips: ClipBatch, uniform: Float[Tensor, "B N"], batch: GlobalBatch | None = None
    ) -> Float[Tensor, "B views D"]:
        """What these clips contribute to the contrast of their batch."""
        mask = self.draw(clips, uniform, batch).mask
        return self._latents(self.encode(clips, mask), mask)

    def _latents(self, h: Float[Tensor, "B kept D"], mask: Mask) -> Float[Tensor, "B views D"]:
        if self.contrast is None:
            raise ValueError("latents are only made for a contrast")
        with torch.autocast(h.device.type, enabled=False):
            return self.contrast.latents(h.float(), mask.kept, self.student.grid)

    def losses(
        self, clips: ClipBatch, mask: Mask, pi: Float[Tensor, "B N"], predictions: dict[str, Float[Tensor, "B masked F"]]
    ) -> dict[str, Float[Tensor, ""]]:
        """Summed, not averaged, error at the masked nodes of each target, weighted as configured."""
        weight = self.nodes * pi.gather(1, mask.masked) if self.config.weighting == "saliency" else None
        out = {}
        for name, values in self.target.values(clips).items():
            nodes = standardise(self.student.nodes(values)).flatten(1, 2)
            truth = nodes.gather(1, mask.masked[..., None].expand(-1, -1, nodes.shape[-1]))
            predicted = predictions[name if name in predictions else SHARED]
            error = (predicted.float() - truth).square().mean(-1)
            out[name] = (error if weight is None else error * weight).sum()
        return out

    def forward(
        self, clips: ClipBatch, uniform: Float[Tensor, "B N"], batch: GlobalBatch | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss, and what it is made of.

        Args:
            clips: a batch, or the part of it that this process handles now.
            uniform: draws in (0, 1) for these bodies.
            batch: the whole global batch; these clips are all of it where omitted.

        Returns:
            ``loss``, each target's own and the ``contrast``: this part's share of each, so that the parts of a batch add up.
        """
        batch = batch or self._alone(clips)
        drawn = self.draw(clips, uniform, batch)
        h = self.encode(clips, drawn.mask)
        predictions = self.decoder(h, drawn.mask.kept, drawn.mask.masked)
        masked = batch.bodies * self.masked
        parts = {name: value / masked for name, value in self.losses(clips, drawn.mask, drawn.pi, predictions).items()}
        loss = torch.stack([parts[name] * weight for name, weight in self.target.weights.items()]).sum()
        if self.contrast is not None:
            parts["contrast"] = self._contrast(self.contrast, self._latents(h, drawn.mask), batch)
            loss = loss + parts["contrast"]
        return {"loss": loss, **{name: value.detach() for name, value in parts.items()}}

    @staticmethod
    def _contrast(contrast: Contrast, own: Float[Tensor, "B views D"], batch: GlobalBatch) -> Float[Tensor, ""]:
        """This part's share of the batch's contrast, with the gradient of the whole with regard to its own latents."""
        latents = own
        if batch.latents is not None:
            latents = torch.cat([batch.latents[: batch.first], own, batch.latents[batch.first + len(own) :]])
        if len(latents) != batch.bodies:
            raise ValueError(f"a part of a batch needs the latents of all {batch.bodies} bodies, found {len(latents)}")
        with torch.autocast(own.device.type, enabled=False):
            whole = contrast(latents)
        return whole - whole.detach() * (1 - len(own) / batch.bodies)


def build_pretrain(model: ModelConfig, method: MethodConfig, *, topology: Topology, channels: int) -> Pretrain:
    """The task of a configuration, freshly initialised."""
    heads = [SHARED] if method.heads == "shared" else list(method.target.weights)
    scores = copy.deepcopy(method.scores)
    scores.build(width=model.width)
    return Pretrain(
        student=build_encoder(model, topology=topology, channels=channels),
        decoder=build_decoder(model, topology=topology, channels=channels, heads=heads),
        scores=scores,
        operator=method.operator(topology=topology, segments=model.segments),
        target=method.target,
        config=method,
        contrast=copy.deepcopy(method.contrast),
    )
