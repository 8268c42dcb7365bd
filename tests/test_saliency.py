"""The closed form of Grad-CAM against autograd on the definition."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from masksem_graph.models.pool import sequence_mean
from masksem_graph.operators import Adjacency
from masksem_graph.saliency import GradCam, gradcam, similarity_gradient
from masksem_graph.topology import load_topology
from tests.helpers import evidence_of, grid


def by_autograd(features: Tensor, reference: Tensor, sequence: list[int]) -> tuple[Tensor, Tensor]:
    """eta and d(-sim)/dH, sequence by sequence, exactly as METHOD.md writes them."""
    eta, gradients = torch.zeros(features.shape[:2]).double(), torch.zeros_like(features)
    for s in sorted(set(sequence)):
        bodies = [b for b, owner in enumerate(sequence) if owner == s]
        h = features[bodies].clone().requires_grad_()
        z = h.flatten(0, 1).mean(0)
        similarity = F.cosine_similarity(z, reference[0].mean(0), dim=0)
        (gradient,) = torch.autograd.grad(-similarity, h)
        alpha = gradient.relu().flatten(0, 1).mean(0)
        eta[bodies] = torch.einsum("bnd,d->bn", h, alpha).relu().detach()
        gradients[bodies] = gradient
    return eta, gradients


CASES = [[0], [0, 0], [0, 1], [0, 0, 1], [0, 1, 1, 2, 3, 3]]


@pytest.mark.parametrize("sequence", CASES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_closed_form_is_autograd(sequence: list[int], scale: float) -> None:
    features = scale * torch.randn(len(sequence), 12, 7).double()
    reference = torch.randn(1, 12, 7).double()
    expected, gradients = by_autograd(features, reference, sequence)
    assert (expected > 0).any() and (expected == 0).any(), "both sides of the ReLU are tested"
    owner, count = torch.tensor(sequence), max(sequence) + 1
    torch.testing.assert_close(gradcam(features, reference, owner, count), expected, rtol=1e-9, atol=1e-15)
    z, bodies = sequence_mean(features, owner, count)
    closed = similarity_gradient(z, reference.mean((0, 1)), bodies * 12)
    torch.testing.assert_close(closed[owner][:, None].expand_as(gradients), gradients, rtol=1e-9, atol=1e-15)


def test_by_hand() -> None:
    """z = (1, 0) and z_ref = (0, 2): sim 0, gradient -(0, 1) / 2 at each of two nodes; ReLU leaves nothing."""
    features = torch.tensor([[[2.0, 1.0], [0.0, -1.0]]])
    owner = torch.tensor([0])
    assert gradcam(features, torch.tensor([[[0.0, 2.0]] * 2]), owner, 1).tolist() == [[0.0, 0.0]]
    # Against (0, -2) the gradient is +(0, 1) / 2: the node that has what the reference lacks is salient, the other is cut off.
    assert gradcam(features, torch.tensor([[[0.0, -2.0]] * 2]), owner, 1).tolist() == [[0.5, 0.0]]


def test_what_the_reference_lacks_is_salient() -> None:
    features = torch.zeros(1, 6, 4)
    features[..., 0] = 1.0
    features[0, 3, 2] = 3.0  # one node does something that the average motion does not
    reference = torch.zeros(1, 6, 4)
    reference[..., 0] = 1.0
    eta = gradcam(features, reference, torch.tensor([0]), 1)
    assert eta.argmax() == 3
    assert (eta[0, [0, 1, 2, 4, 5]] == 0).all()


def test_both_bodies_of_a_sequence_are_pooled() -> None:
    one, two = torch.randn(2, 5, 4)
    reference = torch.randn(1, 5, 4)
    together = gradcam(torch.stack([one, two]), reference, torch.tensor([0, 0]), 1)
    joined = gradcam(torch.cat([one, two])[None], reference.repeat(1, 2, 1), torch.tensor([0]), 1)
    torch.testing.assert_close(together.flatten(), joined.flatten())
    apart = gradcam(torch.stack([one, two]), reference, torch.tensor([0, 1]), 2)
    assert not torch.allclose(together, apart)


def test_a_sequence_does_not_depend_on_its_batch() -> None:
    features, reference = torch.randn(4, 6, 5).double(), torch.randn(1, 6, 5).double()
    sequence = torch.tensor([0, 0, 1, 2])
    whole = gradcam(features, reference, sequence, 3)
    torch.testing.assert_close(whole[2:3], gradcam(features[2:3], reference, torch.tensor([0]), 1))
    torch.testing.assert_close(whole[:2], gradcam(features[:2], reference, torch.tensor([0, 0]), 1))


def test_absent_bodies_count_as_bodies_of_all_zero_clips() -> None:
    """With the absent body written out, in the clips and in the reference, it is the plain formula."""
    features, absent = torch.randn(3, 6, 5).double(), torch.randn(1, 6, 5).double()
    reference = torch.randn(1, 6, 5).double()
    found = gradcam(features, reference, torch.tensor([0, 1, 1]), 2, absent)
    written = torch.cat([features[:1], absent, features[1:]])
    both = (reference + absent) / 2  # of two bodies' nodes, as only their mean matters
    expected = gradcam(written, both, torch.tensor([0, 0, 1, 1]), 2)
    torch.testing.assert_close(found, expected[[0, 2, 3]])
    assert not torch.allclose(found[0], gradcam(features, reference, torch.tensor([0, 1, 1]), 2)[0])


def test_scores_then_smoothing_by_hand() -> None:
    topology = load_topology("tiny5")
    features = torch.zeros(1, 5, 2)
    features[0, :, 0], features[0, 2, 1] = 1.0, 5.0  # the left hand alone has the second feature
    reference = torch.tensor([[[1.0, -1.0]] * 5])
    eta = GradCam()(evidence_of(torch.zeros(1, 1, 5, 6), features=features, reference=reference))
    # z = (1, 1), z_ref = (1, -1): sim = 0 and the gradient is -(1, -1) / 2 / 5, of which (0, 0.1) is left.
    torch.testing.assert_close(eta, torch.tensor([[[0.0, 0.0, 0.5, 0.0, 0.0]]]))
    smooth = Adjacency(hops=1)(eta, grid(topology))
    expected = torch.tensor([[[0.0, 0.5 / math.sqrt(8), 0.25, 0.0, 0.0]]])  # degrees with the loop: hand 2, head 4
    torch.testing.assert_close(smooth, expected)


def test_features_are_asked_for() -> None:
    assert GradCam.needs_features
    with pytest.raises(ValueError, match="needs the features"):
        GradCam()(evidence_of(torch.zeros(1, 1, 5, 6)))
