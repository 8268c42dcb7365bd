"""Cross-contrast by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from masksem_graph.methods.ha_cm import CrossContrast


def test_latents_by_hand() -> None:
    """Three segments of two joints; nodes 0, 3 and 4 are kept: segments 0 and 2 are even, 1 is odd."""
    features = torch.tensor([[[2.0], [5.0], [8.0]]])
    assert CrossContrast().latents(features, torch.tensor([[0, 3, 4]]), (3, 2)).tolist() == [[[5.0], [5.0], [5.0]]]
    assert CrossContrast().latents(features, torch.tensor([[0, 2, 3]]), (3, 2)).tolist() == [[[2.0], [6.5], [5.0]]]
    alone = CrossContrast().latents(features, torch.tensor([[0, 1, 4]]), (3, 2))
    assert alone.tolist() == [[[5.0], [0.0], [5.0]]], "a half without kept nodes is zero, not NaN"


def test_loss_by_hand() -> None:
    """As HA-CM's code has it: softmax over rows of plain scalar products, mean squared error to the identity, three times."""
    latents = torch.randn(5, 3, 4, requires_grad=True)
    even, odd, whole = latents.unbind(1)
    pairs = ((even, whole), (odd, whole), (even, odd))
    expected = sum(F.mse_loss(torch.softmax(one @ other.T, dim=-1), torch.eye(5)) for one, other in pairs)
    torch.testing.assert_close(CrossContrast()(latents), expected)
    torch.testing.assert_close(CrossContrast(weight=0.25)(latents), 0.25 * expected)
    assert torch.autograd.gradcheck(CrossContrast(), (latents.detach().double().requires_grad_(),))


def test_bodies_that_are_told_apart_cost_nothing() -> None:
    far = 10 * torch.eye(4)[:, None].expand(4, 3, 4)
    assert CrossContrast()(far) == pytest.approx(0, abs=1e-6)
    alike = torch.ones(4, 3, 4)
    assert CrossContrast()(alike) == pytest.approx(3 * (0.75**2 + 3 * 0.25**2) / 4)
    assert CrossContrast()(torch.randn(1, 3, 4)) == pytest.approx(0), "one body has nobody to be told from"
