"""Shears."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.data.transforms import Rotate, Shear
from masksem_graph.data.transforms.linear_maps import rotation_matrix
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology


def test_by_hand(tiny: Topology) -> None:
    frames = torch.tensor([1.0, 10.0, 100.0]).repeat(1, 1, 5, 1)
    uniform = torch.tensor([[0.9, 1.0, 0.5, 0.0, 0.1, 0.5, 0.75, 0.5, 0.2]])
    sheared = Shear(amount=0.4).apply(frames, uniform, tiny)[0, 0, 0]
    # Rows (1, 0.4, 0), (-0.4, 1, 0), (0.2, 0, 1).
    torch.testing.assert_close(sheared, torch.tensor([5.0, 9.6, 100.2]))


def test_in_the_plane_of_a_picture() -> None:
    frames = torch.tensor([1.0, 10.0, 0.7]).repeat(1, 1, 17, 1)
    sheared = Shear(amount=0.4).apply(frames, torch.ones(1, 9), load_topology("coco17"))[0, 0, 0]
    torch.testing.assert_close(sheared, torch.tensor([5.0, 10.4, 0.7]))


def test_after_a_rotation_it_is_their_product(tiny: Topology) -> None:
    frames, angles, entries = torch.randn(6, 4, 5, 3), torch.rand(6, 3), torch.rand(6, 9)
    one_after_the_other = Shear(amount=0.4).apply(Rotate(x=1.0, y=1.0, z=1.0).apply(frames, angles, tiny), entries, tiny)
    shear = (2 * entries.view(6, 3, 3) - 1) * 0.4
    shear = shear - torch.diag_embed(shear.diagonal(dim1=1, dim2=2)) + torch.eye(3)
    product = torch.einsum("bij,btvj->btvi", shear @ rotation_matrix(2 * angles - 1), frames)
    torch.testing.assert_close(one_after_the_other, product)


def test_refused() -> None:
    with pytest.raises(InputError, match=r"^Shear.amount: expected a number from 0 to 1000000000, found -1$"):
        Shear(amount=-1)
