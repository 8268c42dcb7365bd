"""How long training and evaluation should take, from a few steps of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from masksem_graph.models.build import ModelConfig
from masksem_graph.protocols import Evaluation, FineTune
from masksem_graph.protocols.base import ENCODE_BATCH, Work
from masksem_graph.tasks.pretrain import MethodConfig, build_pretrain
from masksem_graph.training.optim import OptimConfig, build_adamw

Clips = Int64[Tensor, " S"]
SECONDS = 1.5  # measured of each kind of step, after one that warms up
FEW, STEP_AT_MOST = 8, 2.0  # a batch is measured whole where that takes no more seconds, else a few clips stand for it


@dataclass(frozen=True)
class Rates:
    """Clips a second on this machine.

    Args:
        pretrain: through a step of pre-training.
        encode: through the encoder alone.
        finetune: through a step of fine-tuning.
    """

    pretrain: float
    encode: float
    finetune: float

    def pretraining(self, clips: int, epochs: int) -> float:
        """Seconds for so many passes over so many clips."""
        return clips * epochs / self.pretrain

    def evaluation(self, work: Work) -> float:
        """Seconds for a protocol's work."""
        return work.encoded / self.encode + work.trained / self.finetune


def measure_rates(
    evaluation: Evaluation, model: ModelConfig, method: MethodConfig, optim: OptimConfig, *, batch_size: int
) -> Rates:
    """Run a few steps of each kind on the clips themselves.

    Args:
        evaluation: any encoder of this model on the clips.
        model, method, optim: of pre-training.
        batch_size: of pre-training.
    """
    recipe = FineTune(drop_path=0.0)
    training = recipe.start(evaluation, 0)

    def finetune(clips: Clips) -> None:
        training.step(0, 0, clips)

    def encode(clips: Clips) -> None:
        evaluation.encode_test(clips)

    steps = (
        (_pretraining_step(evaluation, model, method, optim), batch_size),
        (encode, ENCODE_BATCH),
        (finetune, recipe.batch_size),
    )
    return Rates(*(_rate(step, evaluation.train[:batch], evaluation.source.device) for step, batch in steps))


def _pretraining_step(
    evaluation: Evaluation, model: ModelConfig, method: MethodConfig, optim: OptimConfig
) -> Callable[[Clips], None]:
    source = evaluation.source
    with torch.random.fork_rng(devices=[]):
        task = build_pretrain(model, method, topology=evaluation.encoder.topology, channels=source.store.frames.shape[-1])
    task.to(source.device)
    optimiser, generator = build_adamw(task, optim), torch.Generator().manual_seed(0)

    def step(clips: Clips) -> None:
        plan = source.plan(evaluation.augmented(clips, generator))
        uniform = torch.rand(len(plan.body), task.nodes, generator=generator).to(source.device)
        task.update_teacher()
        with evaluation.autocast():
            loss = task(source.load(plan), uniform)["loss"]
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def _rate(step: Callable[[Clips], None], batch: Clips, device: torch.device) -> float:
    """Clips a second."""
    few = batch[:FEW]
    step(few)
    if _seconds(step, few, device) * len(batch) / len(few) > STEP_AT_MOST:
        batch = few
    step(batch)
    taken, clips = 0.0, 0
    while taken < SECONDS:
        taken += _seconds(step, batch, device)
        clips += len(batch)
    return clips / taken


def _seconds(step: Callable[[Clips], None], clips: Clips, device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    step(clips)
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_words(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
