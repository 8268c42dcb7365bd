"""The pre-training task: what learns, what the loss is a sum over, and that every choice of parts runs."""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from masksem_graph.backbones import GAT, GCN, GPS, STGCN, BackboneFactory, Transformer
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.data.transforms import Rotate
from masksem_graph.data.views import CropConfig, random_view
from masksem_graph.encodings import EncodingFactory, Learned
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData, to_segments
from masksem_graph.masking import Mask, Motion, Uniform
from masksem_graph.models.build import ModelConfig
from masksem_graph.operators import Adjacency, Heat, Identity, PartAverage, PersonalisedPageRank, SpatioTemporal
from masksem_graph.saliency import GradCam
from masksem_graph.seeding import keyed_generator
from masksem_graph.targets import Coordinates, Moment, Target, VelocityAcceleration, standardise
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, Pretrain, RandomNumbers, build_pretrain
from masksem_graph.topology import load_topology
from masksem_graph.training.config import TrainConfig
from masksem_graph.training.optim import build_adamw

TINY = load_topology("tiny5")
FRAMES, SEGMENT, NODES = 12, 2, 30
EVERY_BACKBONE = [Transformer, GCN, GAT, GPS, STGCN]


def build(backbone: BackboneFactory | None = None, **method: Any) -> Pretrain:
    blocks = partial(Transformer, depth=2, heads=2)
    encodings: list[EncodingFactory] = [partial(Learned, over="segments"), partial(Learned, over="joints")]
    model = ModelConfig(
        frames=FRAMES,
        segment=SEGMENT,
        width=16,
        encodings=encodings,
        backbone=backbone or blocks,
        decoder=partial(blocks, depth=1),
    )
    chosen: dict[str, Any] = {"scores": GradCam(), "target": VelocityAcceleration(), "operator": Adjacency()} | method
    task = build_pretrain(model, MethodConfig(**chosen), topologies=[TINY], channels=3)
    task.reference().normal_()
    return task


def batch_of(frames: Tensor, sequence: Tensor) -> SkeletonBatch:
    labels = torch.zeros(int(sequence.max()) + 1, dtype=torch.int64)
    return SkeletonBatch.from_frames(frames, topology=TINY, segment=SEGMENT, sequence=sequence, y=labels)


def some_clips(sequence: tuple[int, ...] = (0, 0, 1, 2)) -> SkeletonBatch:
    return batch_of(torch.randn(len(sequence), FRAMES, 5, 3).cumsum(1), torch.tensor(sequence))


def uniform(bodies: int) -> RandomNumbers:
    return RandomNumbers(torch.rand(bodies, NODES))


def without_gradient(task: Pretrain) -> list[str]:
    return [n for n, p in task.named_parameters() if p.grad is None or not p.grad.isfinite().all() or not (p.grad != 0).any()]


@pytest.mark.parametrize("weighting", ["saliency", "uniform"])
@pytest.mark.parametrize("heads", ["shared", "separate"])
def test_everything_learns_but_the_teacher(weighting: str, heads: str) -> None:
    task = build(weighting=weighting, heads=heads)
    task(some_clips(), uniform(4))["loss"].backward()
    assert task.teacher is not None
    teachers = {f"teacher.{name}" for name, _ in task.teacher.named_parameters()}
    assert set(without_gradient(task)) == teachers
    assert not any(p.requires_grad for p in task.teacher.parameters())


def test_the_teacher_starts_as_the_student_and_follows_it() -> None:
    task = build(momentum=0.75)
    assert task.teacher is not None
    pairs = list(zip(task.teacher.parameters(), task.student.parameters(), strict=True))
    assert all(torch.equal(t, s) and t is not s for t, s in pairs)
    with torch.no_grad():
        for parameter in task.student.parameters():
            parameter.add_(1.0)
    before = [t.clone() for t, _ in pairs]
    task.update_teacher()
    for old, (teacher, _) in zip(before, pairs, strict=True):
        torch.testing.assert_close(teacher, old + 0.25)


def test_no_teacher_where_none_is_needed() -> None:
    task = build(scores=Motion())
    assert task.teacher is None and not task.needs_reference
    task.update_teacher()


def test_masks_follow_the_saliency() -> None:
    task, clips = build(temperature=0.05, mask_ratio=0.5), some_clips((0,))
    draws = [task.draw(clips, uniform(1)) for _ in range(300)]
    pi = draws[0].pi[0]
    assert all(torch.equal(draw.pi[0], pi) for draw in draws)
    assert pi.sum().item() == pytest.approx(1) and pi.max() > 3 * pi.median()
    times = torch.stack([draw.mask.masked[0] for draw in draws]).flatten().bincount(minlength=NODES)
    order = pi.argsort()
    assert times[order[-5:]].float().mean() > 1.5 * times[order[:5]].float().mean()


