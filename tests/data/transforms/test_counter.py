"""The counter-based generator: published words, and distributions."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.data.transforms.counter import normal_of_key, philox, uniform_of_key

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("low", "high", "key", "words"),
    [
        (0, 0, 0, (0xFF1DAE59, 0x6CD10DF2)),
        (ONES, ONES, ONES, (0x2C3F628B, 0xAB4FD7AD)),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, (0xDD7CE038, 0xF62A4C12)),
    ],
)
def test_published_words(low: int, high: int, key: int, words: tuple[int, int]) -> None:
    """Known answers of philox2x32-10 (kat_vectors of Random123)."""
    found = philox(*(torch.tensor([word]) for word in (low, high, key)))
    assert tuple(word.item() for word in found) == words


def test_uniform() -> None:
    drawn = uniform_of_key(torch.rand(40, 2), 500)
    assert drawn.min() >= 0 and drawn.max() <= 1
    counts = torch.histc(drawn, bins=20, min=0, max=1)
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8, "chi-square at 19 degrees of freedom, p = 0.001"
    assert torch.corrcoef(drawn).fill_diagonal_(0).abs().max() < 0.2, "clips are independent"


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_a_shorter_draw_is_the_beginning_of_a_longer_one(count: int) -> None:
    key = torch.rand(3, 2)
    assert torch.equal(uniform_of_key(key, count), uniform_of_key(key, 1001)[:, :count])


def test_normal() -> None:
    drawn = normal_of_key(torch.rand(50, 2), 4001)
    assert drawn.shape == (50, 4001) and drawn.isfinite().all()
    assert drawn.mean().item() == pytest.approx(0, abs=0.01) and drawn.std().item() == pytest.approx(1, abs=0.01)
    kurtosis = (drawn**4).mean().item()
    assert kurtosis == pytest.approx(3, abs=0.1)
    inside = [(drawn.abs() < z).float().mean().item() for z in (1, 2, 3)]
    assert inside == pytest.approx([0.6827, 0.9545, 0.9973], abs=0.004)
    assert torch.corrcoef(drawn).fill_diagonal_(0).abs().max() < 0.1


@pytest.mark.parametrize("extreme", [0.0, 1 - 2**-24])
def test_the_ends_of_the_range(extreme: float) -> None:
    key = torch.full((1, 2), extreme)
    assert normal_of_key(key, 100_000).isfinite().all()


def test_numbers_next_to_each_other_are_other_keys() -> None:
    key = torch.tensor([[0.5, 0.5], [0.5 + 2**-24, 0.5], [0.5, 0.5 + 2**-24]])
    one, *others = uniform_of_key(key, 1000)
    assert all((one == other).float().mean() < 0.01 for other in others)
