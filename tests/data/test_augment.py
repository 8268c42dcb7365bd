"""Random views: crops stay in the clip, turns are turns, the same key gives the same numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.data.augment import (
    AugmentConfig,
    CropConfig,
    central_view,
    random_rotation,
    random_shear,
    random_view,
    whole_view,
)
from masksem_graph.errors import InputError
from masksem_graph.seeding import keyed_generator

lengths_of_clips = st.lists(st.integers(1, 400), min_size=1, max_size=8).map(torch.tensor)


@settings(max_examples=100, deadline=None)
@given(
    lengths=lengths_of_clips,
    low=st.floats(0.01, 1.0),
    high=st.floats(0.01, 1.0),
    least=st.integers(0, 100),
    seed=st.integers(0, 1000),
)
def test_crops_stay_in_the_clip(lengths: Tensor, low: float, high: float, least: int, seed: int) -> None:
    low, high = sorted((low, high))
    crop = CropConfig(share=(low, high), min_frames=least)
    view = random_view(torch.arange(len(lengths)), lengths, crop, AugmentConfig(), keyed_generator(seed))
    assert (view.start >= 0).all() and (view.start + view.length <= lengths).all()
    shortest = torch.minimum(lengths, torch.tensor(max(least, 1)))
    assert (view.length >= shortest).all()
    largest = torch.maximum((lengths.double() * high).ceil().long(), shortest)
    assert (view.length <= largest).all()


def test_every_crop_can_happen() -> None:
    """Of 4 frames with shares of a half and more: lengths 2 and 3 (4 has probability 0), every start of each."""
    lengths = torch.full((4000,), 4)
    crop = CropConfig(share=(0.5, 1.0), min_frames=1)
    view = random_view(torch.arange(4000), lengths, crop, AugmentConfig(), keyed_generator(1))
    found = {pair: 0 for pair in [(0, 2), (1, 2), (2, 2), (0, 3), (1, 3)]}
    for pair in zip(view.start.tolist(), view.length.tolist(), strict=True):
        found[pair] += 1
    for (_, length), times in found.items():
        assert times / 4000 == pytest.approx(0.5 / (5 - length), abs=0.04)


@settings(max_examples=100, deadline=None)
@given(lengths=lengths_of_clips, share=st.floats(0.01, 1.0))
def test_the_centre_is_tested(lengths: Tensor, share: float) -> None:
    view = central_view(torch.arange(len(lengths)), lengths, CropConfig(test_share=share))
    assert view.transform is None
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


def test_rotations_are_rotations() -> None:
    turns = random_rotation(500, (3.0, 2.0, 1.0), keyed_generator(2))
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(500, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(500), atol=1e-5, rtol=0)


def test_angles_fill_their_ranges() -> None:
    largest = (0.3, 1.2, 0.6)
    turns = random_rotation(20_000, largest, keyed_generator(3))
    # Of R_z R_y R_x: the angles can be read off again.
    angles = (
        torch.atan2(turns[:, 2, 1], turns[:, 2, 2]),
        -torch.asin(turns[:, 2, 0]),
        torch.atan2(turns[:, 1, 0], turns[:, 0, 0]),
    )
    for angle, limit in zip(angles, largest, strict=True):
        counts = torch.histc(angle, bins=10, min=-limit, max=limit)
        assert counts.sum() >= 20_000 - 2, "none outside, but for rounding"
        assert ((counts - 2000) ** 2 / 2000).sum() < 27.9, "uniform: chi-square at 9 degrees of freedom, p = 0.001"
    assert torch.corrcoef(torch.stack(angles)).fill_diagonal_(0).abs().max() < 0.03


def test_one_axis_alone() -> None:
    turn = random_rotation(50, (0.0, 1.0, 0.0), keyed_generator(4))
    up = torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(turn @ up, up.expand(50, 3))
    assert (turn[:, 0, 0] < 1).all()


def test_shear() -> None:
    shear = random_shear(1000, 0.4, keyed_generator(5))
    assert torch.equal(shear.diagonal(dim1=1, dim2=2), torch.ones(1000, 3))
    rest = shear[:, ~torch.eye(3, dtype=torch.bool)]
    assert rest.abs().max() <= 0.4 and rest.min() < -0.39 and rest.max() > 0.39


def test_a_view_shears_only_where_asked() -> None:
    clips, lengths = torch.arange(20), torch.full((20,), 50)
    for shear, orthogonal in ((0.0, True), (0.5, False)):
        view = random_view(clips, lengths, CropConfig(), AugmentConfig(shear=shear), keyed_generator(6))
        assert view.transform is not None
        identity = torch.eye(3).expand(20, 3, 3)
        assert torch.allclose(view.transform @ view.transform.mT, identity, atol=1e-5) == orthogonal


def test_the_same_key_gives_the_same_view() -> None:
    clips, lengths = torch.arange(9), torch.arange(60, 69)

    def view(*key: int) -> list[Tensor | None]:
        torch.rand(7)  # whatever else was drawn
        drawn = random_view(clips, lengths, CropConfig(min_frames=8), AugmentConfig(shear=0.1), keyed_generator(*key))
        return [drawn.start, drawn.length, drawn.transform]

    for one, same in zip(view(3, 1, 4), view(3, 1, 4), strict=True):
        assert one is not None and same is not None and torch.equal(one, same)
    for one, other in zip(view(3, 1, 4), view(3, 1, 5), strict=True):
        assert one is not None and other is not None and not torch.equal(one, other)


@pytest.mark.parametrize("share", [(0.0, 1.0), (0.6, 0.5), (0.5, 1.1), (math.nan, 1.0)])
def test_shares_out_of_range(share: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"^crop.share: expected two shares with 0 < low <= high <= 1, found \["):
        CropConfig(share=share)
    with pytest.raises(InputError, match=r"^crop.test_share: expected a share in \(0, 1\], found 0"):
        CropConfig(test_share=0)
