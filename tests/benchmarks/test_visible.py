"""The visible set against what is known of it: uniform masks, a fixed pattern, motion itself."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import spearmanr

from benchmarks.visible import _ranks, _spearman, describe_visible, visible_frequency
from masksem_graph.masking import Sampler

SAMPLER = Sampler(ratio=0.75, temperature=0.1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_uniform_masks_differ_from_uniform_by_chance_alone() -> None:
    moved = torch.rand(8, 4, 5, generator=generator(1))
    found = describe_visible(torch.ones(8, 4, 5), moved, SAMPLER, generator=generator(), draws=2000)
    assert found.total_variation == pytest.approx(found.expected_by_chance, abs=0.002)
    assert found.expected_by_chance < 0.03
    assert found.motion_share == pytest.approx(1, abs=0.02)
    assert math.isnan(found.rank_correlation)


def test_a_fixed_pattern_is_common_to_all_bodies() -> None:
    """One joint of four is never drawn: with three quarters masked it alone is seen."""
    eta = torch.ones(6, 1, 4).index_fill(2, torch.tensor([2]), 0.0)
    sampler = Sampler(ratio=0.75, temperature=0.001)
    moved = torch.tensor([1.0, 2.0, 5.0, 0.0]).expand(6, 1, 4)
    found = describe_visible(eta, moved, sampler, generator=generator(), draws=200)
    assert found.total_variation == pytest.approx(0.75)
    assert found.motion_share == pytest.approx(2.5)
    assert found.common == pytest.approx(1)
    assert visible_frequency(eta, sampler, generator=generator(), draws=50)[0].tolist() == [0, 0, 1, 0]


def test_patterns_of_their_own_are_not_common() -> None:
    eta = torch.ones(4, 1, 4) - torch.eye(4)[:, None]
    found = describe_visible(
        eta, torch.ones(4, 1, 4), Sampler(ratio=0.75, temperature=0.001), generator=generator(), draws=200
    )
    assert found.total_variation == pytest.approx(0.75) and found.common == pytest.approx(0, abs=1e-6)


def test_masks_that_follow_motion_leave_what_is_still() -> None:
    moved = torch.rand(10, 5, 6, generator=generator(2))
    found = describe_visible(moved, moved, SAMPLER, generator=generator(), draws=200)
    assert found.rank_correlation == pytest.approx(1)
    assert found.motion_share < 0.5


def test_ranks_share_ties() -> None:
    values = torch.tensor([3.0, 1.0, 1.0, 7.0, 3.0, 3.0])
    assert _ranks(values).tolist() == [4.0, 1.5, 1.5, 6.0, 4.0, 4.0]
    other = torch.tensor([1.0, 2.0, 2.0, 2.0, 9.0, 0.0])
    assert _spearman(values, other).item() == pytest.approx(spearmanr(values, other).statistic, abs=1e-6)
