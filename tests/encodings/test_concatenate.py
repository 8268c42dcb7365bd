"""Encodings side by side: each in its own share of the width."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from masksem_graph.encodings import Concatenate, Laplacian, Learned, RandomWalk, Sinusoidal
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology
from tests.helpers import grid

TINY = load_topology("tiny5")


def test_each_has_its_share() -> None:
    parts = [Laplacian, partial(Learned, over="joints"), Sinusoidal]
    both, batch = Concatenate(width=11, joints=TINY.joints, segments=3, parts=parts), grid(TINY, 3)
    first, second, third = both(batch).split([4, 4, 3], -1)
    one, two, three = both.parts
    for found, part in ((first, one), (second, two), (third, three)):
        assert torch.equal(found, part(batch).expand(3, 5, -1))


def test_graph_encodings_stay_of_the_graph() -> None:
    """Nothing in them is of a skeleton: they serve any, and any number of segments."""
    both = Concatenate(width=8, joints=TINY.joints, segments=3, parts=[Laplacian, RandomWalk])
    assert both(grid(load_topology("kinect20"), 7)).shape == (7, 20, 8)
    named = Concatenate(width=8, joints=TINY.joints, segments=3, parts=[Laplacian, partial(Learned, over="joints")])
    with pytest.raises(InputError, match="Learned has no vector for hip_centre, "):
        named(grid(load_topology("kinect20"), 3))


@pytest.mark.parametrize("parts", [[], [Sinusoidal] * 3])
def test_how_many(parts: list[type]) -> None:
    with pytest.raises(InputError, match=rf"^parts: expected 1 to 2 encodings, .*, found {len(parts)}$"):
        Concatenate(width=2, joints=TINY.joints, segments=1, parts=parts)
