"""What an evaluation protocol is, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.views import CropConfig, View, central_view, random_view
from masksem_graph.graph import SkeletonBatch
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head
from masksem_graph.models.pool import ReadOut, pooled
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.classify import Classify
from masksem_graph.training.processes import my_share, sum_over_processes

ENCODE_BATCH = 64  # sequences encoded at once, small enough for caches; changes speed and memory, not results
POOLS: tuple[ReadOut, ...] = ("mean", "joints")


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

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision to compute in."""
        return torch.autocast(self.source.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def encode(self, view: View, *, pool: ReadOut = "mean", encoder: SkeletonEncoder | None = None) -> Float[Tensor, "S P"]:
        """The feature of each clip.

        Args:
            view: how to look at the clips.
            pool: see `pooled`.
            encoder: another one than the evaluation's.
        """
        network = (encoder or self.encoder).eval()
        joints = len(self.source.topology)

        def feature(batch: SkeletonBatch) -> Float[Tensor, "S P"]:
            features, absent = network(batch).float(), network.absent_features(batch)
            absent = None if absent is None else absent.float()
            return pooled(features, batch.sequence, batch.num_sequences, absent, pool=pool, joints=joints)

        return self.map(feature, view, network.width * (joints if pool == "joints" else 1))

    def classify_test(self, clips: Int64[Tensor, " S"]) -> Float[Tensor, "S classes"]:
        """Scores that the run's own `head` gives to the central share of clips, unrotated."""
        assert self.head is not None
        network = Classify(encoder=self.encoder, head=self.head).eval()
        return self.map(network, self.central(clips), len(self.classes))

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

    @torch.no_grad()
    def map(self, network: Callable[[SkeletonBatch], Tensor], view: View, width: int) -> Float[Tensor, "S {width}"]:
        """What a network makes of each clip, every clip computed once and by one of the processes."""
        clips = len(view.clips)
        out = torch.zeros(clips, width, device=self.source.device)
        for part in _portions(clips):
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


def _portions(clips: int) -> Iterator[slice]:
    """This process's clips, a portion at a time."""
    mine = my_share(clips)
    for first in range(mine.start, mine.stop, ENCODE_BATCH):
        yield slice(first, min(first + ENCODE_BATCH, mine.stop))
