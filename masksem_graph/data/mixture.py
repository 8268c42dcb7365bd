"""Several data sets in one training: which of them a step takes, and which of its clips."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.errors import InputError
from masksem_graph.seeding import Purpose, keyed_generator


@dataclass(frozen=True)
class TrainingSet:
    """A data set to train on.

    Args:
        name: in figures.
        source: views of its clips.
        clips: positions of the training clips in the store.
        weight: how often a step takes it, relative to the others.
    """

    name: str
    source: SkeletonLoader
    clips: Int64[Tensor, " clips"]
    weight: float = 1.0

    def __post_init__(self) -> None:
        if len(self.clips) == 0:
            raise InputError(f"data.split: expected training clips, {self.source.store.path} has none in this split")


class Portion(NamedTuple):
    """The clips of a step, by their positions in the store of one data set, so that they are on one skeleton."""

    data_set: int
    clips: Int64[Tensor, " S"]


class Mixture:
    """Draws a data set for each step, by weight, and goes through its clips.

    An epoch has as many steps as one pass through every data set takes. A set's clips are shuffled, and all of them come up
    before any comes up again; such a pass begins and ends in the middle of an epoch where the weights are not in proportion to
    the sizes. One data set by itself is passed through once an epoch.

    Everything is a function of the seed and the epoch, so that a resumed run goes on as if it had never stopped.

    Args:
        sets: the data sets.
        batch_size: sequences in a step.
        seed: of everything random.
    """

    def __init__(self, sets: Sequence[TrainingSet], *, batch_size: int, seed: int) -> None:
        self.sets, self.batch_size, self.seed = tuple(sets), batch_size, seed
        self.batches = [math.ceil(len(one.clips) / batch_size) for one in self.sets]
        self.steps = sum(self.batches)
        self._taken = [torch.zeros(len(self.sets), dtype=torch.int64)]

    def choices(self, epoch: int) -> Int64[Tensor, " steps"]:
        """The data set of each step of an epoch."""
        weights = torch.tensor([one.weight for one in self.sets], dtype=torch.float64)
        generator = keyed_generator(self.seed, Purpose.DATA_SET, epoch)
        return torch.multinomial(weights, self.steps, replacement=True, generator=generator)

    def epoch(self, epoch: int) -> Iterator[Portion]:
        """The portions of an epoch, a step each."""
        while len(self._taken) <= epoch:  # batches of each data set in the epochs before
            latest = self.choices(len(self._taken) - 1).bincount(minlength=len(self.sets))
            self._taken.append(self._taken[-1] + latest)
        taken = self._taken[epoch].tolist()
        batches_of = [lru_cache(1)(partial(self._pass, i)) for i in range(len(self.sets))]
        for chosen in self.choices(epoch).tolist():
            number, batch = divmod(taken[chosen], self.batches[chosen])
            taken[chosen] += 1
            yield Portion(chosen, batches_of[chosen](number)[batch])

    def sequences(self, epoch: int) -> int:
        """How many an epoch goes through."""
        return sum(len(portion.clips) for portion in self.epoch(epoch))

    def _pass(self, data_set: int, number: int) -> tuple[Tensor, ...]:
        """The batches of a pass through a data set."""
        clips = self.sets[data_set].clips
        # The first set's key has no position in it: a run on it alone is the same run as before there were several.
        generator = keyed_generator(self.seed, Purpose.CLIP_ORDER, number, *([data_set] if data_set else []))
        return clips[torch.randperm(len(clips), generator=generator)].split(self.batch_size)
