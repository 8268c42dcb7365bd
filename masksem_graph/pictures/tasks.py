"""The task that a picture asks: a run's own, or the same networks under other scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.config import parse_mapping
from masksem_graph.data.augment import whole_view
from masksem_graph.data.clips import ClipSource
from masksem_graph.masking import Scores
from masksem_graph.models.build import ModelConfig, build_decoder
from masksem_graph.models.io import describe_encoder, load_encoder
from masksem_graph.operators import Adjacency, Identity, Operator
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.saliency import GradCam
from masksem_graph.targets import VelocityAcceleration
from masksem_graph.tasks.pretrain import SHARED, GlobalBatch, MethodConfig, Pretrain
from masksem_graph.training.pretrain import average_clip
from masksem_graph.training.restore import has_method, load_task

REFERENCE_CLIPS = 512
"""The average motion of a run that saved none is that of at most so many of its training clips, evenly chosen."""


def task_of(run: Path) -> Pretrain:
    """A run's task; of a run that has an encoder alone, one that has it for a student, with the paper's scores.

    Raises:
        InputError: the folder holds no encoder, or a damaged run.
    """
    if has_method(run):
        return load_task(run)
    encoder, described = load_encoder(run), describe_encoder(run)
    model = parse_mapping(ModelConfig, described["model"], source=run / "encoder.yaml")
    method = MethodConfig(scores=GradCam(), target=VelocityAcceleration())
    decoder = build_decoder(model, topology=encoder.topology, channels=encoder.channels, heads=[SHARED])
    operator = Adjacency(topology=encoder.topology, segments=encoder.grid[0])
    task = Pretrain(
        student=encoder, decoder=decoder, scores=method.scores, operator=operator, target=method.target, config=method
    )
    return task.eval()


def with_scores(task: Pretrain, scores: Scores, operator: Operator) -> Pretrain:
    """The same networks under other scores, drawn from the whole body and masked; its student stands in for a teacher."""
    config = replace(task.config, scores=scores, operator=type(operator), select="mask", sampling="whole")
    other = Pretrain(
        student=task.student,
        decoder=task.decoder,
        scores=scores,
        operator=operator,
        target=task.target,
        config=config,
    )
    if other.teacher is not None and task.teacher is not None:
        other.teacher = task.teacher
    other.reference.copy_(task.reference)
    return other.to(task.reference.device).eval()


def semantic(task: Pretrain, reference: Callable[[], Float[Tensor, "T V C"]]) -> Pretrain:
    """The task, if its scores are semantic, or else its networks under Grad-CAM; with an average motion to hold clips against.

    Args:
        task: a run's.
        reference: finds the average motion, where the task has none.
    """
    if not task.scores.needs_features:
        task = with_scores(task, GradCam(), Adjacency(topology=task.student.topology, segments=task.student.grid[0]))
    if not task.reference.any():
        task.reference.copy_(reference())
    return task


def operator_name(task: Pretrain) -> str:
    """A task's smoothing operator and its options: ``Adjacency, hops 2``."""
    options = task.config.operator.keywords if isinstance(task.config.operator, partial) else {}
    told = "".join(f", {option} {value}" for option, value in options.items())
    return "no operator" if isinstance(task.operator, Identity) else type(task.operator).__name__ + told


def by_itself(task: Pretrain, clip: ShownClip) -> GlobalBatch:
    """The batch that a shown clip is: itself alone, held against the task's average motion."""
    reference = task.reference if task.needs_reference else None
    return GlobalBatch(bodies=len(clip.coordinates), sequences=1, reference=reference)


def average_motion(source: ClipSource, clips: Int64[Tensor, " train"]) -> Float[Tensor, "T V C"]:
    """Mean clip of at most `REFERENCE_CLIPS` clips."""
    chosen = clips[torch.linspace(0, len(clips) - 1, min(len(clips), REFERENCE_CLIPS)).round().long()]
    portions = (source.plan(whole_view(part, source.length[part])) for part in chosen.split(128))
    return average_clip(source, portions)