def by_hand(task: Pretrain, clips: SkeletonBatch, mask: Mask, pi: Tensor, predictions: dict[str, Tensor]) -> float:
    """The loss as METHOD.md, section 5, writes it, node by node."""
    total = 0.0
    for name, weight in task.target.weights.items():
        truth = standardise(to_segments(task.target.values(clips)[name], SEGMENT)).flatten(1, 2)
        for b in range(len(truth)):
            for place, node in enumerate(mask.masked[b].tolist()):
                predicted = predictions.get(name, predictions.get("shared"))
                assert predicted is not None
                error = ((predicted[b, place] - truth[b, node]) ** 2).mean().item()
                total += weight * error * (NODES * pi[b, node].item() if task.config.weighting == "saliency" else 1.0)
    return total / mask.masked.numel()


@pytest.mark.parametrize("weighting", ["saliency", "uniform"])
@pytest.mark.parametrize("heads", ["shared", "separate"])
def test_the_loss_node_by_node(weighting: str, heads: str) -> None:
    task, clips, draws = build(weighting=weighting, heads=heads, temperature=0.2), some_clips(), uniform(4)
    with torch.no_grad():
        out = task(clips, draws)
        drawn = task.draw(clips, draws)
        predictions = task.predict(clips, drawn.mask)
    assert set(predictions) == ({"shared"} if heads == "shared" else {"velocity", "acceleration"})
    assert out["loss"].item() == pytest.approx(by_hand(task, clips, drawn.mask, drawn.pi, predictions), rel=1e-5)
    torch.testing.assert_close(out["loss"], 0.8 * out["velocity"] + 0.2 * out["acceleration"])


@pytest.mark.parametrize("weighting", ["saliency", "uniform"])
def test_the_parts_of_a_batch_add_up(weighting: str) -> None:
    """Though they hold different numbers of bodies: the loss is a sum over the global count."""
    task, clips, draws = build(weighting=weighting).double(), some_clips((0, 0, 1, 2, 2)), uniform(5)
    clips = clips.with_frames(clips.frames.double())
    whole = task(clips, draws)
    whole["loss"].backward()
    expected = {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}
    task.zero_grad()
    sums = dict.fromkeys(whole, 0.0)
    for part in (slice(0, 3), slice(3, 5)):  # sequences 0 and 1, and sequence 2
        sequence = clips.sequence[part] - clips.sequence[part][0]
        piece = batch_of(clips.frames[part], sequence)
        out = task(piece, RandomNumbers(draws.nodes[part]), GlobalBatch(bodies=5, first=part.start))
        out["loss"].backward()
        sums = {name: sums[name] + value.item() for name, value in out.items()}
    for name, value in whole.items():
        assert sums[name] == pytest.approx(value.item(), rel=1e-6), name
    for name, parameter in task.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-5, atol=1e-9, msg=name)


def test_weights_of_a_uniform_distribution_are_one() -> None:
    clips = some_clips()
    losses = []
    for weighting in ("saliency", "uniform"):
        torch.manual_seed(1)
        task = build(scores=Uniform(), operator=Identity(), weighting=weighting)
        losses.append(task(clips, uniform(4))["loss"])
    torch.testing.assert_close(losses[0], losses[1])


