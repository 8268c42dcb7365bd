"""The linear probe: a frozen encoder, a normalised linear layer on its mean feature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.models.heads import Head, LinearHead
from masksem_graph.models.pool import ReadOut
from masksem_graph.protocols.base import Evaluation, Outcome, Protocol, batches, require_least, trained_figures
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.training.optim import warmup_cosine


@dataclass(kw_only=True)
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

    least: ClassVar[int] = 2  # statistics of a batch

    epochs: int = 100
    batch_size: int = 256
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    pool: ReadOut = "mean"
    views: int = 0

    def __post_init__(self) -> None:
        require_least(epochs=(self.epochs, 1), batch_size=(self.batch_size, 2), views=(self.views, 0))

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        labels = evaluation.labels(evaluation.train)
        test = evaluation.encode_test(evaluation.test, pool=self.pool)
        head = self._head(evaluation, seed).to(evaluation.source.device)
        optimiser = torch.optim.SGD(head.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        bar = progress.add_task("linear probe", total=self.epochs, note="")
        banked = [evaluation.encode_augmented(evaluation.train, seed, view, pool=self.pool) for view in range(self.views)]
        accuracies = []
        for epoch in range(self.epochs):
            features = self._features(evaluation, banked, seed, epoch)
            loss = self._epoch(head, optimiser, features, labels, seed, epoch)
            with torch.no_grad():
                scores = head.eval()(test)
            accuracies.append(evaluation.accuracy(scores))
            progress.update(bar, advance=1, note=f"loss {loss:.3f}  test {accuracies[-1]:.1f} %")
        return Outcome(scores=scores, figures=trained_figures(accuracies, loss), head=head)

    def _head(self, evaluation: Evaluation, seed: int) -> Head:
        return evaluation.new_head(partial(LinearHead, read=self.pool), Purpose.PROBE_HEAD, seed)

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
        head: Head,
        optimiser: torch.optim.SGD,
        features: Float[Tensor, "S D"],
        labels: Int64[Tensor, " S"],
        seed: int,
        epoch: int,
    ) -> float:
        """Train on every clip once; returns the mean loss."""
        head.train()
        order = torch.randperm(len(labels), generator=keyed_generator(Purpose.PROBE_ORDER, seed, epoch)).to(labels.device)
        parts, total = batches(order, self.batch_size), 0.0
        for step, batch in enumerate(parts, epoch * len(parts)):
            lr = warmup_cosine(step, steps=self.epochs * len(parts), warmup=0, peak=self.lr, final=0.0)
            for group in optimiser.param_groups:
                group["lr"] = lr
            loss = F.cross_entropy(head(features[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        return total / len(order)
