"""The task that a picture asks: a run's own, or the same networks under other scores."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.config import parse_mapping
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.views import whole_view
from masksem_graph.masking import Mask, Scores
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.io import describe_encoder, load_encoder
from masksem_graph.operators import Adjacency, Identity, Operator
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.saliency import GradCam
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.targets import VelocityAcceleration
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, Pretrain, RandomNumbers, build_pretrain
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
    encoder = load_encoder(run)
    model = parse_mapping(ModelConfig, describe_encoder(run).model, source=run / "encoder.yaml")
    method = MethodConfig(scores=GradCam(), target=VelocityAcceleration(), operator=Adjacency())
    return build_pretrain(model, method, topologies=encoder.topologies, channels=encoder.channels, student=encoder).eval()


def with_scores(task: Pretrain, scores: Scores, operator: Operator) -> Pretrain:
    """The same networks under other scores, drawn from the whole body and masked; its student stands in for a teacher."""
    config = replace(task.config, scores=scores, operator=operator, select="mask", sampling="whole")
    other = Pretrain(student=task.student, decoder=task.decoder, scores=scores, config=config)
    if other.teacher is not None and task.teacher is not None:
        other.teacher = task.teacher
    other.reference().copy_(task.reference())
    return other.to(task.reference().device).eval()


def semantic(task: Pretrain, reference: Callable[[], Float[Tensor, "T J C"]]) -> Pretrain:
    """The task, if its scores are semantic, or else its networks under Grad-CAM.

    ``reference`` finds the average motion that clips are held against, where the task has none.
    """
    if not task.scores.needs_features:
        task = with_scores(task, GradCam(), Adjacency())
    if not task.reference().any():
        task.reference().copy_(reference())
    return task


def operator_name(operator: Operator) -> str:
    """A smoothing operator and those of its options that are not the usual ones: ``Adjacency, hops 2``."""
    if isinstance(operator, Identity):
        return "no operator"
    own, known = vars(operator), inspect.signature(type(operator)).parameters  # it keeps them under the same names
    options = {name: own[name] for name, usual in known.items() if name in own and own[name] != usual.default}
    return type(operator).__name__ + "".join(f", {option} {value}" for option, value in options.items())


@torch.no_grad()
def scored(task: Pretrain, clip: ShownClip) -> Float[Tensor, "B Te V"]:
    """Each node's score before it is smoothed; the clip is a batch of its own, held against the task's average motion."""
    return task.score(clip.batch, *_by_itself(task, clip, 0))


@torch.no_grad()
def drawn_mask(task: Pretrain, clip: ShownClip, *, seed: int) -> Mask:
    """One mask of a clip."""
    return task.draw(clip.batch, *_by_itself(task, clip, seed)).mask


def _by_itself(task: Pretrain, clip: ShownClip, seed: int) -> tuple[RandomNumbers, GlobalBatch]:
    """The random numbers of a clip, and what it is a part of: itself."""
    batch, draw = clip.batch, keyed_generator(seed, Purpose.PICTURE_MASKS)
    counts, device = task.draws(batch.segments, len(batch.topology)), batch.frames.device
    numbers = {name: torch.rand(batch.num_bodies, n, generator=draw).to(device) for name, n in counts.items()}
    reference = task.reference() if task.needs_reference else None
    return RandomNumbers(**numbers), GlobalBatch(bodies=batch.num_bodies, reference=reference)


def average_motion(source: SkeletonLoader, clips: Int64[Tensor, " train"]) -> Float[Tensor, "T J C"]:
    """Mean clip of at most `REFERENCE_CLIPS` clips."""
    chosen = clips[torch.linspace(0, len(clips) - 1, min(len(clips), REFERENCE_CLIPS)).round().long()]
    portions = (source.plan(whole_view(part, source.length[part])) for part in chosen.split(128))
    return average_clip(source, portions)
