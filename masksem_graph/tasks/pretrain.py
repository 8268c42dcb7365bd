"""Masked pre-training: student, teacher, decoder, saliency, masking and targets make one loss."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from masksem_graph.contrast import Contrast
from masksem_graph.errors import InputError, require_range
from masksem_graph.graph import SkeletonBatch, nodes_of, to_segments
from masksem_graph.masking import Draw, Evidence, Mask, Sampler, Scores
from masksem_graph.masking.sampler import Rounding, Sampling, Select
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.decoder import Decoder
from masksem_graph.models.encoder import SkeletonEncoder, gather_nodes, update_average
from masksem_graph.operators import Identity, Operator
from masksem_graph.targets import Target, standardise
from masksem_graph.topology import Topology

SHARED = "shared"


@dataclass(frozen=True)
class MethodConfig:
    """What is masked, predicted and weighted. A preset is a choice of these parts.

    Args:
        scores: what makes a node likely to be masked.
        target: what is predicted at masked nodes.
        operator: how scores are smoothed over the skeleton graph; null for not at all.
        temperature: tau; the smaller, the more the masks follow the scores.
        mask_ratio: delta, share of the nodes that is masked.
        rounding: of that share to a number of nodes: ``nearest``, or the kept ones down (``floor``), as published code does.
        predicted: share of the masked nodes, drawn anew each step, that is predicted and counts in the loss.
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
    operator: Operator | None = None
    temperature: float = 0.8
    mask_ratio: float = 0.9
    predicted: float = 1.0
    rounding: Rounding = "nearest"
    select: Select = "mask"
    sampling: Sampling = "whole"
    weighting: Literal["saliency", "uniform"] = "uniform"
    reference: Literal["dataset", "batch"] = "dataset"
    heads: Literal["shared", "separate"] = "shared"
    momentum: float = 0.99
    contrast: Contrast | None = None

    def __post_init__(self) -> None:
        require_range("method.mask_ratio", self.mask_ratio, 1e-3, 1 - 1e-3)
        require_range("method.momentum", self.momentum, 0, 1)
        require_range("method.temperature", self.temperature, 1e-6, 1e6)
        if not 0 < self.predicted <= 1:
            raise InputError(f"method.predicted: expected a share above 0 and up to 1, found {self.predicted}")


class GlobalBatch(NamedTuple):
    """What a part of a batch has to know of the whole, so that the parts add up to one step however they are divided.

    Attributes:
        bodies, first: in the whole batch, and the position of the part's first one among them.
        reference: the batch's mean clip where the configuration asks for it; the stored one where omitted.
        latents: of all bodies, without gradient, where there is a contrast and more than one part. A part puts its own, with
            gradient, in their place, computes the whole loss, and so gets the gradient of its own share of the batch.
        data_set: which of several data sets the batch is of.
    """

    bodies: int
    first: int = 0
    reference: Float[Tensor, "T J C"] | None = None
    latents: Float[Tensor, "bodies views D"] | None = None
    data_set: int = 0


class RandomNumbers(NamedTuple):
    """Random numbers of a batch's bodies, in (0, 1); `Pretrain.draws` says how many.

    One a node, what the scores ask for, and one for each masked node where only a share of them is predicted.
    """

    nodes: Float[Tensor, "B N"]
    scores: Float[Tensor, "B _"] | None = None
    predicted: Float[Tensor, "B masked"] | None = None

    def of_bodies(self, chosen: Bool[Tensor, " B"], device: torch.device) -> RandomNumbers:
        """Those of some bodies, on a device."""
        return RandomNumbers(*(None if values is None else values[chosen].to(device) for values in self))  # type: ignore[arg-type]


