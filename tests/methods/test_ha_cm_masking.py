"""The scores of HA-CM by hand: hierarchy, attention, one on odd segments and the other on even ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from masksem_graph.masking import Evidence, Motion, Scores, Uniform
from masksem_graph.methods.ha_cm import AlternatingScores, AttentionScores, HierarchyScores
from masksem_graph.saliency import GradCam
from tests.helpers import evidence_of


def evidence(embedded: Tensor, context: Tensor | None = None, nodes: Tensor | None = None, **more: Any) -> Evidence:
    bodies, segments, joints, width = embedded.shape
    return evidence_of(
        torch.randn(bodies, segments, joints, 6) if nodes is None else nodes,
        embedded=embedded,
        context=torch.zeros(bodies, segments, 0, width) if context is None else context,
        **more,
    )


def test_hierarchy_by_hand() -> None:
    """Points on an axis at 0, at tanh 1 and at -tanh 2: distances as the code of HA-CM has them, with a factor of 4."""
    embedded = torch.zeros(1, 1, 3, 2)
    embedded[0, 0, 1, 0], embedded[0, 0, 2, 0] = 1.0, -2.0
    points = [0.0, math.tanh(1), -math.tanh(2)]

    def between(a: float, b: float) -> float:
        return math.acosh(1 + 4 * (a - b) ** 2 / ((1 - a * a) * (1 - b * b)))

    eta = HierarchyScores()(evidence(embedded))
    assert eta[0, 0].tolist() == pytest.approx([sum(between(a, b) for b in points) for a in points], rel=1e-5)
    assert eta.argmax() == 2, "the farthest out"
    # A trunk whose two joints are mapped first and averaged then.
    context = torch.zeros(1, 1, 2, 2)
    context[0, 0, :, 0] = torch.tensor([0.5, 1.5])
    trunk = (math.tanh(0.5) + math.tanh(1.5)) / 2
    with_trunk = HierarchyScores(trunk=0.3)(evidence(embedded, context))
    assert (with_trunk - eta)[0, 0].tolist() == pytest.approx([0.3 * between(a, trunk) for a in points], rel=1e-4)


def test_segments_have_hierarchies_of_their_own() -> None:
    embedded, context = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 3, 8)
    whole = HierarchyScores()(evidence(embedded, context))
    for s in range(4):
        torch.testing.assert_close(
            whole[:, s : s + 1], HierarchyScores()(evidence(embedded[:, s : s + 1], context[:, s : s + 1]))
        )


def test_hierarchy_far_out() -> None:
    """Embeddings of any size: everything beyond a length of about 6 lies at the surface."""
    eta = HierarchyScores()(evidence(torch.randn(2, 2, 5, 8) * torch.tensor([0.0, 1e-20, 1.0, 1e3, 1e30])[:, None]))
    assert eta.isfinite().all() and (eta >= 0).all()


def attention(width: int) -> Attention:
    scores = AttentionScores()
    scores.build(width=width)
    return scores


def test_attention_by_hand() -> None:
    scores, h = attention(4), torch.randn(2, 3, 5, 4)
    for linear in (scores.query, scores.key):
        torch.nn.init.normal_(linear.bias)
    eta = scores(evidence(h))
    expected = torch.zeros(2, 3, 5)
    for b in range(2):
        for t in range(3):
            for s in range(3):
                logits = [2 * (scores.query(h[b, t, v]) @ scores.key(h[b, s, v])) for v in range(5)]
                expected[b, s] += torch.stack(logits).softmax(0)
    torch.testing.assert_close(eta, expected)
    torch.testing.assert_close(eta.sum(2), torch.full((2, 3), 3.0), msg="each of three queries shares out one")


def test_the_maps_of_the_attention_never_learn() -> None:
    scores = attention(4)
    assert {name for name, _ in scores.named_parameters()} == {"query.weight", "query.bias", "key.weight", "key.bias"}
    assert not any(parameter.requires_grad for parameter in scores.parameters())
    assert set(scores.state_dict()) == {"query.weight", "query.bias", "key.weight", "key.bias"}, "but are saved"
    bound = (6 / 8) ** 0.5
    assert scores.query.weight.abs().max() <= bound and scores.query.weight.std() > bound / 3, "Xavier"


def test_alternating_sees_its_own_segments_alone() -> None:
    torch.manual_seed(1)
    scores = AlternatingScores(even=AttentionScores(), odd=HierarchyScores())
    scores.build(width=8)
    assert scores.needs_embeddings and not scores.needs_features
    whole = evidence(torch.randn(2, 5, 4, 8), torch.randn(2, 5, 2, 8))
    eta = scores(whole)
    assert torch.equal(eta[:, 0::2], scores.even(whole.of_segments(0, 2)))
    assert torch.equal(eta[:, 1::2], scores.odd(whole.of_segments(1, 2)))
    torch.testing.assert_close(eta[:, 0::2].sum(2), torch.full((2, 3), 3.0), msg="three even segments ask")


@pytest.mark.parametrize("segments", [1, 2, 5])
@pytest.mark.parametrize("odd", [Uniform(), Motion()])
def test_alternating_of_any_two(segments: int, odd: Scores) -> None:
    nodes = torch.randn(2, segments, 4, 6)
    eta = AlternatingScores(even=Motion(), odd=odd)(evidence(torch.zeros(2, segments, 4, 1), nodes=nodes))
    assert eta.shape == (2, segments, 4) and eta.isfinite().all()


def test_features_of_some_segments() -> None:
    features, reference = torch.randn(2, 12, 3), torch.randn(1, 12, 3)
    whole = evidence_of(torch.randn(2, 4, 3, 6), features=features, reference=reference)
    half = whole.of_segments(1, 2)
    rows = [3, 4, 5, 9, 10, 11]
    assert half.features is not None and half.reference is not None
    assert torch.equal(half.features, features[:, rows]) and torch.equal(half.reference, reference[:, rows])
    assert torch.equal(half.nodes, whole.nodes[:, [1, 3]])
    mixed = AlternatingScores(even=Uniform(), odd=GradCam())
    assert mixed.needs_features and not mixed.needs_embeddings
    assert torch.equal(mixed(whole)[:, 1::2], GradCam()(half))


@pytest.mark.parametrize("scores", [HierarchyScores(), attention(4)])
def test_embeddings_are_asked_for(scores: Scores) -> None:
    with pytest.raises(ValueError, match="needs the student's embedded nodes"):
        scores(evidence_of(torch.zeros(1, 1, 5, 6)))


class Drawn(Scores):
    """What it was given, the same for all nodes of a body."""

    def __init__(self, draws: int) -> None:
        super().__init__()
        self.draws = draws

    def forward(self, evidence: Evidence) -> Tensor:
        assert evidence.uniform is not None and evidence.uniform.shape == (len(evidence.nodes), self.draws)
        return evidence.uniform.sum(1)[:, None, None].expand(evidence.nodes.shape[:3])


@pytest.mark.parametrize(("even", "odd"), [(2, 1), (0, 3), (1, 0)])
def test_each_half_has_random_numbers_of_its_own(even: int, odd: int) -> None:
    scores = AlternatingScores(even=Drawn(even), odd=Drawn(odd))
    assert scores.draws == even + odd
    uniform = torch.rand(2, even + odd)
    eta = scores(evidence(torch.zeros(2, 5, 4, 1), uniform=uniform))
    for first, own in ((0, uniform[:, :even]), (1, uniform[:, even:])):
        assert torch.equal(eta[:, first::2], own.sum(1)[:, None, None].expand_as(eta[:, first::2]))
