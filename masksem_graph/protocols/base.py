"""What an evaluation protocol is, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.data.augment import AugmentConfig, CropConfig, View, central_view, random_view
from masksem_graph.data.clips import ClipBatch, ClipSource
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head
from masksem_graph.models.pool import sequence_mean
from masksem_graph.seeding import keyed_generator

ENCODE_BATCH = 64  # sequences encoded at once, small enough for caches; changes speed and memory, not results
PROBE_VIEW = 3  # what a keyed generator is for


@dataclass(frozen=True)
class Evaluation:
    """An encoder and the labelled clips of a split.

    Args:
        encoder: on the source's device.
        source: views of the clips.
        train, test: positions of the labelled clips in the store.
        classes: names by label.
        crop, augment: how training clips are varied.
        bf16: encode under bfloat16 autocast.
        head: the run's own classifier, on the source's device, where it has one.
    """

    encoder: SkeletonEncoder
    source: ClipSource
    train: Int64[Tensor, " train"]
    test: Int64[Tensor, " test"]
    classes: tuple[str, ...]
    crop: CropConfig
    augment: AugmentConfig
    bf16: bool = False
    head: Head | None = None

    def labels(self, clips: Int64[Tensor, " S"]) -> Int64[Tensor, " S"]:
        """Class of each clip, on the source's device."""
        return self.source.label[clips].to(self.source.device)

    @torch.no_grad()
    def encode(self, view: View) -> Float[Tensor, "S D"]:
        """The feature of each clip: the mean over the nodes of its bodies, as the encoder's ``pool`` has it."""

        def mean(features: Tensor, batch: ClipBatch, absent: Tensor | None) -> Tensor:
            return sequence_mean(features, batch.sequence, len(batch.label), absent)[0]

        return self._map(mean, view)

    @torch.no_grad()
    def classify_test(self, clips: Int64[Tensor, " S"]) -> Float[Tensor, "S classes"]:
        """Scores that the run's own `head` gives to the central share of clips, unrotated."""
        head = self.head
        assert head is not None

        def score(features: Tensor, batch: ClipBatch, absent: Tensor | None) -> Tensor:
            return head(head.pool(features, batch.sequence, len(batch.label), absent))

        return self._map(score, central_view(clips, self.source.length[clips], self.crop))

    def _map(self, of_features: Callable[[Tensor, ClipBatch, Tensor | None], Tensor], view: View) -> Tensor:
        """What is made of the node features of each clip and of an absent body, a portion at a time."""
        self.encoder.eval()
        out = []
        for part in _portions(view):
            batch = self.source.load(self.source.plan(part))
            with torch.autocast(self.source.device.type, torch.bfloat16) if self.bf16 else nullcontext():
                features, absent = self.encoder.features(batch.coordinates), self.encoder.absent_features()
            out.append(of_features(features.float(), batch, None if absent is None else absent.float()))
        return torch.cat(out)

    def encode_test(self, clips: Int64[Tensor, " S"]) -> Float[Tensor, "S D"]:
        """Features of the central share of clips, unrotated."""
        return self.encode(central_view(clips, self.source.length[clips], self.crop))

    def encode_augmented(self, clips: Int64[Tensor, " S"], *key: int) -> Float[Tensor, "S D"]:
        """Features of randomly cropped and turned clips; the same key gives the same views."""
        generator = keyed_generator(PROBE_VIEW, *key)
        return self.encode(random_view(clips, self.source.length[clips], self.crop, self.augment, generator))


@dataclass(frozen=True)
class Outcome:
    """What one run of a protocol found.

    Args:
        scores: of each test clip for each class; the largest is the prediction.
        figures: further numbers for ``results.json``.
    """

    scores: Float[Tensor, "test classes"]
    figures: dict[str, Any]


class Protocol(ABC):
    """A way to evaluate an encoder. A new one is one file with one subclass, named by its dotted path.

    Constructors are keyword-only; their arguments are fields of the protocol's YAML and options of ``evaluate.py``.
    """

    @abstractmethod
    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        """Evaluate once, from one seed."""


def _portions(view: View) -> Iterator[View]:
    for first in range(0, len(view.clips), ENCODE_BATCH):
        part = slice(first, first + ENCODE_BATCH)
        turned = None if view.transform is None else view.transform[part]
        yield View(view.clips[part], view.start[part], view.length[part], turned)
