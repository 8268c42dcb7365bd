"""Masks of a body: what is drawn, from which nodes, how many."""

from __future__ import annotations

from itertools import combinations, product

import pytest
import torch
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.masking import Sampler, gumbel_top_k, score_distribution
from masksem_graph.masking.sampler import masked_count


def sampler(ratio: float = 0.8, temperature: float = 0.5, **options: str) -> Sampler:
    return Sampler(ratio=ratio, temperature=temperature, **options)  # type: ignore[arg-type]


def draws(segments: int = 6, joints: int = 5, bodies: int = 4) -> tuple[Tensor, Tensor]:
    return torch.rand(bodies, segments, joints), torch.rand(bodies, segments * joints)


def test_whole_is_gumbel_top_k() -> None:
    eta, uniform = draws()
    drawn = sampler()(eta, uniform)
    pi = score_distribution(eta.flatten(1), 0.5)
    mask = gumbel_top_k(pi.log(), uniform, 24)
    assert torch.equal(drawn.pi, pi)
    assert torch.equal(drawn.mask.masked, mask.masked) and torch.equal(drawn.mask.kept, mask.kept)


def test_what_is_drawn_may_be_kept() -> None:
    eta, uniform = draws()
    mask = gumbel_top_k(score_distribution(eta.flatten(1), 0.5).log(), uniform, 6)
    drawn = sampler(select="keep")(eta, uniform)
    assert torch.equal(drawn.mask.kept, mask.masked) and torch.equal(drawn.mask.masked, mask.kept)
    certain = torch.full((1, 6, 5), 1e-6)
    certain[0, 2, 1:4] = 1.0
    keeps = sampler(select="keep", ratio=0.9, temperature=0.01)(certain, uniform[:1])
    assert keeps.mask.kept.tolist() == [[11, 12, 13]]


@pytest.mark.parametrize("segments", [2, 3, 6, 7])
@pytest.mark.parametrize("select", ["mask", "keep"])
@pytest.mark.parametrize("rounding", ["nearest", "floor"])
def test_halves_are_drawn_from_by_themselves(segments: int, select: str, rounding: str) -> None:
    one = sampler(sampling="halves", select=select, rounding=rounding)
    eta, uniform = draws(segments)
    drawn = one(eta, uniform)
    assert drawn.mask.masked.shape[1] == one.masked(segments, 5)
    together = torch.cat(drawn.mask, 1).sort(1).values
    assert torch.equal(together, torch.arange(segments * 5).expand(4, -1))
    assert all((part.diff(dim=1) > 0).all() for part in drawn.mask), "graph order"
    for first in (0, 1):
        # The same as drawing from these segments alone.
        alone = sampler(select=select, rounding=rounding)
        own = alone(eta[:, first::2], uniform.view(4, segments, 5)[:, first::2].flatten(1))
        inside = drawn.mask.kept // 5 % 2 == first
        assert (inside.sum(1) == own.mask.kept.shape[1]).all()
        kept = drawn.mask.kept[inside].view(4, -1)
        assert torch.equal((kept // 5 - first) // 2 * 5 + kept % 5, own.mask.kept)
        share = len(range(first, segments, 2)) / segments
        torch.testing.assert_close(drawn.pi.view(4, segments, 5)[:, first::2].flatten(1), own.pi * share)
    torch.testing.assert_close(drawn.pi.sum(1), torch.ones(4))


@pytest.mark.parametrize("sampling", ["whole", "halves"])
def test_equal_scores_give_a_uniform_distribution(sampling: str) -> None:
    _, uniform = draws(7)
    pi = sampler(sampling=sampling)(torch.full((4, 7, 5), 0.3), uniform).pi
    torch.testing.assert_close(35 * pi, torch.ones(4, 35))


def exact(pi: list[float], count: int) -> dict[tuple[int, ...], float]:
    """Chance of each set of ``count`` = 1 or 2 nodes drawn without replacement."""
    if count == 1:
        return {(i,): chance for i, chance in enumerate(pi)}
    return {(i, j): pi[i] * pi[j] * (1 / (1 - pi[i]) + 1 / (1 - pi[j])) for i, j in combinations(range(len(pi)), 2)}


def test_frequencies_of_halves() -> None:
    """Two segments of three joints: two of three are hidden in each, and the halves know nothing of each other."""
    times = 60_000
    eta = torch.tensor([[1.0, 2.0, 4.0], [3.0, 3.0, 0.5]])
    one = sampler(ratio=0.6, temperature=0.9, sampling="halves")
    masked = one(eta.expand(times, -1, -1), torch.rand(times, 6)).mask.masked
    chances = [exact(score_distribution(eta[i : i + 1], 0.9)[0].tolist(), 2) for i in (0, 1)]
    for (low, p), (high, q) in product(chances[0].items(), chances[1].items()):
        wanted = torch.tensor([*low, *(node + 3 for node in high)])
        found = (masked == wanted).all(1).float().mean().item()
        assert found == pytest.approx(p * q, abs=5 * (p * q / times) ** 0.5)


@pytest.mark.parametrize(
    ("nodes", "ratio", "rounding", "masked"),
    [
        (750, 0.9, "nearest", 675),
        (750, 0.9, "floor", 676),
        (150, 0.9, "floor", 136),
        (150, 0.8, "floor", 121),
        (100, 0.75, "floor", 75),
        (10, 0.0, "floor", 1),
        (10, 1.0, "floor", 9),
    ],
)
def test_rounding(nodes: int, ratio: float, rounding: str, masked: int) -> None:
    """750 * (1 - 0.9) is 74.99... in floating point, and 150 * (1 - 0.8) is 29.99...: the authors keep 74 and 29."""
    assert masked_count(nodes, ratio, rounding) == masked  # type: ignore[arg-type]


def test_one_segment_has_no_halves() -> None:
    with pytest.raises(InputError, match=r"^method.sampling: halves needs at least 2 segments, found 1$"):
        sampler(sampling="halves").masked(1, 5)
    with pytest.raises(InputError, match=r"^method.sampling: halves needs at least 2 segments, found 1$"):
        sampler(sampling="halves")(*draws(1))


@pytest.mark.parametrize("sampling", ["whole", "halves"])
def test_no_bodies_no_masks(sampling: str) -> None:
    """A part of a batch may be empty where there are more parts than sequences."""
    drawn = sampler(sampling=sampling)(torch.zeros(0, 6, 5), torch.zeros(0, 30))
    assert drawn.mask.masked.shape == (0, 24) and drawn.pi.shape == (0, 30)


def test_one_sampler_for_bodies_of_any_size() -> None:
    one = sampler()
    for segments, joints in ((6, 5), (2, 20), (6, 5)):
        drawn = one(*draws(segments, joints))
        assert drawn.mask.masked.shape == (4, one.masked(segments, joints)) == (4, round(0.8 * segments * joints))
        assert drawn.mask.masked.max() < segments * joints
