"""From scores to a distribution over nodes."""

from __future__ import annotations

import math

import pytest
import torch

from masksem_graph.masking import score_distribution


def test_by_hand() -> None:
    pi = score_distribution(torch.tensor([[0.0, 1.0, 2.0]]), temperature=0.5)
    terms = [math.exp(value / (2 * 0.5)) for value in (0, 1, 2)]
    torch.testing.assert_close(pi, torch.tensor([[term / sum(terms) for term in terms]]))


@pytest.mark.parametrize("scale", [1e-5, 1e-2, 1.0, 1e4])
@pytest.mark.parametrize("temperature", [0.1, 0.8, 5.0])
def test_a_distribution_whatever_the_scale(scale: float, temperature: float) -> None:
    eta = torch.rand(6, 40)
    pi = score_distribution(eta * scale, temperature)
    torch.testing.assert_close(pi.sum(1), torch.ones(6))
    assert (pi > 0).all()
    torch.testing.assert_close(pi, score_distribution(eta, temperature), rtol=1e-3, atol=0)
    assert torch.equal(pi.argsort(1), eta.argsort(1))


def test_bodies_do_not_see_each_other() -> None:
    eta = torch.rand(2, 10)
    together = score_distribution(torch.stack([eta[0], 100 * eta[1]]))
    torch.testing.assert_close(together, torch.cat([score_distribution(eta[:1]), score_distribution(eta[1:])]))


def test_no_saliency_at_all_is_uniform() -> None:
    torch.testing.assert_close(score_distribution(torch.zeros(1, 8)), torch.full((1, 8), 1 / 8))
