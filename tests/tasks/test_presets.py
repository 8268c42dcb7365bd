"""The shipped presets: what they are made of, what learns in them, and that a batch may be divided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from masksem_graph.backbones import CrossTransformer
from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml, shipped
from masksem_graph.graph import SkeletonBatch
from masksem_graph.masking import Mask
from masksem_graph.methods.ha_cm import PoincareBall
from masksem_graph.models.build import ModelConfig
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, Pretrain, RandomNumbers, build_pretrain
from masksem_graph.topology import Topology, encoder_topology, load_topology

PRESETS = sorted(path.stem for path in (shipped("configs") / "method").glob("*.yaml"))
TINY = load_topology("tiny5")
LEARNED = [{"class_path": "masksem_graph.encodings.Learned", "init_args": {"over": over}} for over in ("segments", "joints")]
BLOCKS = {"class_path": "masksem_graph.backbones.Transformer", "init_args": {"depth": 1, "heads": 2}}
SMALL: dict[str, Any] = {"width": 16, "encodings": LEARNED, "backbone": BLOCKS, "decoder": BLOCKS}


def method_of(preset: str) -> MethodConfig:
    fields = read_yaml(find_yaml(f"method/{preset}", "configs"))
    own = {name: value for name, value in fields.items() if name != "requires"}
    return parse_mapping(MethodConfig, own, source=preset)


def model_of(preset: str, **sizes: Any) -> ModelConfig:
    """Small networks with what the method asks for."""
    fields = read_yaml(find_yaml(f"method/{preset}", "configs"))
    needed = fields.get("requires", {}).get("model", {})
    return parse_mapping(ModelConfig, sizes | SMALL | needed, source=preset)


def build(preset: str, data: Topology = TINY, frames: int = 12, segment: int = 2, **changes: Any) -> Pretrain:
    model = model_of(preset, frames=frames, segment=segment)
    method = replace(method_of(preset), **changes)
    return build_pretrain(model, method, topologies=[encoder_topology(model.topology, data)], channels=3)


def batch_of(task: Pretrain, frames: Tensor, sequence: Tensor, sequences: int) -> SkeletonBatch:
    labels = torch.zeros(sequences, dtype=torch.int64)
    return SkeletonBatch.from_frames(
        frames, topology=task.student.topology, segment=task.student.segment, sequence=sequence, y=labels
    )


def some_clips(task: Pretrain, sequence: tuple[int, ...] = (0, 0, 1, 2, 2)) -> tuple[SkeletonBatch, RandomNumbers]:
    x = 0.05 * torch.randn(len(sequence), task.student.frames, 5, 3).cumsum(1)
    task.reference().copy_(x.mean(0) + 0.1)
    clips = batch_of(task, x, torch.tensor(sequence), max(sequence) + 1)
    drawn = {name: torch.rand(len(sequence), count) for name, count in task.draws(clips.segments, len(clips.topology)).items()}
    return clips, RandomNumbers(**drawn)


def test_the_five_presets() -> None:
    assert PRESETS == ["ha_cm", "mamp", "masksem", "masksem_released", "skeletonmae"]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_should_learn_learns_and_nothing_else(preset: str) -> None:
    task = build(preset)
    clips, numbers = some_clips(task)
    task(clips, numbers)["loss"].backward()
    fixed = {name for name, p in task.named_parameters() if not p.requires_grad}
    learns = {name for name, p in task.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    assert {name for name, _ in task.named_parameters()} == fixed | learns and not fixed & learns
    assert {name.split(".")[0] for name in learns} == {"student", "decoder"}
    needs_teacher = preset.startswith("masksem")
    assert (task.teacher is not None) == needs_teacher
    maps = {f"scores.even.{which}.{what}" for which in ("query", "key") for what in ("weight", "bias")}
    assert {name for name in fixed if not name.startswith("teacher.")} == (maps if preset == "ha_cm" else set())


@pytest.mark.parametrize("preset", ["masksem", "masksem_released"])
def test_the_teacher_moves_by_its_share_of_the_gap(preset: str) -> None:
    task = build(preset)
    assert task.teacher is not None
    with torch.no_grad():
        for p in task.student.parameters():
            p.add_(torch.randn_like(p))
    before = [p.clone() for p in task.teacher.parameters()]
    task.update_teacher()
    for old, teacher, student in zip(before, task.teacher.parameters(), task.student.parameters(), strict=True):
        torch.testing.assert_close(teacher, old + (1 - task.config.momentum) * (student - old), atol=1e-6, rtol=0)
        assert task.config.momentum == 0.99


def test_kept_nodes() -> None:
    """At paper scale: 75 of 750, 74 as the published code truncates, and 22 of each half of HA-CM's 432."""
    counts = {}
    for preset in PRESETS:
        task = build(preset, load_topology("ntu25"), frames=120, segment=4)
        batch = task.student.batch(torch.zeros(1, task.student.frames, 25, 3))
        counts[preset] = (batch.layout.nodes, batch.layout.nodes - task.sampler.masked(batch.segments, len(batch.topology)))
    assert counts == {
        "ha_cm": (432, 44),
        "mamp": (750, 75),
        "masksem": (750, 75),
        "masksem_released": (750, 74),
        "skeletonmae": (750, 75),
    }


