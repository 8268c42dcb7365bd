"""Fine-tuning: encoder and head learn the classes together."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.models.heads import HeadFactory, MLPHead
from masksem_graph.protocols.base import Evaluation, Outcome, Protocol
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.classify import Classify
from masksem_graph.training.optim import layer_groups, undecayed, warmup_cosine
from masksem_graph.training.processes import my_share, rank, sum_gradients, sum_over_processes


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

    least = 2  # statistics of a batch

    def __init__(
        self,
        *,
        epochs: int = 100,
        batch_size: int = 48,
        lr: float = 3e-4,
        final_lr: float = 1e-5,
        warmup: float = 0.05,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.05,
        decay_encodings: bool = False,
        layer_decay: float = 0.8,
        drop_path: float = 0.3,
        label_smoothing: float = 0.1,
        head: HeadFactory = MLPHead,
        test_every: int = 1,
    ) -> None:
        for name, value, least in (("epochs", epochs, 1), ("batch_size", batch_size, 2), ("test_every", test_every, 1)):
            if value < least:
                raise InputError(f"{name}: expected at least {least}, found {value}")
        for name, share in (("warmup", warmup), ("drop_path", drop_path), ("label_smoothing", label_smoothing)):
            if not 0 <= share < 1:
                raise InputError(f"{name}: expected a share in [0, 1), found {share}")
        if not 0 < layer_decay <= 1:
            raise InputError(f"layer_decay: expected a factor in (0, 1], found {layer_decay}")
        if lr <= 0 or final_lr < 0:
            raise InputError(f"lr, final_lr: expected a rate above 0 and one of at least 0, found {lr}, {final_lr}")
        self.epochs, self.batch_size, self.lr, self.final_lr, self.warmup = epochs, batch_size, lr, final_lr, warmup
        self.betas, self.weight_decay, self.decay_encodings = betas, weight_decay, decay_encodings
        self.layer_decay, self.drop_path, self.label_smoothing = layer_decay, drop_path, label_smoothing
        self.head, self.test_every = head, test_every

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        training = self.start(evaluation, seed)
        truth = evaluation.labels(evaluation.test)
        bar = progress.add_task("fine-tuning", total=self.epochs * training.steps, note="")
        best, best_epoch, note = 0.0, 0, ""
        for epoch in range(self.epochs):
            losses = []
            for step, clips in enumerate(self.batches(evaluation, seed, epoch)):
                losses.append(training.step(epoch, step, clips) * len(clips))
                progress.update(bar, advance=1, note=note)
            loss = torch.stack(losses).sum().item() / len(evaluation.train)
            if not math.isfinite(loss):
                raise InputError(
                    f"lr: the loss became {loss} in epoch {epoch + 1}, expected a finite number; try a smaller --lr"
                )
            if (epoch + 1) % self.test_every == 0 or epoch + 1 == self.epochs:
                scores = training.test_scores()
                accuracy = 100 * (scores.argmax(1) == truth).float().mean().item()
                if accuracy > best:
                    best, best_epoch = accuracy, epoch + 1
                note = f"epoch {epoch + 1}  loss {loss:.3f}  test {accuracy:.1f} %"
        # The last epoch is the result; the best one was chosen on test data and is only reported as such.
        figures = {"best_epoch_top1_chosen_on_test": best, "best_epoch_chosen_on_test": best_epoch, "train_loss": loss}
        network = training.network.eval()
        return Outcome(scores=scores, figures=figures, encoder=network.encoder, head=network.head)

    def start(self, evaluation: Evaluation, seed: int) -> Training:
        """A copy of the encoder with a fresh head and its optimiser."""
        encoder = copy.deepcopy(evaluation.encoder).requires_grad_(True)
        encoder.set_drop_path(self.drop_path)
        if evaluation.compile:
            encoder.backbone.compile_layers()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(keyed_generator(Purpose.FINETUNE_HEAD, seed).initial_seed())
            head = self.head(width=encoder.width, joints=len(evaluation.source.topology), classes=len(evaluation.classes))
        network = Classify(encoder=encoder, head=head).to(evaluation.source.device)
        spared = undecayed(network, decay_encodings=self.decay_encodings)
        groups = layer_groups(network.layers(), spared, weight_decay=self.weight_decay, layer_decay=self.layer_decay)
        optimiser = torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, fused=True)
        return Training(self, evaluation, network, optimiser, seed)

    def steps_per_epoch(self, clips: int) -> int:
        """Optimiser steps in a pass over ``clips`` clips."""
        # A single clip left over would have no batch statistics; it joins the batch before it.
        return max(math.ceil(clips / self.batch_size) - (clips % self.batch_size == 1), 1)

    def batches(self, evaluation: Evaluation, seed: int, epoch: int) -> Iterator[Int64[Tensor, " S"]]:
        """The training clips in the order of an epoch, the global batch of each step."""
        order = evaluation.train[
            torch.randperm(len(evaluation.train), generator=keyed_generator(Purpose.FINETUNE_ORDER, seed, epoch))
        ]
        edges = [self.batch_size * i for i in range(1, self.steps_per_epoch(len(order)))]
        return iter(order.tensor_split(edges))


@dataclass(frozen=True)
class Training:
    """A fine-tuning run under way."""

    recipe: FineTune
    evaluation: Evaluation
    network: Classify
    optimiser: torch.optim.Optimizer
    seed: int

    @property
    def steps(self) -> int:
        """Optimiser steps in an epoch."""
        return self.recipe.steps_per_epoch(len(self.evaluation.train))

    def step(self, epoch: int, step: int, clips: Int64[Tensor, " S"]) -> Tensor:
        """One optimiser step on a global batch, of which this process computes its part; returns the mean loss."""
        recipe, evaluation = self.recipe, self.evaluation
        view = evaluation.augmented(clips, keyed_generator(Purpose.FINETUNE_VIEW, self.seed, epoch, step))
        mine = my_share(len(clips))
        batch = evaluation.source.load(evaluation.source.plan(view[mine.start : mine.stop]))
        self._set_rate(epoch * self.steps + step)
        self.network.train()
        with self._dropout(epoch, step), evaluation.autocast():
            scores = self.network(batch)
        loss = F.cross_entropy(scores.float(), batch.y, reduction="sum", label_smoothing=recipe.label_smoothing)
        loss = loss / len(clips)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        sum_gradients([p for p in self.network.parameters() if p.requires_grad])
        self.optimiser.step()
        return sum_over_processes(loss.detach())

    def _set_rate(self, step: int) -> None:
        recipe, total = self.recipe, self.recipe.epochs * self.steps
        warmup = round(recipe.warmup * total)
        rate = warmup_cosine(step, steps=total, warmup=warmup, peak=recipe.lr, final=recipe.final_lr)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]

    @contextmanager
    def _dropout(self, epoch: int, step: int) -> Iterator[None]:
        """Dropout and stochastic depth are drawn from the seed, by each process its own, and nobody else's numbers change."""
        device = self.evaluation.source.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(keyed_generator(Purpose.FINETUNE_DROPOUT, self.seed, epoch, step, rank()).initial_seed())
            yield

    def test_scores(self) -> Tensor:
        """Scores of the test clips."""
        self.network.eval()
        evaluation = self.evaluation
        return evaluation.map(self.network, evaluation.central(evaluation.test), len(evaluation.classes))
