"""Standardisation of target values."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.targets import standardise


def test_one_node_by_hand() -> None:
    """1 2 3 6: mean 3, unbiased variance (4 + 1 + 0 + 9) / 3."""
    root = (14 / 3 + 1e-6) ** 0.5
    expected = torch.tensor([[-2 / root, -1 / root, 0.0, 3 / root]])
    torch.testing.assert_close(standardise(torch.tensor([[1.0, 2.0, 3.0, 6.0]])), expected)


def test_every_node_by_its_own_numbers() -> None:
    values = torch.randn(2, 3, 5, 12) * torch.rand(2, 3, 5, 1) * 10 + torch.randn(2, 3, 5, 1)
    out = standardise(values)
    torch.testing.assert_close(out.mean(-1), torch.zeros(2, 3, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(-1), torch.ones(2, 3, 5), atol=1e-2, rtol=0)
    assert torch.equal(standardise(values[1, 2]), out[1, 2])


@pytest.mark.parametrize("value", [0.0, 3.25])
def test_a_node_that_does_not_move_is_zero(value: float) -> None:
    assert (standardise(torch.full((2, 12), value)) == 0).all()
