"""k nearest neighbours, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.protocols import KNN, knn_scores


def at(*degrees: float, length: float = 1.0) -> Tensor:
    """Directions in the plane."""
    angles = [math.radians(d) for d in degrees]
    return length * torch.tensor([[math.cos(a), math.sin(a)] for a in angles])


def votes(classes_by_distance: list[int], k: int, classes: int = 3) -> Tensor:
    """Scores of one test clip whose training clips, ever farther away, have these classes."""
    train = at(*(5.0 * (i + 1) for i in range(len(classes_by_distance))))
    return knn_scores(train, torch.tensor(classes_by_distance), at(0.0), k=k, classes=classes)[0]


def test_the_nearest_alone() -> None:
    train = torch.cat([at(10, 80), at(200, length=50)])
    scores = knn_scores(train, torch.tensor([2, 0, 1]), at(0, 90, 210), k=1, classes=3)
    assert scores.argmax(1).tolist() == [2, 0, 1]
    torch.testing.assert_close(scores.sum(1), torch.ones(3), atol=0.05, rtol=0)


def test_length_does_not_count() -> None:
    train, labels = at(10, 40, 100), torch.tensor([0, 1, 2])
    scaled = train * torch.tensor([[1.0], [100.0], [0.01]])
    test = at(30, 60)
    assert torch.equal(
        knn_scores(train, labels, test, k=2, classes=3).argmax(1),
        knn_scores(scaled, labels, 7 * test, k=2, classes=3).argmax(1),
    )


def test_shares_of_votes() -> None:
    torch.testing.assert_close(votes([1, 1, 2, 1], 4), torch.tensor([0.0, 0.75, 0.25]), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("order", "k", "winner"),
    [
        ([1, 0], 2, 1),
        ([2, 1, 1, 2], 4, 2),  # of two with two votes each the one with the nearest neighbour
        ([0, 1, 1, 0], 4, 0),
        ([1, 0, 0, 2, 2, 1], 6, 1),
        ([2, 0, 0], 3, 0),  # no tie: the nearest does not overturn a vote
        ([2] * 9 + [0] * 10, 19, 0),
        ([1] * 50 + [0] * 51, 101, 0),
        ([2, *[0] * 50, *[2] * 49], 100, 2),
    ],
)
def test_ties_go_to_the_nearest(order: list[int], k: int, winner: int) -> None:
    step = 100.0 / len(order)
    train = at(*(step * (i + 1) for i in range(len(order))))
    scores = knn_scores(train, torch.tensor(order), at(0.0), k=k, classes=3)[0]
    assert scores.argmax() == winner


def test_more_neighbours_than_clips() -> None:
    assert torch.equal(votes([1, 1, 0], 20), votes([1, 1, 0], 3))


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=30), k=st.integers(1, 30))
def test_against_counting(labels: list[int], k: int) -> None:
    step = 150.0 / len(labels)
    train = at(*(step * (i + 1) for i in range(len(labels))))
    near = labels[:k]
    winner = max(set(near), key=lambda c: (near.count(c), -near.index(c)))
    assert knn_scores(train, torch.tensor(labels), at(0.0), k=k, classes=4)[0].argmax() == winner


@pytest.mark.parametrize("k", [[], [0], [1, -1]])
def test_numbers_of_neighbours_out_of_range(k: list[int]) -> None:
    with pytest.raises(InputError, match=r"^k: expected numbers of neighbours from 1, found "):
        KNN(k=k)


def test_a_part_at_a_time_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = torch.randn(23, 4, generator=generator), torch.randn(11, 4, generator=generator)
    labels = torch.randint(3, (23,), generator=generator)
    whole = knn_scores(train, labels, test, k=5, classes=3)
    monkeypatch.setattr("masksem_graph.protocols.frozen.PART", 3)
    torch.testing.assert_close(knn_scores(train, labels, test, k=5, classes=3), whole)
