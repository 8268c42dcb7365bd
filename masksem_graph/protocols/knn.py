"""k nearest neighbours in feature space: the quick look, without training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.models.pool import ReadOut
from masksem_graph.protocols.base import Evaluation, Outcome, Protocol

PART = 1024  # test clips compared at once


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
