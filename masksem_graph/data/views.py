"""Which part of each clip is looked at, and the random numbers that its transforms get: drawn for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.data.transforms import SkeletonTransform
from masksem_graph.errors import InputError, require_range


@dataclass(frozen=True)
class CropConfig:
    """Which part of a clip is used.

    Args:
        share: range of the share of a clip's frames that a training crop keeps.
        min_frames: a training crop never has fewer frames, or the whole clip where it is shorter.
        test_share: the central share that is tested on.
    """

    share: tuple[float, float] = (0.5, 1.0)
    min_frames: int = 64
    test_share: float = 0.95

    def __post_init__(self) -> None:
        low, high = self.share
        if not 0 < low <= high <= 1:
            raise InputError(f"crop.share: expected two shares with 0 < low <= high <= 1, found {list(self.share)}")
        require_range("crop.min_frames", self.min_frames, 1, 10**6)
        if not 0 < self.test_share <= 1:
            raise InputError(f"crop.test_share: expected a share in (0, 1], found {self.test_share}")


@dataclass(frozen=True)
class View:
    """One way to look at each of S clips, given by their positions in the store; both bodies of a clip share it.

    Args:
        clips: which.
        start, length: first frame of the crop, and its frames.
        uniform: draws in (0, 1) for each transform in turn, as many a clip as it needs; none where nothing is transformed.
    """

    clips: Int64[Tensor, " S"]
    start: Int64[Tensor, " S"]
    length: Int64[Tensor, " S"]
    uniform: tuple[Float[Tensor, "S _"], ...] = ()

    def __getitem__(self, part: slice) -> View:
        """Some of the clips."""
        return View(self.clips[part], self.start[part], self.length[part], tuple(draws[part] for draws in self.uniform))


def random_view(
    clips: Int64[Tensor, " S"],
    lengths: Int64[Tensor, " S"],
    crop: CropConfig,
    transforms: Sequence[SkeletonTransform],
    generator: torch.Generator,
) -> View:
    """Training: a random crop of each clip, from its length in frames, and the numbers that its transforms need."""
    count = len(clips)
    draws = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    low, high = crop.share
    wanted = (lengths * (low + (high - low) * draws[:, 0])).floor().long()
    length = torch.minimum(wanted.clamp(min=max(crop.min_frames, 1)), lengths)
    start = (draws[:, 1] * (lengths - length + 1)).floor().long()
    uniform = tuple(torch.rand(count, transform.numbers, generator=generator) for transform in transforms)
    return View(clips=clips, start=start, length=length, uniform=uniform)


def central_view(clips: Int64[Tensor, " S"], lengths: Int64[Tensor, " S"], crop: CropConfig) -> View:
    """Testing: the central share of each clip, as it was recorded."""
    margin = (lengths * ((1 - crop.test_share) / 2)).floor().long()
    return View(clips=clips, start=margin, length=lengths - 2 * margin)


def whole_view(clips: Int64[Tensor, " S"], lengths: Int64[Tensor, " S"]) -> View:
    """Uncropped, as it was recorded."""
    return View(clips=clips, start=torch.zeros_like(lengths), length=lengths)
