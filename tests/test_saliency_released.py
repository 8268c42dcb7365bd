"""Grad-CAM as released, against autograd on what the authors' code writes down."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from masksem_graph.errors import InputError
from masksem_graph.masking import Evidence
from masksem_graph.saliency import ReleasedGradCam, released_gradcam
from tests.helpers import evidence_of


@pytest.mark.parametrize("slots", [1, 2])
def test_closed_form_is_autograd(slots: int) -> None:
    """All sequences at once: 1 - the mean similarity, its gradient averaged over a body's nodes."""
    sequences, nodes, width = 3, 8, 6
    features = torch.randn(sequences * slots, nodes, width).double().requires_grad_()
    reference = torch.randn(slots, nodes, width).double()
    z = features.mean(1).view(sequences, slots, width).mean(1)
    similarity = (F.normalize(z, dim=1) * F.normalize(reference.mean((0, 1)), dim=0)).sum(1).mean()
    (gradient,) = torch.autograd.grad(1 - similarity, features)
    alpha = gradient.mean(1, keepdim=True)
    expected = ((alpha * features).mean(2).relu() / 1e-8).detach()
    owner = torch.arange(sequences).repeat_interleave(slots)
    found = released_gradcam(features.detach(), reference, owner, sequences, sequences)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-3)
    assert (expected > 1).any() and (expected == 0).any()


def evidence(features: torch.Tensor) -> Evidence:
    bodies, width = len(features), features.shape[2]
    reference = torch.linspace(-1, 1, width).expand(1, 10, width)
    return evidence_of(torch.zeros(bodies, 2, 5, 6), features=features, reference=reference)


def test_a_part_of_a_batch_scores_as_in_the_whole() -> None:
    features, scores = torch.randn(4, 10, 6), ReleasedGradCam(batch_size=4)
    whole = scores(evidence(features))
    torch.testing.assert_close(scores(evidence(features[:1])), whole[:1])
    torch.testing.assert_close(ReleasedGradCam(batch_size=1)(evidence(features[:1])), 4 * whole[:1])
    assert ReleasedGradCam().batch_size == 32, "clips a GPU in the authors' scripts"


def test_a_batch_of_nothing() -> None:
    with pytest.raises(InputError, match=r"^batch_size: expected at least 1, found 0$"):
        ReleasedGradCam(batch_size=0)


def test_smoothed_scores_are_clipped() -> None:
    eta = torch.tensor([[[0.0, 0.3, 1.0, 40.0]]])
    torch.testing.assert_close(ReleasedGradCam().after_smoothing(eta), torch.tensor([[[0.0, 0.3, 1.0, 1.0]]]))


def test_features_are_asked_for() -> None:
    assert ReleasedGradCam().needs_features
    with pytest.raises(ValueError, match="needs the features"):
        ReleasedGradCam()(evidence_of(torch.zeros(1, 1, 5, 6)))
