"""Sines and cosines over time."""

from __future__ import annotations

import math

import pytest
import torch

from masksem_graph.encodings import Sinusoidal
from masksem_graph.encodings.tables import sinusoids
from tests.helpers import chain, grid


def test_by_formula() -> None:
    table = sinusoids(7, 6)
    for position in range(7):
        for i in range(3):
            angle = position / 10_000 ** (i / 3)
            assert table[position, i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 3 + i].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_odd_width() -> None:
    assert torch.equal(sinusoids(4, 5), sinusoids(4, 6)[:, :5])


def test_similarity_depends_on_distance_alone() -> None:
    gram = sinusoids(10, 16) @ sinusoids(10, 16).T
    for distance in range(10):
        diagonal = gram.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


@pytest.mark.parametrize("segments", [1, 4, 9])
def test_as_many_as_the_batch_has_segments(segments: int) -> None:
    value = Sinusoidal(width=6)(grid(chain(2), segments))
    assert torch.equal(value, sinusoids(segments, 6)[:, None])
