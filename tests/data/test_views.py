"""Random views: crops stay in the clip, transforms get their numbers, the same key gives the same ones."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.data.transforms import Rotate, SkeletonTransform
from masksem_graph.data.views import CropConfig, central_view, random_view, whole_view
from masksem_graph.errors import InputError
from masksem_graph.seeding import keyed_generator
from masksem_graph.topology import Topology

lengths_of_clips = st.lists(st.integers(1, 400), min_size=1, max_size=8).map(torch.tensor)


@settings(max_examples=100, deadline=None)
@given(
    lengths=lengths_of_clips,
    low=st.floats(0.01, 1.0),
    high=st.floats(0.01, 1.0),
    least=st.integers(1, 100),
    seed=st.integers(0, 1000),
)
def test_crops_stay_in_the_clip(lengths: Tensor, low: float, high: float, least: int, seed: int) -> None:
    low, high = sorted((low, high))
    crop = CropConfig(share=(low, high), min_frames=least)
    view = random_view(torch.arange(len(lengths)), lengths, crop, (), keyed_generator(seed))
    assert (view.start >= 0).all() and (view.start + view.length <= lengths).all()
    shortest = torch.minimum(lengths, torch.tensor(least))
    assert (view.length >= shortest).all()
    largest = torch.maximum((lengths.double() * high).ceil().long(), shortest)
    assert (view.length <= largest).all()


def test_every_crop_can_happen() -> None:
    """Of 4 frames with shares of a half and more: lengths 2 and 3 (4 has probability 0), every start of each."""
    lengths = torch.full((4000,), 4)
    crop = CropConfig(share=(0.5, 1.0), min_frames=1)
    view = random_view(torch.arange(4000), lengths, crop, (), keyed_generator(1))
    found = {pair: 0 for pair in [(0, 2), (1, 2), (2, 2), (0, 3), (1, 3)]}
    for pair in zip(view.start.tolist(), view.length.tolist(), strict=True):
        found[pair] += 1
    for (_, length), times in found.items():
        assert times / 4000 == pytest.approx(0.5 / (5 - length), abs=0.04)


@settings(max_examples=100, deadline=None)
@given(lengths=lengths_of_clips, share=st.floats(0.01, 1.0))
def test_the_centre_is_tested(lengths: Tensor, share: float) -> None:
    view = central_view(torch.arange(len(lengths)), lengths, CropConfig(test_share=share))
    assert view.uniform == ()
    assert torch.equal(view.start, lengths - view.start - view.length), "as much is left out before as after"
    assert (view.length >= 1).all()
    excess = view.length - lengths * share
    assert (excess > -1e-3).all() and (excess < 2 + 1e-3).all()


def test_central_and_whole_by_hand() -> None:
    clips, lengths = torch.tensor([3, 5]), torch.tensor([100, 39])
    view = central_view(clips, lengths, CropConfig())
    assert (view.start.tolist(), view.length.tolist()) == ([2, 0], [96, 39])
    view = whole_view(clips, lengths)
    assert (view.clips.tolist(), view.start.tolist(), view.length.tolist()) == ([3, 5], [0, 0], [100, 39])


class Wants(SkeletonTransform):
    def __init__(self, numbers: int) -> None:
        self.numbers = numbers

    def apply(self, frames: Tensor, uniform: Tensor, topology: Topology) -> Tensor:
        return frames


@pytest.mark.parametrize("numbers", [[], [0], [3], [9, 0, 1]])
def test_each_transform_gets_the_numbers_that_it_needs(numbers: list[int]) -> None:
    clips, lengths = torch.arange(2000), torch.full((2000,), 500)
    view = random_view(clips, lengths, CropConfig(), [Wants(count) for count in numbers], keyed_generator(6))
    assert [draws.shape for draws in view.uniform] == [(2000, count) for count in numbers]
    for draws in view.uniform:
        assert ((draws >= 0) & (draws < 1)).all()
        for column in draws.T:
            counts = torch.histc(column, bins=10, min=0, max=1)
            assert ((counts - 200) ** 2 / 200).sum() < 27.9, "uniform: chi-square at 9 degrees of freedom, p = 0.001"
    together = torch.cat([view.start[:, None].float(), *view.uniform], 1)
    if together.shape[1] > 1:
        assert torch.corrcoef(together.T).fill_diagonal_(0).abs().max() < 0.1, "each of its own"


def test_transforms_do_not_change_the_crops() -> None:
    clips, lengths = torch.arange(20), torch.arange(50, 70)
    views = [random_view(clips, lengths, CropConfig(min_frames=8), some, keyed_generator(6)) for some in ([], [Wants(4)])]
    assert torch.equal(views[0].start, views[1].start) and torch.equal(views[0].length, views[1].length)


def test_some_of_the_clips() -> None:
    clips, lengths = torch.arange(9), torch.arange(60, 69)
    view = random_view(clips, lengths, CropConfig(min_frames=8), [Wants(2), Wants(1)], keyed_generator(7))
    part = view[2:5]
    for field in ("clips", "start", "length"):
        assert torch.equal(getattr(part, field), getattr(view, field)[2:5])
    assert [torch.equal(some, every[2:5]) for some, every in zip(part.uniform, view.uniform, strict=True)] == [True, True]


def test_the_same_key_gives_the_same_view() -> None:
    clips, lengths = torch.arange(9), torch.arange(60, 69)

    def view(*key: int) -> list[Tensor]:
        torch.rand(7)  # whatever else was drawn
        drawn = random_view(clips, lengths, CropConfig(min_frames=8), [Rotate(), Wants(9)], keyed_generator(*key))
        return [drawn.start, drawn.length, *drawn.uniform]

    for one, same in zip(view(3, 1, 4), view(3, 1, 4), strict=True):
        assert torch.equal(one, same)
    for one, other in zip(view(3, 1, 4), view(3, 1, 5), strict=True):
        assert not torch.equal(one, other)


@pytest.mark.parametrize("share", [(0.0, 1.0), (0.6, 0.5), (0.5, 1.1), (math.nan, 1.0)])
def test_shares_out_of_range(share: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"^crop.share: expected two shares with 0 < low <= high <= 1, found \["):
        CropConfig(share=share)
    with pytest.raises(InputError, match=r"^crop.test_share: expected a share in \(0, 1\], found 0"):
        CropConfig(test_share=0)
