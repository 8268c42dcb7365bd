"""Encodings side by side: each in its own share of the width."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from masksem_graph.encodings import Concatenate, Laplacian, Learned, RandomWalk, Sinusoidal
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology

TINY = load_topology("tiny5")


def test_each_has_its_share() -> None:
    parts = [Laplacian, partial(Learned, over="joints"), Sinusoidal]
    both = Concatenate(width=11, topology=TINY, segments=3, parts=parts)
    first, second, third = both().split([4, 4, 3], -1)
    one, two, three = both.parts
    for found, part in ((first, one), (second, two), (third, three)):
        assert torch.equal(found, part().expand(3, 5, -1))
    assert both.joint_numbered


def test_graph_encodings_stay_of_the_graph() -> None:
    assert not Concatenate(width=8, topology=TINY, segments=3, parts=[Laplacian, RandomWalk]).joint_numbered


@pytest.mark.parametrize("parts", [[], [Sinusoidal] * 3])
def test_how_many(parts: list[type]) -> None:
    with pytest.raises(InputError, match=rf"^parts: expected 1 to 2 encodings, .*, found {len(parts)}$"):
        Concatenate(width=2, topology=TINY, segments=1, parts=parts)
