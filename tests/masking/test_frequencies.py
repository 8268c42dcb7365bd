"""Every masking strategy on a body of six nodes: how often each pair of nodes is drawn, against exact chances."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from masksem_graph.masking import Motion, Sampler, Scores, Uniform
from masksem_graph.methods.ha_cm import AlternatingScores, AttentionScores, HierarchyScores
from masksem_graph.saliency import GradCam, ReleasedGradCam
from tests.helpers import evidence_of

SEGMENTS, JOINTS, TIMES = 2, 3, 40_000
STRATEGIES: list[Scores] = [
    Uniform(),
    Motion(),
    GradCam(),
    ReleasedGradCam(),
    AttentionScores(),
    HierarchyScores(),
    AlternatingScores(even=Motion(), odd=HierarchyScores()),
]


def scores_of(strategy: Scores) -> Tensor:
    """On one seeded body, as a run computes them."""
    torch.manual_seed(5)
    strategy.build(width=4)
    evidence = evidence_of(
        torch.randn(1, SEGMENTS, JOINTS, 6),
        features=torch.randn(1, SEGMENTS * JOINTS, 4),
        reference=torch.randn(1, SEGMENTS * JOINTS, 4),
        embedded=torch.randn(1, SEGMENTS, JOINTS, 4),
        context=torch.randn(1, SEGMENTS, 1, 4),
    )
    return strategy.after_smoothing(strategy(evidence)).detach()


def chance_of_pair(pi: list[float], i: int, j: int) -> float:
    """Of drawing i and j, one after the other, in either order, none put back."""
    return pi[i] * pi[j] / (1 - pi[i]) + pi[j] * pi[i] / (1 - pi[j])


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
@pytest.mark.parametrize("select", ["mask", "keep"])
def test_pairs_are_drawn_as_often_as_they_should_be(strategy: Scores, select: Any) -> None:
    eta = scores_of(strategy)
    nodes = SEGMENTS * JOINTS
    ratio = (2 if select == "mask" else 4) / nodes  # two nodes are drawn either way
    sampler = Sampler(ratio=ratio, temperature=0.4, select=select)
    drawn = sampler(eta.expand(TIMES, -1, -1), torch.rand(TIMES, nodes))
    pairs = drawn.mask.masked if select == "mask" else drawn.mask.kept
    # Equation 8 by hand.
    weights = [(value / (0.4 * eta.max())).exp().item() for value in eta.flatten()]
    pi = [weight / sum(weights) for weight in weights]
    assert drawn.pi[0].tolist() == pytest.approx(pi, rel=1e-4)
    assert (max(pi) > 1.2 * min(pi)) != isinstance(strategy, Uniform), "the strategy says something"
    for i, j in combinations(range(nodes), 2):
        chance = chance_of_pair(pi, i, j)
        found = (pairs == torch.tensor([i, j])).all(1).float().mean().item()
        assert found == pytest.approx(chance, abs=5 * (chance / TIMES) ** 0.5), (i, j)


@pytest.mark.parametrize("sampling", ["whole", "halves"])
def test_the_share_is_exact_for_every_size(sampling: Any) -> None:
    """Of the whole body, or of each half: as near to nine tenths as whole numbers get, in whole numbers."""
    for joints in range(2, 31):
        for segments in range(2, 41):
            sampler = Sampler(ratio=0.9, temperature=0.8, sampling=sampling)
            halves = [(segments + 1) // 2 * joints, segments // 2 * joints]
            sizes = halves if sampling == "halves" else [sum(halves)]
            furthest = sum(5 if size > 5 else 9 for size in sizes)  # a small half keeps one node at least
            assert abs(10 * sampler.masked(segments, joints) - 9 * sum(sizes)) <= furthest