@pytest.mark.parametrize("masked", ["drop", "token"])
@pytest.mark.parametrize("part", EVERY_BACKBONE)
def test_what_is_masked_does_not_reach_the_prediction(part: Any, masked: str) -> None:
    task, clips = build(partial(part, depth=2, masked=masked)), some_clips((0,))
    mask = task.draw(clips, uniform(1)).mask
    nodes = clips.dense.scatter(1, mask.masked[..., None].expand(-1, -1, 6), 1e3)
    frames = nodes.view(1, FRAMES // SEGMENT, 5, SEGMENT, 3).transpose(2, 3).reshape(1, FRAMES, 5, 3)
    assert not torch.equal(frames, clips.frames)
    other = clips.with_frames(frames)
    assert torch.equal(task.predict(clips, mask)["shared"], task.predict(other, mask)["shared"])


def test_the_batchs_reference_is_the_one_that_is_given() -> None:
    task, clips, draws = build(reference="batch"), some_clips(), uniform(4)
    given = torch.randn(FRAMES, 5, 3)
    pi = task.draw(clips, draws, GlobalBatch(bodies=4, reference=given)).pi
    assert not torch.equal(pi, task.draw(clips, draws).pi)
    task.reference().copy_(given)
    assert torch.equal(pi, task.draw(clips, draws).pi)


OPERATORS = [Identity(), Adjacency(hops=2), PartAverage(), PersonalisedPageRank(), Heat(), SpatioTemporal()]
TARGETS = [Coordinates(), VelocityAcceleration(beta=0.0), VelocityAcceleration(), VelocityAcceleration(beta=1.0)]
WEIGHTINGS, HEADS = ["saliency", "uniform"], ["shared", "separate"]


@pytest.mark.parametrize("scores", [GradCam, Motion, Uniform])
@pytest.mark.parametrize("operator", OPERATORS)
def test_parts_go_together(scores: type, operator: Any) -> None:
    """Half of all combinations, such that each choice meets each other choice."""
    for (t, target), (w, weighting), (h, heads) in product(enumerate(TARGETS), enumerate(WEIGHTINGS), enumerate(HEADS)):
        if (t + w + h) % 2 == 0:
            task = build(scores=scores(), operator=operator, target=target, weighting=weighting, heads=heads)
            out = task(some_clips(), uniform(4))
            assert set(out) == {"loss", *target.weights}
            assert 0.3 < out["loss"].item() < 10, "standardised targets, predictions of about their size"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_ratio": 1.2}, r"method.mask_ratio: expected a number from 0.001 to 0.999, found 1.2"),
        ({"momentum": -0.1}, r"method.momentum: expected a number from 0 to 1, found -0.1"),
        ({"temperature": 0.0}, "method.temperature: expected a number from 1e-06 to 1000000.0, found 0.0"),
    ],
)
def test_numbers_out_of_range(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        MethodConfig(scores=Uniform(), target=Coordinates(), **change)


class OneChannel(Target):
    """Somebody's target: how far each joint is from the centre."""

    def __init__(self, *, channels: int = 1) -> None:
        self.channels = channels

    @property
    def weights(self) -> dict[str, float]:
        return {"distance": 1.0}

    def values(self, batch: SkeletonData) -> dict[str, Tensor]:
        return {"distance": batch.frames.norm(dim=-1, keepdim=True).expand(-1, -1, -1, self.channels)}


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_target_of_another_number_of_channels(channels: int, heads: str, weighting: str) -> None:
    """One channel would broadcast against three: a loss like any other, and a wrong one."""
    task = build(target=OneChannel(channels=channels), heads=heads, weighting=weighting)
    with pytest.raises(InputError) as error:
        task(some_clips(), uniform(4))
    assert str(error.value) == f"method.target: distance has {channels} channels a joint; expected 3, as the clips have"
    assert build(target=OneChannel(channels=3), heads=heads)(some_clips(), uniform(4))["loss"].isfinite()


@pytest.mark.parametrize("moment", ["after_resize", "before_resize"])
def test_the_loss_falls(tmp_path: Path, one_thread: None, moment: Moment) -> None:
    """Thirty steps on clips that swing, from the store to the optimiser."""
    with StoreWriter(tmp_path / "store", topology=TINY, classes=("a",)) as writer:
        for i in range(16):
            t = np.arange(24 + i % 3)[:, None, None]
            swing = np.sin(t * 0.4 + np.arange(5)[:, None] + np.arange(3)).astype(np.float32)
            bodies = [Body(0, swing, np.ones(len(t), bool))] * (1 + i % 3 // 2)
            writer.add(Clip(name=str(i), label=0, bodies=tuple(bodies)))
    task = build(target=VelocityAcceleration(differentiate=moment), weighting="saliency", mask_ratio=0.6)
    source = SkeletonLoader(
        open_store(tmp_path / "store"),
        frames=FRAMES,
        segment=SEGMENT,
        derivatives=task.target.before_resize,
        transforms=[Rotate(x=0.3, y=0.3, z=0.3)],
    )
    optimiser = build_adamw(task, TrainConfig(lr=1e-2))
    losses, crop = [], CropConfig(share=(0.9, 1.0))
    for step in range(30):
        view = random_view(torch.arange(16), source.length, crop, source.transforms, keyed_generator(step))
        clips = source.load(source.plan(view))
        task.update_teacher()
        loss = task(clips, RandomNumbers(torch.rand(clips.num_bodies, NODES, generator=keyed_generator(step, 1))))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
