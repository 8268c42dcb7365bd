"""A dropped axis."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.data.transforms import DropAxis
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology


def test_by_hand(tiny: Topology) -> None:
    frames = torch.rand(5, 2, 5, 3) + 1
    uniform = torch.tensor([[0.0, 0.0], [0.0, 0.49], [0.0, 0.5], [0.69, 1.0], [0.7, 0.0]])
    out = DropAxis(axes=("z", "x"), probability=0.7).apply(frames, uniform, tiny)
    lost = (out == 0).all(2).all(1)
    assert lost.tolist() == [[False, False, True]] * 2 + [[True, False, False]] * 2 + [[False] * 3]
    assert torch.equal(out[out != 0], frames[out != 0]) and int((out == 0).sum()) == 4 * 10


def test_each_axis_as_often(tiny: Topology) -> None:
    out = DropAxis(probability=0.6).apply(torch.rand(6000, 1, 5, 3) + 1, torch.rand(6000, 2), tiny)
    assert ((out == 0).all(2)[:, 0].float().mean(0) - 0.2).abs().max() < 0.02


@pytest.mark.parametrize("axes", [(), ("x", "x")])
def test_axes_that_cannot_be(axes: tuple) -> None:
    with pytest.raises(InputError, match=r"^DropAxis.axes: expected some of x, y and z, each once, found \["):
        DropAxis(axes=axes)


def test_a_picture_has_no_depth() -> None:
    with pytest.raises(InputError, match=r"^DropAxis.axes: coco17 has 2 coordinates, expected \[x, y\] or one of them$"):
        DropAxis().apply(torch.randn(1, 1, 17, 3), torch.rand(1, 2), load_topology("coco17"))
