"""The protocols on an encoder: it is frozen, the seed decides, odd sizes work."""

from __future__ import annotations

import copy

import pytest
import torch
from rich.progress import Progress

import masksem_graph.protocols.base as base
from masksem_graph.data.views import random_view
from masksem_graph.errors import InputError
from masksem_graph.protocols import KNN, Evaluation, Linear, Outcome, Protocol
from masksem_graph.seeding import keyed_generator

TRAIN, TEST = 21, 9


def run(protocol: Protocol, evaluation: Evaluation, seed: int = 0) -> Outcome:
    with Progress(disable=True) as progress:
        return protocol.run(evaluation, seed=seed, progress=progress)


def accuracy(outcome: Outcome) -> float:
    return (outcome.scores.argmax(1) == torch.arange(TRAIN, TRAIN + TEST) % 3).float().mean().item()


@pytest.mark.parametrize("protocol", [Linear(epochs=3, batch_size=8), Linear(epochs=3, views=2), KNN()], ids=["0", "2", "knn"])
def test_the_encoder_is_frozen(evaluation: Evaluation, protocol: Protocol) -> None:
    encoder = evaluation.encoder
    before = copy.deepcopy({**dict(encoder.named_parameters()), **dict(encoder.named_buffers())})
    modes: set[bool] = set()
    encoder.register_forward_pre_hook(lambda module, _: modes.add(module.training))
    encoder.train()
    run(protocol, evaluation)
    assert modes == {False}, "eval mode: dropout and stochastic depth are off"
    after = {**dict(encoder.named_parameters()), **dict(encoder.named_buffers())}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in encoder.parameters())


@pytest.mark.parametrize("views", [0, 3])
def test_the_seed_decides(evaluation: Evaluation, views: int) -> None:
    protocol = Linear(epochs=2, batch_size=8, views=views)
    first = run(protocol, evaluation, seed=1)
    torch.rand(5)
    again, other = run(protocol, evaluation, seed=1), run(protocol, evaluation, seed=2)
    assert torch.equal(first.scores, again.scores) and first.figures == again.figures
    assert not torch.equal(first.scores, other.scores)


def test_what_is_drawn_elsewhere_is_left_alone(evaluation: Evaluation) -> None:
    state = torch.get_rng_state()
    run(Linear(epochs=1, views=1), evaluation)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("views", [0, 2])
def test_easy_classes_are_learned(evaluation: Evaluation, views: int) -> None:
    outcome = run(Linear(epochs=30, batch_size=8, views=views), evaluation)
    assert outcome.scores.shape == (TEST, 3)
    assert accuracy(outcome) > 0.85
    assert outcome.figures["best_epoch_top1_chosen_on_test"] >= 100 * accuracy(outcome) - 1e-4
    assert outcome.figures["train_loss"] < 0.7


def test_views_are_encoded_once_or_in_every_epoch(evaluation: Evaluation) -> None:
    calls: list[int] = []
    evaluation.encoder.register_forward_hook(lambda *_: calls.append(1))
    for views, expected in ((0, 5 + 1), (2, 2 + 1)):  # and the test clips once
        calls.clear()
        run(Linear(epochs=5, views=views), evaluation)
        assert len(calls) == expected


@pytest.mark.parametrize(("clips", "sizes"), [(21, [8, 8, 5]), (17, [8, 9]), (16, [8, 8]), (9, [9]), (8, [8]), (2, [2])])
def test_no_batch_of_one_clip(evaluation: Evaluation, clips: int, sizes: list[int]) -> None:
    protocol, seen = Linear(epochs=1, batch_size=8), []
    head = protocol._head(evaluation, 0)
    head.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    optimiser = torch.optim.SGD(head.parameters(), lr=0.1)
    protocol._epoch(head, optimiser, torch.randn(clips, 16), torch.arange(clips) % 3, 0, 0)
    assert seen == sizes


def test_features_do_not_depend_on_how_many_are_encoded_at_once(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = torch.arange(TRAIN + TEST)
    view = random_view(clips, evaluation.source.length, evaluation.crop, evaluation.source.transforms, keyed_generator(1))
    whole, central = evaluation.encode(view), evaluation.encode_test(clips)
    monkeypatch.setattr(base, "ENCODE_BATCH", 7)
    torch.testing.assert_close(evaluation.encode(view), whole)
    torch.testing.assert_close(evaluation.encode_test(clips), central)
    torch.testing.assert_close(evaluation.encode_test(clips[3:4]), central[3:4])


def test_augmented_features_are_keyed(evaluation: Evaluation) -> None:
    one = evaluation.encode_augmented(evaluation.train, 0, 1)
    assert torch.equal(one, evaluation.encode_augmented(evaluation.train, 0, 1))
    assert not torch.equal(one, evaluation.encode_augmented(evaluation.train, 0, 2))
    assert not torch.equal(one, evaluation.encode_test(evaluation.train))


def test_knn_on_easy_classes(evaluation: Evaluation) -> None:
    outcome = run(KNN(k=[3, 1]), evaluation)
    assert accuracy(outcome) > 0.85
    assert set(outcome.figures) == {"top1_k3", "top1_k1"}
    assert outcome.figures["top1_k3"] == pytest.approx(100 * accuracy(outcome))
    assert torch.equal(outcome.scores, run(KNN(k=[3]), evaluation, seed=5).scores)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: expected at least 1, found 0"),
        ({"batch_size": 1}, "batch_size: expected at least 2, found 1"),
        ({"views": -1}, "views: expected at least 0, found -1"),
    ],
)
def test_options_out_of_range(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Linear(**options)
