"""Which of the training clips have a label: the semi-supervised setting of any protocol."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int64
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.seeding import Purpose, keyed_generator


@dataclass(frozen=True)
class LabelsConfig:
    """The labelled part of the training clips; the protocol sees no other.

    Args:
        share: of the training clips, in (0, 1]; 0.01 for 1 %.
        per_class: labelled clips of each class, in place of a share.
        draw: ``stratified`` keeps the classes' proportions and leaves none out, ``plain`` draws from all clips alike.
    """

    share: float = 1.0
    per_class: int | None = None
    draw: Literal["stratified", "plain"] = "stratified"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"labels.share: expected a share in (0, 1], found {self.share}")
        if self.per_class is not None:
            if self.per_class < 1:
                raise InputError(f"labels.per_class: expected at least 1, found {self.per_class}")
            if self.share != 1 or self.draw != "stratified":
                fault = "takes the place of labels.share and labels.draw; expected one of them alone"
                raise InputError(f"labels.per_class: {fault}")

    @property
    def all(self) -> bool:
        """Whether every training clip has its label."""
        return self.share == 1 and self.per_class is None

    def choose(self, clips: Int64[Tensor, " train"], labels: Int64[Tensor, " train"], seed: int) -> Int64[Tensor, " labelled"]:
        """The labelled ones of some clips of the store, in their order; which they are depends on the seed alone."""
        if self.all:
            return clips
        shuffled = torch.randperm(len(clips), generator=keyed_generator(Purpose.LABELLED_SUBSET, seed))
        if self.per_class is None and self.draw == "plain":
            chosen = shuffled[: self._total(len(clips), least=2)]
        else:
            classes, counts = labels.unique(return_counts=True)
            quota = self._quota(counts)
            by_class = [shuffled[labels[shuffled] == c][:n] for c, n in zip(classes.tolist(), quota, strict=True)]
            chosen = torch.cat(by_class)
        return clips[chosen.sort().values]

    def _total(self, clips: int, *, least: int) -> int:
        total = round(self.share * clips)
        if total < least:
            found = f"{100 * self.share:g} % of {clips} clips are {total}, expected at least {least}"
            raise InputError(f"labels.share: {found}; try a larger share or labels.per_class")
        return total

    def _quota(self, counts: Int64[Tensor, " classes"]) -> list[int]:
        """Labelled clips of each class."""
        if self.per_class is not None:
            if (fewest := int(counts.min())) < self.per_class:
                raise InputError(f"labels.per_class: expected at most {fewest}, the smallest class, found {self.per_class}")
            return [self.per_class] * len(counts)
        total = self._total(int(counts.sum()), least=len(counts))
        wanted = self.share * counts.double()
        quota = wanted.floor().long().clamp(min=1)
        # Largest remainder: the total is exact, each class is within one clip of its share, and none is empty.
        while (missing := total - int(quota.sum())) != 0:
            step = 1 if missing > 0 else -1
            gap = step * (wanted - quota)
            gap[quota + step < 1] = -torch.inf
            quota[gap.argmax()] += step
        return quota.tolist()
