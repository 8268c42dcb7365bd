"""Scores that need no model, by hand."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.masking import Motion, Scores, Uniform
from tests.helpers import evidence_of


def test_motion_by_hand() -> None:
    nodes = torch.zeros(1, 3, 2, 4)
    nodes[0, 1, 0] = torch.tensor([1.0, -1.0, 2.0, 0.0])  # moves by |.| of mean 1, and back again
    nodes[0, 2, 1] = 8.0
    assert Motion()(evidence_of(nodes)).tolist() == [[[1.0, 0.0], [1.0, 0.0], [1.0, 8.0]]]


def test_a_single_segment_has_no_motion() -> None:
    assert Motion()(evidence_of(torch.randn(2, 1, 3, 4))).tolist() == [[[1.0] * 3]] * 2


def test_uniform() -> None:
    assert Uniform()(evidence_of(torch.randn(2, 2, 3, 4))).tolist() == [[[1.0] * 3] * 2] * 2


@pytest.mark.parametrize("scores", [Motion(), Uniform()])
def test_standing_elsewhere_changes_nothing(scores: Scores) -> None:
    nodes = torch.randn(3, 4, 5, 6)
    torch.testing.assert_close(scores(evidence_of(nodes + 7.0)), scores(evidence_of(nodes)), atol=1e-5, rtol=0)
    assert not scores.needs_features
