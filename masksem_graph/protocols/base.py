"""What an evaluation protocol is, and what it is given."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.views import CropConfig, View, central_view, random_view
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head
from masksem_graph.models.pool import ReadOut, pooled
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.training.processes import my_share, sum_over_processes

ENCODE_BATCH = 64  # sequences encoded at once, small enough for caches; changes speed and memory, not results


@dataclass(frozen=True)
class Evaluation:
    """An encoder and the labelled clips of a split.

    Args:
        encoder: on the source's device; a protocol leaves it as it is.
        source: views of the clips.
        train, test: positions of the labelled clips in the store.
        classes: names by label.
        crop: which part of a clip is looked at; the source's transforms vary training clips.
        bf16: compute under bfloat16 autocast.
        head: the run's own classifier, on the source's device, where it has one.
        compile: compile the networks that a protocol trains.
        untrained: makes the encoder's twin with freshly drawn weights from a seed; None where nobody can.
    """

    encoder: SkeletonEncoder
    source: SkeletonLoader
    train: Int64[Tensor, " train"]
    test: Int64[Tensor, " test"]
    classes: tuple[str, ...]
    crop: CropConfig
    bf16: bool = False
    head: Head | None = None
    compile: bool = False
    untrained: Callable[[int], SkeletonEncoder] | None = None

    def labels(self, clips: Int64[Tensor, " S"]) -> Int64[Tensor, " S"]:
        """Class of each clip, on the source's device."""
        return self.source.label[clips].to(self.source.device)

    def accuracy(self, scores: Float[Tensor, "test classes"]) -> float:
        """Top-1 accuracy on the test clips, in per cent."""
        return 100 * (scores.argmax(1) == self.labels(self.test)).float().mean().item()

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision to compute in."""
        return torch.autocast(self.source.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def encode(self, view: View, *, pool: ReadOut = "mean", encoder: SkeletonEncoder | None = None) -> Float[Tensor, "S P"]:
        """The feature of each clip of a view, `pooled`; by another encoder than the evaluation's where one is given."""
        network, joints = (encoder or self.encoder).eval(), len(self.source.topology)

        def feature(batch: SkeletonBatch) -> Float[Tensor, "S P"]:
            features, absent = network(batch).float(), network.absent_features(batch)
            absent = None if absent is None else absent.float()
            return pooled(features, batch.sequence, batch.num_sequences, absent, pool=pool, joints=joints)

        return self.map(feature, view, network.width * (joints if pool == "joints" else 1))

    def encode_test(self, clips: Int64[Tensor, " S"], *, pool: ReadOut = "mean") -> Float[Tensor, "S P"]:
        """Features of the central share of clips, as recorded."""
        return self.encode(self.central(clips), pool=pool)

    def encode_augmented(self, clips: Int64[Tensor, " S"], *key: int, pool: ReadOut = "mean") -> Float[Tensor, "S P"]:
        """Features of randomly cropped and transformed clips; the same key gives the same views."""
        return self.encode(self.augmented(clips, keyed_generator(Purpose.PROBE_VIEW, *key)), pool=pool)

    def central(self, clips: Int64[Tensor, " S"]) -> View:
        """The view that is tested on."""
        return central_view(clips, self.source.length[clips], self.crop)

    def augmented(self, clips: Int64[Tensor, " S"], generator: torch.Generator) -> View:
        """A view to train on."""
        return random_view(clips, self.source.length[clips], self.crop, self.source.transforms, generator)

    def new_head(self, factory: Callable[..., Head], *key: int) -> Head:
        """A head for the encoder and the classes; the same key gives the same weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(keyed_generator(*key).initial_seed())
            return factory(width=self.encoder.width, joints=len(self.source.topology), classes=len(self.classes))

    @torch.no_grad()
    def map(self, network: Callable[[SkeletonBatch], Tensor], view: View, width: int) -> Float[Tensor, "S {width}"]:
        """What a network makes of each clip, every clip computed once and by one of the processes."""
        out = torch.zeros(len(view.clips), width, device=self.source.device)
        mine = my_share(len(view.clips))
        for first in mine[::ENCODE_BATCH]:
            part = slice(first, min(first + ENCODE_BATCH, mine.stop))
            plan = self.source.plan(view[part])
            with self.autocast():
                out[part] = network(self.source.load(plan)).float()
        # Rows of other processes are zero here and in no two processes anything else: the sum is exact.
        return sum_over_processes(out)


@dataclass(frozen=True)
class Outcome:
    """What one run of a protocol found.

    Args:
        scores: of each test clip for each class; the largest is the prediction.
        figures: further numbers for ``results.json``.
        encoder: the encoder that made the scores, where it is another than the one given.
        head: the head that made them; None where there is none.
    """

    scores: Float[Tensor, "test classes"]
    figures: dict[str, Any]
    encoder: SkeletonEncoder | None = None
    head: Head | None = None


class Protocol(ABC):
    """A way to evaluate an encoder. A new one is one file with one subclass, named by its dotted path.

    Constructors are keyword-only; their arguments are fields of the protocol's YAML and options of ``evaluate.py``.
    """

    least: ClassVar[int] = 1
    """Labelled training clips that it needs."""

    @abstractmethod
    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        """Evaluate once, from one seed."""


def batches(order: Int64[Tensor, " S"], size: int) -> tuple[Int64[Tensor, " _"], ...]:
    """Clips in batches of ``size``. A single one left over, which has no batch statistics, joins the batch before it."""
    count = max(math.ceil(len(order) / size) - (len(order) % size == 1), 1)
    return order.tensor_split([size * i for i in range(1, count)])


def trained_figures(accuracies: list[float], loss: float) -> dict[str, float]:
    """Figures from the accuracy after each epoch and the last one's loss.

    The last epoch is the result. The best one was chosen on test data and is only told of as such.
    """
    best = max([0.0, *accuracies])
    epoch = [0.0, *accuracies].index(best)
    return {"best_epoch_top1_chosen_on_test": best, "best_epoch_chosen_on_test": epoch, "train_loss": loss}


def require_least(**limits: tuple[int, int]) -> None:
    """Refuse an option below its least value; each is given as ``name=(value, least)``."""
    for name, (value, least) in limits.items():
        if value < least:
            raise InputError(f"{name}: expected at least {least}, found {value}")
