"""Classification figures, by hand."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.protocols.metrics import bootstrap_interval, classification_figures, summary


def scores_of(*predicted: int, classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(predicted), classes).float()


def test_by_hand() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 3])
    figures = classification_figures(scores_of(0, 0, 1, 1, 3, 3, classes=4), labels, ("a", "b", "c", "d"))
    assert figures["top1"] == pytest.approx(100 * 4 / 6)
    assert figures["per_class_recall"] == {
        "a": pytest.approx(200 / 3),
        "b": pytest.approx(50),
        "c": None,  # does not occur
        "d": pytest.approx(100),
    }
    assert figures["mean_class_accuracy"] == pytest.approx((200 / 3 + 50 + 100) / 3)
    assert figures["confusion"] == [[2, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert figures["top5"] == pytest.approx(100), "of four classes the right one is always among the first five"


def test_top5() -> None:
    """Seven classes in falling order of score: the right one is first, fifth, sixth, seventh."""
    scores = torch.arange(7.0, 0, -1).expand(4, 7)
    figures = classification_figures(scores, torch.tensor([0, 4, 5, 6]), tuple("abcdefg"))
    assert (figures["top1"], figures["top5"]) == (pytest.approx(25), pytest.approx(50))


def test_logits_need_not_be_probabilities() -> None:
    logits = torch.tensor([[-5.0, -1.0, -9.0], [30.0, 2.0, 31.0]])
    figures = classification_figures(logits, torch.tensor([1, 0]), ("a", "b", "c"))
    assert figures["top1"] == pytest.approx(50)
    assert figures["confusion"] == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_summary_of_two_runs() -> None:
    labels, classes = torch.tensor([0, 0, 1]), ("a", "b")
    runs = [
        classification_figures(scores_of(*p, classes=2), labels, classes) | {"loss": x}
        for p, x in (((0, 0, 0), 1.0), ((0, 1, 1), 2.0))
    ]
    found = summary(runs)
    assert found["top1"] == found["mean"] == pytest.approx(200 / 3) and found["std"] == 0
    assert found["per_class_recall"] == {"a": pytest.approx(75), "b": pytest.approx(50)}
    assert found["confusion"] == [[3, 1], [1, 1]] and found["loss"] == 1.5
    assert summary(runs[:1])["std"] is None


def test_bootstrap_interval_is_the_binomial_one() -> None:
    correct = torch.arange(400) < 300
    low, high = bootstrap_interval(correct.numpy()[None])
    half = 100 * 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert low == pytest.approx(75 - half, abs=0.3) and high == pytest.approx(75 + half, abs=0.3)
    assert bootstrap_interval(correct.numpy()[None]) == (low, high), "seeded"


def test_bootstrap_interval_over_runs() -> None:
    """Two runs that are right on opposite halves are right half the time on every clip: nothing left to vary."""
    first = torch.arange(100) < 50
    low, high = bootstrap_interval(torch.stack([first, ~first]).numpy())
    assert low == high == pytest.approx(50)
