"""The linear probe: a frozen encoder, a normalised linear layer on its mean feature."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.models.heads import LinearHead
from masksem_graph.models.pool import ReadOut
from masksem_graph.protocols.base import Evaluation, Outcome, Protocol
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.training.optim import warmup_cosine


class Linear(Protocol):
    """SGD on a linear head; the encoder stays frozen and in eval mode.

    Args:
        epochs: passes over the training clips.
        batch_size: sequences in a step.
        lr: first learning rate; a cosine takes it to 0.
        momentum: of SGD.
        weight_decay: of SGD.
        pool: the mean over nodes and bodies, as published, or ``joints`` kept apart.
        views: 0 re-encodes freshly augmented clips in every epoch, as published; K encodes K augmented views of each clip
            once, and every epoch draws one of them.
    """

    least = 2  # statistics of a batch

    def __init__(
        self,
        *,
        epochs: int = 100,
        batch_size: int = 256,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        pool: ReadOut = "mean",
        views: int = 0,
    ) -> None:
        for name, value, least in (("epochs", epochs, 1), ("batch_size", batch_size, 2), ("views", views, 0)):
            if value < least:
                raise InputError(f"{name}: expected at least {least}, found {value}")
        self.epochs, self.batch_size, self.lr = epochs, batch_size, lr
        self.momentum, self.weight_decay, self.pool, self.views = momentum, weight_decay, pool, views

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        device = evaluation.source.device
        labels, truth = evaluation.labels(evaluation.train), evaluation.labels(evaluation.test)
        test = evaluation.encode_test(evaluation.test, pool=self.pool)
        head = self._head(evaluation, seed).to(device)
        optimiser = torch.optim.SGD(head.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        bar = progress.add_task("linear probe", total=self.epochs, note="")
        banked = [evaluation.encode_augmented(evaluation.train, seed, view, pool=self.pool) for view in range(self.views)]
        best, best_epoch, losses = 0.0, 0, []
        for epoch in range(self.epochs):
            features = self._features(evaluation, banked, seed, epoch)
            losses.append(self._epoch(head, optimiser, features, labels, seed, epoch))
            scores = self._predict(head, test)
            accuracy = 100 * (scores.argmax(1) == truth).float().mean().item()
            if accuracy > best:
                best, best_epoch = accuracy, epoch + 1
            progress.update(bar, advance=1, note=f"loss {losses[-1]:.3f}  test {accuracy:.1f} %")
        # The last epoch is the result; the best one was chosen on test data and is only reported as such.
        figures = {
            "best_epoch_top1_chosen_on_test": best,
            "best_epoch_chosen_on_test": best_epoch,
            "train_loss": losses[-1],
        }
        return Outcome(scores=scores, figures=figures, head=head.eval())

    def _head(self, evaluation: Evaluation, seed: int) -> LinearHead:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(keyed_generator(Purpose.PROBE_HEAD, seed).initial_seed())
            return LinearHead(
                width=evaluation.encoder.width,
                joints=len(evaluation.source.topology),
                classes=len(evaluation.classes),
                read=self.pool,
            )

    def _features(
        self, evaluation: Evaluation, banked: list[Float[Tensor, "S D"]], seed: int, epoch: int
    ) -> Float[Tensor, "S D"]:
        if not banked:
            return evaluation.encode_augmented(evaluation.train, seed, epoch, pool=self.pool)
        rows = torch.arange(len(banked[0]))
        choice = torch.randint(len(banked), rows.shape, generator=keyed_generator(Purpose.PROBE_ORDER, seed, epoch, 1))
        return torch.stack(banked)[choice, rows]

    def _epoch(
        self,
        head: LinearHead,
        optimiser: torch.optim.SGD,
        features: Float[Tensor, "S D"],
        labels: Int64[Tensor, " S"],
        seed: int,
        epoch: int,
    ) -> float:
        head.train()
        order = torch.randperm(len(labels), generator=keyed_generator(Purpose.PROBE_ORDER, seed, epoch)).to(labels.device)
        # A single clip left over would have no batch statistics; it joins the batch before it.
        steps = max(math.ceil(len(order) / self.batch_size) - (len(order) % self.batch_size == 1), 1)
        total = 0.0
        for step, batch in enumerate(order.tensor_split([self.batch_size * i for i in range(1, steps)])):
            lr = warmup_cosine(epoch * steps + step, steps=self.epochs * steps, warmup=0, peak=self.lr, final=0.0)
            for group in optimiser.param_groups:
                group["lr"] = lr
            loss = F.cross_entropy(head(features[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        return total / len(order)

    @torch.no_grad()
    def _predict(self, head: LinearHead, features: Float[Tensor, "S D"]) -> Float[Tensor, "S classes"]:
        head.eval()
        return head(features)
