"""Fine-tuning: what moves, by how much per layer, and that the seed decides."""

from __future__ import annotations

import copy

import pytest
import torch
from rich.progress import Progress

from masksem_graph.backbones.drop_path import DropPath
from masksem_graph.errors import InputError
from masksem_graph.models.heads import LinearHead
from masksem_graph.protocols import Evaluation, FineTune, Outcome
from masksem_graph.protocols.labels import LabelsConfig

STILL = {"drop_path": 0.0, "warmup": 0.0}


def run(protocol: FineTune, evaluation: Evaluation, seed: int = 0) -> Outcome:
    with Progress(disable=True) as progress:
        return protocol.run(evaluation, seed=seed, progress=progress)


def accuracy(outcome: Outcome) -> float:
    return (outcome.scores.argmax(1) == torch.arange(21, 30) % 3).float().mean().item()


def test_easy_classes_are_learned(evaluation: Evaluation) -> None:
    outcome = run(FineTune(epochs=12, batch_size=8, lr=3e-3, drop_path=0.1), evaluation)
    assert accuracy(outcome) > 0.85
    assert outcome.figures["best_epoch_top1_chosen_on_test"] >= 100 * accuracy(outcome) - 1e-4
    assert 1 <= outcome.figures["best_epoch_chosen_on_test"] <= 12


def test_the_given_encoder_stays_and_its_copy_moves_everywhere(evaluation: Evaluation) -> None:
    before = copy.deepcopy(evaluation.encoder.state_dict())
    outcome = run(FineTune(epochs=2, batch_size=8, **STILL), evaluation)
    assert all(torch.equal(before[name], value) for name, value in evaluation.encoder.state_dict().items())
    assert outcome.encoder is not None and outcome.encoder is not evaluation.encoder
    moved = {name for name, value in outcome.encoder.state_dict().items() if not torch.equal(before[name], value)}
    assert moved == set(before)


def test_a_layer_moves_by_its_share_of_the_learning_rate(evaluation: Evaluation) -> None:
    """Adam's first step is the learning rate times the gradient's sign: what a parameter moves is its layer's rate."""
    training = FineTune(epochs=1, batch_size=21, lr=1e-3, weight_decay=0.0, layer_decay=0.5, **STILL).start(evaluation, 0)
    before = {id(p): p.detach().clone() for p in training.network.parameters()}
    training.step(0, 0, evaluation.train)
    layers = training.network.layers()
    assert len(layers) == 3, "embedding and encodings, one block, final norm and head"
    for expected, parameters in zip((0.25e-3, 0.5e-3, 1e-3), layers, strict=True):
        moved = torch.cat([(p - before[id(p)]).abs().flatten() for p in parameters])
        assert moved.max().item() == pytest.approx(expected, rel=1e-3)
        assert moved.median().item() == pytest.approx(expected, rel=1e-2)


def test_every_parameter_is_in_one_group_with_its_decay(evaluation: Evaluation) -> None:
    training = FineTune(weight_decay=0.1, drop_path=0.0).start(evaluation, 0)
    groups = training.optimiser.param_groups
    inside = [id(p) for group in groups for p in group["params"]]
    assert sorted(inside) == sorted(id(p) for p in training.network.parameters())
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    encoder = training.network.encoder
    assert decay[id(encoder.embedding.weight)] == 0.1 and decay[id(encoder.embedding.bias)] == 0.0
    assert decay[id(encoder.positions.encodings[0].table)] == 0.0, "encodings do not decay"
    assert decay[id(encoder.backbone.norm.weight)] == 0.0


def test_drop_path_grows_with_depth_in_the_copy_alone(evaluation: Evaluation) -> None:
    def rates(encoder: torch.nn.Module) -> list[float]:
        return [part.rate for part in encoder.modules() if isinstance(part, DropPath)]

    before = rates(evaluation.encoder)
    training = FineTune(drop_path=0.3).start(evaluation, 0)
    assert rates(evaluation.encoder) == before
    assert rates(training.network.encoder) == [0.0], "a single block is the first, which is never dropped"


def test_drop_path_needs_a_branch_to_drop(evaluation: Evaluation) -> None:
    evaluation.encoder.backbone.blocks = torch.nn.ModuleList()
    with pytest.raises(InputError, match=r"^drop_path: Transformer has no residual branch to drop; expected 0, found 0.3"):
        FineTune().start(evaluation, 0)


def test_the_seed_decides(evaluation: Evaluation) -> None:
    protocol = FineTune(epochs=2, batch_size=8, drop_path=0.2)
    first = run(protocol, evaluation, seed=1)
    torch.rand(5)
    again, other = run(protocol, evaluation, seed=1), run(protocol, evaluation, seed=2)
    assert torch.equal(first.scores, again.scores) and first.figures == again.figures
    assert not torch.equal(first.scores, other.scores)


def test_what_is_drawn_elsewhere_is_left_alone(evaluation: Evaluation) -> None:
    state = torch.get_rng_state()
    run(FineTune(epochs=1, drop_path=0.2), evaluation)
    assert torch.equal(torch.get_rng_state(), state)


def test_only_labelled_clips_are_seen(evaluation: Evaluation) -> None:
    labels = evaluation.labels(evaluation.train)
    chosen = LabelsConfig(per_class=2).choose(evaluation.train, labels, seed=3)
    seen: set[int] = set()
    original = evaluation.source.plan
    evaluation.source.plan = lambda view: (seen.update(view.clips.tolist()), original(view))[1]  # type: ignore[method-assign]
    subset = Evaluation(**{**vars(evaluation), "train": chosen})
    run(FineTune(epochs=2, batch_size=4, drop_path=0.0), subset)
    assert seen - set(evaluation.test.tolist()) == set(chosen.tolist())


def test_last_single_clip_joins_the_batch_before(evaluation: Evaluation) -> None:
    protocol = FineTune(batch_size=4)
    sizes = [len(batch) for batch in protocol.batches(evaluation, 0, 0)]
    assert sizes == [4, 4, 4, 4, 5]
    order = torch.cat(list(protocol.batches(evaluation, 0, 0)))
    assert sorted(order.tolist()) == evaluation.train.tolist()


def test_another_head(evaluation: Evaluation) -> None:
    outcome = run(FineTune(epochs=1, drop_path=0.0, head=LinearHead), evaluation)
    assert isinstance(outcome.head, LinearHead) and outcome.scores.shape == (9, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: expected at least 1, found 0"),
        ({"batch_size": 1}, "batch_size: expected at least 2, found 1"),
        ({"warmup": 1.0}, r"warmup: expected a share in \[0, 1\), found 1.0"),
        ({"drop_path": -0.1}, r"drop_path: expected a share in \[0, 1\), found -0.1"),
        ({"layer_decay": 0.0}, r"layer_decay: expected a factor in \(0, 1\], found 0.0"),
        ({"lr": 0.0}, "lr, final_lr: expected a rate above 0"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        FineTune(**options)
