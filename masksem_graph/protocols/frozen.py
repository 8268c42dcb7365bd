"""Protocols that leave the encoder as it is: the linear probe, k nearest neighbours, and the run's own head."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.models.heads import Head, LinearHead
from masksem_graph.models.pool import ReadOut
from masksem_graph.protocols.base import Evaluation, Outcome, Protocol, batches, require_least, trained_figures
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.classify import Classify
from masksem_graph.training.optim import set_rate

PART = 1024  # test clips that k-NN compares at once


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
            set_rate(optimiser, step, steps=self.epochs * len(parts), warmup=0, peak=self.lr, final=0.0)
            loss = F.cross_entropy(head(features[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        return total / len(order)


def knn_scores(
    train: Float[Tensor, "train D"], labels: Int64[Tensor, " train"], test: Float[Tensor, "test D"], *, k: int, classes: int
) -> Float[Tensor, "test classes"]:
    """Share of votes of the ``k`` training clips of largest cosine similarity; the nearest of them breaks ties."""
    train, k = F.normalize(train, dim=1), min(k, train.shape[0])
    # A part at a time: all pairs of clips of NTU-120 are 13 GB.
    near = torch.cat([(F.normalize(part, dim=1) @ train.T).topk(k, dim=1).indices for part in test.split(PART)])
    votes = F.one_hot(labels[near], classes).float()
    # The sooner a class comes up, the more of a hundredth of a vote it gets on top: it breaks a tie and overturns no vote.
    first = votes.argmax(1) / near.shape[1]
    return votes.mean(1) + votes.amax(1) * (1 - first) * 0.01 / near.shape[1]


class KNN(Protocol):
    """Cosine k-NN on mean features of the central 95 % of every clip.

    Args:
        k: neighbours that vote; the first is the result, the others are reported beside it.
        pool: the mean over nodes and bodies, or ``joints`` kept apart.
    """

    def __init__(self, *, k: list[int] = [1, 20], pool: ReadOut = "mean") -> None:  # noqa: B006 - read only, and jsonargparse shows it
        if not k or min(k) < 1:
            raise InputError(f"k: expected numbers of neighbours from 1, found {k}")
        self.k, self.pool = list(k), pool

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        bar, features = progress.add_task("k-NN", total=2, note=""), []
        for clips in (evaluation.train, evaluation.test):
            features.append(evaluation.encode_test(clips, pool=self.pool))
            progress.advance(bar)
        labels, classes = evaluation.labels(evaluation.train), len(evaluation.classes)
        scores = {k: knn_scores(features[0], labels, features[1], k=k, classes=classes) for k in self.k}
        figures = {f"top1_k{k}": evaluation.accuracy(found) for k, found in scores.items()}
        return Outcome(scores=scores[self.k[0]], figures=figures)


class OwnHead(Protocol):
    """The head that the run itself holds, a converted probe's for one; nothing is trained.

    It scores the central share of the test clips. A run without a head, or with one for other classes, is refused.
    """

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        head, classes = evaluation.head, len(evaluation.classes)
        if head is None:
            raise InputError("--run: this protocol needs a run with a head (head.yaml), found none")
        if head.classes != classes:
            raise InputError(f"--run: its head scores {head.classes} classes, and the data has {classes}")
        bar = progress.add_task("own head", total=1, note="")
        network = Classify(encoder=evaluation.encoder, head=head).eval()
        scores = evaluation.map(network, evaluation.central(evaluation.test), classes)
        progress.advance(bar)
        return Outcome(scores=scores, figures={}, head=head)
