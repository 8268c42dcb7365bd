"""The closed form against scikit-learn's, and leave-one-out against leaving one out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifierCV

from masksem_graph.protocols.floors import ALPHAS, _leave_one_out, _svd, ridge_scores


def blobs(count: int, features: int, classes: int = 3, spread: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count + features)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, features, generator=torch.Generator().manual_seed(7))
    return centres[labels] + spread * torch.randn(count, features, generator=generator), labels


@pytest.mark.parametrize("features", [5, 40, 200], ids=["tall", "square", "wide"])
def test_as_scikit_learn(features: int) -> None:
    train, labels = blobs(60, features)
    test, _ = blobs(31, features)
    found = ridge_scores(train, labels, test, classes=3)
    mean, std = train.double().mean(0), train.double().std(0, correction=0)
    theirs = RidgeClassifierCV(alphas=ALPHAS).fit(((train - mean) / std).numpy(), labels.numpy())
    expected = theirs.decision_function(((test - mean) / std).numpy())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_leave_one_out_is_leaving_one_out() -> None:
    x, labels = blobs(12, 4)
    x = x.double() - x.double().mean(0)
    y = torch.nn.functional.one_hot(labels, 3).double() * 2 - 1
    offset = y.mean(0)
    u, s, _ = _svd(x)
    found = _leave_one_out(u, s, u.T @ (y - offset), y - offset, 2.0)
    errors = []
    for i in range(len(x)):
        rest = torch.arange(len(x)) != i
        ones = torch.cat([x[rest], torch.ones(len(x) - 1, 1)], 1).double()
        penalty = 2.0 * torch.eye(5, dtype=torch.float64)
        penalty[4, 4] = 0
        weights = torch.linalg.solve(ones.T @ ones + penalty, ones.T @ y[rest])
        errors.append(y[i] - torch.cat([x[i], torch.ones(1)]).double() @ weights)
    torch.testing.assert_close(found, torch.stack(errors).square().mean())


def test_constant_features_count_for_nothing() -> None:
    train, labels = blobs(30, 6)
    test, _ = blobs(9, 6)
    padded = (torch.cat([part, torch.full((len(part), 2), 5.0)], 1) for part in (train, test))
    first, second = padded
    torch.testing.assert_close(
        ridge_scores(first, labels, second, classes=3), ridge_scores(train, labels, test, classes=3), atol=1e-4, rtol=0
    )


def test_a_class_without_clips_never_wins() -> None:
    train, labels = blobs(30, 6)
    scores = ridge_scores(train, labels, train, classes=4)
    assert scores.shape == (30, 4) and not (scores.argmax(1) == 3).any()
