"""Fine-tuning: encoder and head learn the classes together."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.models.heads import HeadFactory, MLPHead
from masksem_graph.protocols.base import Evaluation, Outcome, Protocol, batches, require_least, trained_figures
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.classify import Classify
from masksem_graph.training.optim import layer_groups, set_rate, undecayed
from masksem_graph.training.processes import my_share, rank, sum_gradients, sum_over_processes


@dataclass(kw_only=True)
class FineTune(Protocol):
    """AdamW on encoder and head, with layer-wise learning rates, stochastic depth and smoothed labels.

    Args:
        epochs: passes over the labelled training clips.
        batch_size: sequences in a step, over all processes.
        lr: learning rate of the head after warm-up.
        final_lr: learning rate of the head in the last step.
        warmup: share of the steps that the learning rate rises in.
        betas: AdamW's decay rates of the moments.
        weight_decay: on matrices; never on biases and norms.
        decay_encodings: weight decay on positional encodings too, as in the authors' code.
        layer_decay: factor on the learning rate from a layer of the encoder to the one before it; 1 for one rate everywhere.
        drop_path: rate of stochastic depth in the encoder's last layer, growing from 0 in the first.
        label_smoothing: share of the target that is spread over all classes.
        head: what stands on the encoder.
        test_every: epochs between the checks on test clips that ``best_epoch`` is chosen from; the last epoch always is one.
    """

    least: ClassVar[int] = 2  # statistics of a batch

    epochs: int = 100
    batch_size: int = 48
    lr: float = 3e-4
    final_lr: float = 1e-5
    warmup: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.05
    decay_encodings: bool = False
    layer_decay: float = 0.8
    drop_path: float = 0.3
    label_smoothing: float = 0.1
    head: HeadFactory = MLPHead
    test_every: int = 1

    def __post_init__(self) -> None:
        require_least(epochs=(self.epochs, 1), batch_size=(self.batch_size, 2), test_every=(self.test_every, 1))
        for name in ("warmup", "drop_path", "label_smoothing"):
            if not 0 <= (share := getattr(self, name)) < 1:
                raise InputError(f"{name}: expected a share in [0, 1), found {share}")
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"layer_decay: expected a factor in (0, 1], found {self.layer_decay}")
        if self.lr <= 0 or self.final_lr < 0:
            found = f"{self.lr}, {self.final_lr}"
            raise InputError(f"lr, final_lr: expected a rate above 0 and one of at least 0, found {found}")

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        training = self.start(evaluation, seed)
        network, classes = training.network, len(evaluation.classes)
        bar = progress.add_task("fine-tuning", total=self.epochs * training.steps, note="")
        accuracies, note = [0.0] * self.epochs, ""
        for epoch in range(self.epochs):
            losses = []
            for step, clips in enumerate(self.batches(evaluation, seed, epoch)):
                losses.append(training.step(epoch, step, clips) * len(clips))
                progress.update(bar, advance=1, note=note)
            loss = torch.stack(losses).sum().item() / len(evaluation.train)
            if not math.isfinite(loss):
                found = f"the loss became {loss} in epoch {epoch + 1}"
                raise InputError(f"lr: {found}, expected a finite number; try a smaller --lr")
            if (epoch + 1) % self.test_every == 0 or epoch + 1 == self.epochs:
                scores = evaluation.map(network.eval(), evaluation.central(evaluation.test), classes)
                accuracies[epoch] = evaluation.accuracy(scores)
                note = f"epoch {epoch + 1}  loss {loss:.3f}  test {accuracies[epoch]:.1f} %"
        return Outcome(scores, trained_figures(accuracies, loss), encoder=network.encoder, head=network.head)

    def start(self, evaluation: Evaluation, seed: int) -> Training:
        """A copy of the encoder with a fresh head and its optimiser."""
        encoder = copy.deepcopy(evaluation.encoder).requires_grad_(True)
        encoder.set_drop_path(self.drop_path)
        if evaluation.compile:
            encoder.backbone.compile_layers()
        head = evaluation.new_head(self.head, Purpose.FINETUNE_HEAD, seed)
        network = Classify(encoder=encoder, head=head).to(evaluation.source.device)
        spared = undecayed(network, decay_encodings=self.decay_encodings)
        groups = layer_groups(network.layers(), spared, weight_decay=self.weight_decay, layer_decay=self.layer_decay)
        optimiser = torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, fused=True)
        return Training(self, evaluation, network, optimiser, seed, steps=len(self.batches(evaluation, seed, 0)))

    def batches(self, evaluation: Evaluation, seed: int, epoch: int) -> tuple[Int64[Tensor, " _"], ...]:
        """The training clips in the order of an epoch, the global batch of each step."""
        generator = keyed_generator(Purpose.FINETUNE_ORDER, seed, epoch)
        return batches(evaluation.train[torch.randperm(len(evaluation.train), generator=generator)], self.batch_size)


@dataclass(frozen=True)
class Training:
    """A fine-tuning run under way, of ``steps`` in an epoch."""

    recipe: FineTune
    evaluation: Evaluation
    network: Classify
    optimiser: torch.optim.Optimizer
    seed: int
    steps: int

    def step(self, epoch: int, step: int, clips: Int64[Tensor, " S"]) -> Tensor:
        """One optimiser step on a global batch, of which this process computes its part; returns the mean loss."""
        recipe, evaluation = self.recipe, self.evaluation
        view = evaluation.augmented(clips, keyed_generator(Purpose.FINETUNE_VIEW, self.seed, epoch, step))
        mine = my_share(len(clips))
        batch = evaluation.source.load(evaluation.source.plan(view[mine.start : mine.stop]))
        total, now = recipe.epochs * self.steps, epoch * self.steps + step
        warmup = round(recipe.warmup * total)
        set_rate(self.optimiser, now, steps=total, warmup=warmup, peak=recipe.lr, final=recipe.final_lr)
        self.network.train()
        # Dropout and stochastic depth are drawn from the seed, by each process its own, and nobody else's numbers change.
        device = evaluation.source.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), evaluation.autocast():
            torch.manual_seed(keyed_generator(Purpose.FINETUNE_DROPOUT, self.seed, epoch, step, rank()).initial_seed())
            scores = self.network(batch)
        loss = F.cross_entropy(scores.float(), batch.y, reduction="sum", label_smoothing=recipe.label_smoothing)
        loss = loss / len(clips)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        sum_gradients([p for p in self.network.parameters() if p.requires_grad])
        self.optimiser.step()
        return sum_over_processes(loss.detach())