class Pretrain(nn.Module):
    """The pre-training task, on one skeleton or several: every part reads the skeleton off the batch.

    Args:
        student, decoder: the networks that learn; the ``teacher`` is a moving average of the student, where scores need one.
        scores: the configured ones, built.
        config: the method: parts and numbers.
        references: data sets that have an average motion of their own.
    """

    def __init__(
        self, *, student: SkeletonEncoder, decoder: Decoder, scores: Scores, config: MethodConfig, references: int = 1
    ) -> None:
        super().__init__()
        self.student, self.decoder, self.config = student, decoder, config
        self.scores, self.operator, self.target = scores, copy.deepcopy(config.operator) or Identity(), config.target
        self.contrast = copy.deepcopy(config.contrast)
        self.tried: set[str] = set()
        for name, part in (("scores", self.scores), ("operator", self.operator)):
            if any(parameter.requires_grad for parameter in part.parameters()):
                raise InputError(
                    f"method.{name}: {type(part).__name__} has weights that ask for a gradient; masks are drawn without one, "
                    "so they would never learn; expected weights with requires_grad=False, or none"
                )
        self.teacher = copy.deepcopy(student).requires_grad_(False) if self.scores.needs_features else None
        numbers = {"ratio": config.mask_ratio, "temperature": config.temperature}
        self.sampler = Sampler(**numbers, rounding=config.rounding, select=config.select, sampling=config.sampling)
        for i in range(references):
            topology = student.topologies[min(i, len(student.topologies) - 1)]
            shape = (student.frames, len(topology.inputs), student.channels)
            self.register_buffer(f"reference_{i}", torch.zeros(shape))
        self.train()

    @property
    def needs_reference(self) -> bool:
        """Whether a reference clip has to be given."""
        return self.scores.needs_features

    def reference(self, data_set: int = 0) -> Float[Tensor, "T J C"]:
        """The average motion of a data set; to be filled in place."""
        return getattr(self, f"reference_{data_set}")

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

    def draws(self, segments: int, joints: int) -> dict[str, int]:
        """How many random numbers a body needs, by the field of `RandomNumbers`."""
        chosen = self.sampler.masked(segments, joints) if self.config.predicted < 1 else 0
        counts = {"nodes": segments * joints, "scores": self.scores.draws, "predicted": chosen}
        return {name: count for name, count in counts.items() if count}

    def asked(self, mask: Mask, numbers: RandomNumbers) -> Mask:
        """The kept nodes, and of the masked ones those that are predicted now, in graph order."""
        masked = mask.masked.shape[1]
        if (count := max(1, round(self.config.predicted * masked))) == masked:
            return mask
        if numbers.predicted is None:
            raise ValueError("a share of the masked nodes is predicted: RandomNumbers.predicted is needed")
        chosen = numbers.predicted.argsort(1)[:, :count].sort(1).values
        return mask._replace(masked=mask.masked.gather(1, chosen))

    @torch.no_grad()
    def draw(self, batch: SkeletonBatch, numbers: RandomNumbers, whole: GlobalBatch | None = None) -> Draw:
        """Score the nodes, smooth the scores over the graph, and draw a mask.

        ``batch`` are augmented clips, ``numbers`` those of its bodies; they are all of the batch where ``whole`` is omitted.
        """
        eta = self.score(batch, numbers, whole)
        # Scores are sums with cancellation, too fine for bfloat16, and cost next to nothing.
        with torch.autocast(eta.device.type, enabled=False):
            smoothed = self._checked("operator", self.operator(eta, batch), batch)
            return self.sampler(self.scores.after_smoothing(smoothed), numbers.nodes)

    def _checked(self, name: str, eta: Any, batch: SkeletonBatch) -> Float[Tensor, "B Te V"]:
        """What a part of the method gave; `InputError` unless that is a score for each node, and at first of at least 0."""
        grid = [batch.num_bodies, batch.segments, len(batch.topology)]
        of = f"method.{name}: {type(getattr(self, name)).__name__}"
        if not isinstance(eta, Tensor) or list(eta.shape) != grid:
            found = list(eta.shape) if isinstance(eta, Tensor) else type(eta).__name__
            raise InputError(f"{of}: expected scores [bodies, segments, joints] = {grid}, found {found}")
        if name not in self.tried and eta.numel():  # once, as it makes a GPU wait
            self.tried.add(name)
            lowest, highest = (value.item() for value in eta.aminmax())
            if not lowest >= -1e-6 * abs(highest):
                raise InputError(f"{of}: expected scores of at least 0, found {lowest:.3g}")
        return eta

    @torch.no_grad()
    def score(self, batch: SkeletonBatch, numbers: RandomNumbers, whole: GlobalBatch | None = None) -> Float[Tensor, "B Te V"]:
        """Each node's score before it is smoothed, see `draw`."""
        evidence = self.evidence(batch, numbers, whole or alone(batch))
        with torch.autocast(batch.frames.device.type, enabled=False):
            return self._checked("scores", self.scores(evidence), batch).float()

    def evidence(self, batch: SkeletonBatch, numbers: RandomNumbers, whole: GlobalBatch) -> Evidence:
        """What the scores are computed from."""
        grid = (batch.segments, len(batch.topology))
        found: dict[str, Any] = {}
        if self.teacher is not None:
            mean = self.reference(whole.data_set) if whole.reference is None else whole.reference
            found["features"] = self.teacher(batch)
            found["reference"] = self.teacher.features(mean[None], batch.topology)
            found["absent"] = self.teacher.absent_features(batch)
        if self.scores.needs_embeddings:
            found["embedded"] = self.student.embed_nodes(batch).float().unflatten(1, grid)
            found["context"] = self.student.embed_context(batch).float()
        return Evidence(batch=batch, nodes=batch.dense.unflatten(1, grid), uniform=numbers.scores, **found)

    def predict(self, batch: SkeletonBatch, mask: Mask) -> dict[str, Float[Tensor, "B masked F"]]:
        """The decoder's predictions at the masked nodes, from the kept ones, by head."""
        return self.decoder(self.student(batch, mask.kept), batch, mask.kept, mask.masked)

    def latents(
        self, batch: SkeletonBatch, numbers: RandomNumbers, whole: GlobalBatch | None = None
    ) -> Float[Tensor, "B views D"]:
        """What these clips contribute to the contrast of their batch."""
        mask = self.draw(batch, numbers, whole).mask
        return self._latents(self.student(batch, mask.kept), batch, mask)

    def _latents(self, h: Float[Tensor, "B kept D"], batch: SkeletonBatch, mask: Mask) -> Float[Tensor, "B views D"]:
        assert self.contrast is not None
        with torch.autocast(h.device.type, enabled=False):
            return self.contrast.latents(h.float(), mask.kept, (batch.segments, len(batch.topology)))

    def losses(
        self,
        batch: SkeletonBatch,
        mask: Mask,
        pi: Float[Tensor, "B N"],
        predictions: dict[str, Float[Tensor, "B masked F"]],
    ) -> dict[str, Float[Tensor, ""]]:
        """Summed, not averaged, error at the masked nodes of each target, weighted as configured."""
        weight = batch.layout.nodes * pi.gather(1, mask.masked) if self.config.weighting == "saliency" else None
        out, segment = {}, self.student.segment
        for name, values in self._truth(batch).items():
            nodes = standardise(to_segments(nodes_of(values, batch.topology), segment)).flatten(1, 2)
            truth = gather_nodes(nodes, mask.masked)
            predicted = predictions[name if name in predictions else SHARED]
            if predicted.shape != truth.shape:
                found, expected = (values.shape[2] // segment for values in (truth, predicted))
                has = f"{name} has {found} channels a joint"
                raise InputError(f"method.target: {has}; expected {expected}, as the clips have")
            error = (predicted.float() - truth).square().mean(-1)
            out[name] = (error if weight is None else error * weight).sum()
        return out

    def _truth(self, batch: SkeletonBatch) -> dict[str, Float[Tensor, "B T J C"]]:
        """What the target says, an `InputError` unless it is what its contract says."""
        values, of = self.target.values(batch), f"method.target: {type(self.target).__name__}"
        if not isinstance(values, dict) or values.keys() != self.target.weights.keys():
            found = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
            raise InputError(f"{of}: expected values of {', '.join(self.target.weights)}, as its weights, found {found}")
        for name, value in values.items():
            if not isinstance(value, Tensor) or value.ndim != 4 or value.shape[:3] != batch.frames.shape[:3]:
                found = str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__
                raise InputError(f"{of}: {name}: expected {[*batch.frames.shape[:3]]} and channels, found {found}")
        return values

    def forward(
        self, batch: SkeletonBatch, numbers: RandomNumbers, whole: GlobalBatch | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """``loss``, each target's own and the ``contrast``: this part's share of each, so that the parts of a batch add up.

        The arguments are those of `draw`.
        """
        whole = whole or alone(batch)
        drawn = self.draw(batch, numbers, whole)
        h = self.student(batch, drawn.mask.kept)
        mask = self.asked(drawn.mask, numbers)
        predictions = self.decoder(h, batch, mask.kept, mask.masked)
        predicted = whole.bodies * mask.masked.shape[1]
        parts = {name: value / predicted for name, value in self.losses(batch, mask, drawn.pi, predictions).items()}
        loss = torch.stack([parts[name] * weight for name, weight in self.target.weights.items()]).sum()
        if self.contrast is not None:
            parts["contrast"] = self._contrast(self.contrast, self._latents(h, batch, drawn.mask), whole)
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


def alone(batch: SkeletonBatch) -> GlobalBatch:
    """A batch that is all of its step."""
    return GlobalBatch(bodies=batch.num_bodies)


def build_pretrain(
    model: ModelConfig,
    method: MethodConfig,
    *,
    topologies: Sequence[Topology],
    channels: int,
    student: SkeletonEncoder | Callable[[], SkeletonEncoder] | None = None,
) -> Pretrain:
    """The task of a configuration, freshly initialised.

    Args:
        model, method: the configuration.
        topologies, channels: the skeleton of each data set, and C of all.
        student: the encoder, or what makes it, where it is not simply the model's.
    """
    heads = [SHARED] if method.heads == "shared" else list(method.target.weights)
    scores = copy.deepcopy(method.scores)
    scores.build(width=model.width)
    if student is None:
        student = SkeletonEncoder(model, topologies=topologies, channels=channels)
    elif not isinstance(student, SkeletonEncoder):
        student = student()  # after the scores: the order in which weights are drawn is part of a run
    decoder = Decoder(model, topologies=topologies, channels=channels, heads=heads)
    return Pretrain(student=student, decoder=decoder, scores=scores, config=method, references=len(topologies))