def test_ha_cm_is_whole() -> None:
    task = build("ha_cm")
    clips, numbers = some_clips(task)
    assert isinstance(task.student.space, PoincareBall)
    assert task.student.topology.context == ("hip",) and clips.layout.nodes == 24 * 4
    mask = task.draw(clips, numbers).mask
    odd = (mask.kept // 4 % 2).sum(1)
    assert (odd == 5).all() and mask.kept.shape[1] == 10, "ten per cent of 48 in each half"
    out = task(clips, numbers)
    torch.testing.assert_close(out["loss"], out["velocity"] + out["contrast"])
    assert out["contrast"] > 0


def test_a_drawn_share_of_the_masked_nodes_is_predicted() -> None:
    """Each as likely as any other; the loss is the mean error of those that are drawn."""
    task = build("masksem", predicted=0.25)
    clips, numbers = some_clips(task)
    drawn = task.draw(clips, numbers)
    asked = task.asked(drawn.mask, numbers)
    assert asked.kept is drawn.mask.kept and asked.masked.shape == (5, 7) and drawn.mask.masked.shape == (5, 27)
    assert all(set(some.tolist()) < set(masked.tolist()) for some, masked in zip(asked.masked, drawn.mask.masked, strict=True))
    assert (asked.masked.diff(dim=1) > 0).all(), "in graph order"
    out = task(clips, numbers)
    sums = task.losses(clips, asked, drawn.pi, task.predict(clips, asked))
    torch.testing.assert_close(out["velocity"], sums["velocity"].detach() / (5 * 7))

    many = RandomNumbers(numbers.nodes[:1], predicted=torch.rand(1, 27))
    mask = Mask(drawn.mask.kept[:1], drawn.mask.masked[:1])
    counts = torch.zeros(30)
    for _ in range(2000):
        counts[task.asked(mask, many._replace(predicted=torch.rand(1, 27))).masked[0]] += 1
    expected, spread = 2000 * 7 / 27, (2000 * 7 / 27 * 20 / 27) ** 0.5
    assert (counts[mask.masked[0]] - expected).abs().max() < 4.5 * spread and (counts[mask.kept[0]] == 0).all()


def test_the_share_that_is_predicted_is_above_zero() -> None:
    with pytest.raises(InputError, match=r"method\.predicted: expected a share above 0 and up to 1, found 0"):
        build("mamp", predicted=0)


def divided(task: Pretrain, clips: SkeletonBatch, numbers: RandomNumbers, cuts: list[int]) -> dict[str, float]:
    """The same batch in parts; a part is some sequences, here given by their first and last bodies."""
    batch = GlobalBatch(bodies=clips.num_bodies)
    pieces = []
    for low, high in zip([0, *cuts], [*cuts, len(clips.sequence)], strict=True):
        sequence = clips.sequence[low:high]
        number = len(sequence.unique())
        own = sequence - sequence[0] if len(sequence) else sequence
        piece = batch_of(task, clips.frames[low:high], own, number)
        pieces.append((piece, RandomNumbers(*(drawn if drawn is None else drawn[low:high] for drawn in numbers)), low))
    if task.contrast is not None:
        with torch.no_grad():
            batch = batch._replace(latents=torch.cat([task.latents(piece, u, batch) for piece, u, _ in pieces]))
    sums: dict[str, float] = {}
    for piece, u, low in pieces:
        out = task(piece, u, batch._replace(first=low))
        out["loss"].backward()
        sums = {name: sums.get(name, 0.0) + value.item() for name, value in out.items()}
    return sums


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("cuts", "light"), [([2], False), ([2, 3], False), ([0, 3, 5], False), ([0, 3, 5], True)], ids=["2", "3", "4", "4-light"]
)
def test_a_divided_batch_is_the_same_step(preset: str, cuts: list[int], light: bool) -> None:
    """In two, three and four parts, two of them empty."""
    task = build(preset, predicted=0.3 if light else 1.0)
    if light:
        task.decoder.backbone = CrossTransformer(width=16, depth=1, heads=2)
    task.double()
    task.scores.float()  # masks are drawn in float32 whatever the networks compute in
    clips, numbers = some_clips(task)
    clips = clips.with_frames(clips.frames.double())
    whole = task(clips, numbers)
    whole["loss"].backward()
    expected = {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}
    task.zero_grad()
    sums = divided(task, clips, numbers, cuts)
    for name, value in whole.items():
        assert sums[name] == pytest.approx(value.item(), rel=1e-6), name
    for name, p in task.named_parameters():
        if p.requires_grad:
            assert p.grad is not None
            torch.testing.assert_close(p.grad, expected[name], rtol=1e-5, atol=1e-8, msg=name)


def test_dividing_the_contrast_without_the_batch_is_another_step() -> None:
    """So that the test above says something: compared among themselves, the parts' bodies give another loss."""
    task = build("ha_cm")
    clips, numbers = some_clips(task)
    whole = task(clips, numbers)["contrast"]
    part, own = batch_of(task, clips.frames[:2], clips.sequence[:2], 1), RandomNumbers(numbers.nodes[:2])
    assert not torch.isclose(task(part, own)["contrast"], whole, rtol=0.05)
    with pytest.raises(ValueError, match="a part of a batch needs the latents of all 5 bodies, found 2"):
        task(part, own, GlobalBatch(bodies=5))


def test_two_tasks_of_one_method_share_nothing() -> None:
    method = method_of("ha_cm")
    model = parse_mapping(ModelConfig, {"frames": 12, "segment": 2} | SMALL, source="test")
    one, other = (build_pretrain(model, method, topologies=[TINY], channels=3) for _ in range(2))
    maps = [task.state_dict()["scores.even.query.weight"] for task in (one, other)]
    assert not torch.equal(*maps)
    torch.manual_seed(3)
    one = build_pretrain(model, method, topologies=[TINY], channels=3)
    torch.manual_seed(3)
    other = build_pretrain(model, method, topologies=[TINY], channels=3)
    for name, value in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
