"""Our parts reproduce one step of MaskSem as its authors released it (shared/data/golden)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from masksem_graph.backbones import Transformer
from masksem_graph.config import parse_mapping
from masksem_graph.encodings import Learned
from masksem_graph.files import find_yaml
from masksem_graph.graph import SkeletonBatch
from masksem_graph.masking import Evidence
from masksem_graph.models.build import ModelConfig
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.published.checkpoint import read_published
from masksem_graph.tasks.pretrain import MethodConfig, Pretrain, build_pretrain
from masksem_graph.topology import load_topology


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


def load(golden: Path, name: str) -> Tensor:
    return torch.from_numpy(np.load(golden / name))


def weights(golden: Path) -> dict[str, Tensor]:
    """The published weights under our names; nobody reads the queue."""
    parts = read_published(golden / "masksem_tiny.pth").parts
    return {f"{part}.{name}": value for part, own in parts.items() for name, value in own.items()}


@pytest.fixture
def task(golden: Path) -> Pretrain:
    """The shipped preset, at the size of the golden values."""
    model = ModelConfig(
        frames=24,
        segment=4,
        width=32,
        encodings=[partial(Learned, over="segments"), partial(Learned, over="joints")],
        backbone=partial(Transformer, depth=2, heads=4),
        decoder=partial(Transformer, depth=2, heads=4),
    )
    fields = read_yaml(find_yaml("method/masksem_released", "configs"))
    preset = {name: value for name, value in fields.items() if name != "requires"}
    assert preset["scores"] == {"class_path": "masksem_graph.saliency.ReleasedGradCam"}
    preset["scores"]["init_args"] = {"batch_size": 3}  # the golden step's own
    method = parse_mapping(MethodConfig, preset, source="masksem_released")
    task = build_pretrain(model, method, topologies=[load_topology("ntu25")], channels=3)
    missing, unexpected = task.load_state_dict(weights(golden), strict=False)
    assert missing == ["reference_0"] and not unexpected
    return task


@pytest.fixture
def clips(golden: Path) -> SkeletonBatch:
    """All body slots, absent ones as zeros, as the authors' code has them."""
    array = load(golden, "clips_NCTVM.npy")
    count, channels, frames, joints, slots = array.shape
    bodies = array.permute(0, 4, 2, 3, 1).reshape(count * slots, frames, joints, channels)
    return SkeletonBatch.from_frames(
        bodies,
        topology=load_topology("ntu25"),
        segment=4,
        sequence=torch.arange(count).repeat_interleave(slots),
        y=torch.zeros(count, dtype=torch.int64),
    )


def scores(task: Pretrain, clips: SkeletonBatch) -> Tensor:
    """Scores after part average and clip. The mean clip has two bodies there: the mean of each slot over the batch."""
    assert task.teacher is not None
    mean_clip = clips.frames.unflatten(0, (3, 2)).mean(0)
    nodes = clips.dense.unflatten(1, (6, 25))
    with torch.no_grad():
        features, reference = task.teacher(clips), task.teacher.features(mean_clip)
        eta = task.scores(Evidence(batch=clips, nodes=nodes, features=features, reference=reference))
        return task.scores.after_smoothing(task.operator(eta, clips))


def test_the_teacher_moves_first(golden: Path, task: Pretrain) -> None:
    theirs = weights(golden)
    task.update_teacher()
    assert task.teacher is not None
    for name, value in task.teacher.state_dict().items():
        moved = 0.99 * theirs[f"teacher.{name}"] + 0.01 * theirs[f"student.{name}"]
        torch.testing.assert_close(value, moved, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_scores(golden: Path, task: Pretrain, clips: SkeletonBatch, dtype: torch.dtype) -> None:
    """To 1e-5 of the largest score before the clip.

    Dividing by 1e-8 lifts rounding errors as well: the authors' float32 is 1.2e-4 away from the same formula in float64, and
    that is as near as any other arithmetic can come to it. What is saturated agrees exactly.
    """
    task.update_teacher()
    task.to(dtype)  # scores are smoothed in float32 whatever the networks compute in
    clips = clips.with_frames(clips.frames.to(dtype))
    theirs = load(golden, "masksem_cam_after_clip.npy")[:, 0]
    found = scores(task, clips).float()
    assert torch.equal(found == 0, theirs == 0) and torch.equal(found == 1, theirs == 1)
    assert 30 < ((theirs > 0) & (theirs < 1)).sum() < 60
    largest = 63  # of all raw scores, so that 1e-5 of it is the tolerance
    torch.testing.assert_close(found, theirs, atol=1e-5 * largest, rtol=0)
    assert (found - theirs).abs().max() > 1e-5, "were it nearer in every arithmetic, the tolerance should be tightened"


def test_mask_prediction_and_loss(golden: Path, task: Pretrain, clips: SkeletonBatch) -> None:
    task.update_teacher()
    drawn = task.sampler(scores(task, clips), load(golden, "uniform_draws.npy"))
    mask = torch.zeros(6, 150, dtype=torch.uint8).scatter_(1, drawn.mask.masked, 1)
    assert torch.equal(mask, load(golden, "masksem_mask.npy"))
    assert task.sampler.masked(clips.segments, len(clips.topology)) == 136

    predictions = task.predict(clips, drawn.mask)
    theirs = load(golden, "masksem_pred.npy").gather(1, drawn.mask.masked[..., None].expand(-1, -1, 12))
    torch.testing.assert_close(predictions["shared"], theirs, atol=1e-5, rtol=0)

    parts = task.losses(clips, drawn.mask, drawn.pi, predictions)
    loss = sum(weight * parts[name].item() for name, weight in task.target.weights.items()) / (6 * 136)
    lines = (golden / "losses.txt").read_text().splitlines()
    assert loss == pytest.approx(float(dict(line.split() for line in lines)["masksem_released"]), abs=1e-5)


def test_without_the_jump_the_loss_is_another(golden: Path, task: Pretrain, clips: SkeletonBatch) -> None:
    """So that the golden loss says something about the end of the clip."""
    drawn = task.sampler(scores(task, clips), load(golden, "uniform_draws.npy"))
    predictions = task.predict(clips, drawn.mask)
    before = task.losses(clips, drawn.mask, drawn.pi, predictions)["acceleration"]
    task.target.end = "zero"  # type: ignore[attr-defined]
    after = task.losses(clips, drawn.mask, drawn.pi, predictions)["acceleration"]
    assert 0.2 * abs(before - after).item() / (6 * 136) > 1e-4, "ten times the tolerance"
