"""Our parts reproduce what the authors' MAMP code computes (shared/data/golden)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from masksem_graph.backbones import Transformer
from masksem_graph.encodings import Learned
from masksem_graph.graph import SkeletonBatch
from masksem_graph.masking import Evidence, Motion, Uniform, gumbel_top_k, score_distribution
from masksem_graph.models.build import ModelConfig
from masksem_graph.operators import Identity
from masksem_graph.published import read_published
from masksem_graph.targets import VelocityAcceleration
from masksem_graph.tasks.pretrain import MethodConfig, Pretrain, build_pretrain
from masksem_graph.topology import load_topology

MASKED = 136  # the authors truncate 0.1 * 150 in floating point: 14 stay


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


def load(golden: Path, name: str) -> torch.Tensor:
    return torch.from_numpy(np.load(golden / name))


@pytest.fixture(scope="module")
def task(golden: Path) -> Pretrain:
    topology = load_topology("ntu25")
    model = ModelConfig(
        frames=24,
        segment=4,
        width=32,
        encodings=[partial(Learned, over="segments"), partial(Learned, over="joints")],
        backbone=partial(Transformer, depth=2, heads=4),
        decoder=partial(Transformer, depth=2, heads=4),
    )
    method = MethodConfig(scores=Motion(), target=VelocityAcceleration(beta=0.0), operator=Identity(), rounding="floor")
    task = build_pretrain(model, method, topologies=[topology], channels=3)
    published = read_published(golden / "mamp_tiny.pth").parts
    task.student.load_state_dict(published["student"])
    task.decoder.load_state_dict(published["decoder"])
    return task.eval()


@pytest.fixture(scope="module")
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


def test_features(golden: Path, task: Pretrain, clips: SkeletonBatch) -> None:
    features = task.student(clips)
    torch.testing.assert_close(
        features, load(golden, "mamp_node_features_NMTVD.npy").flatten(2, 3).flatten(0, 1), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("kind", ["random", "motion"])
def test_mask_prediction_and_loss(golden: Path, task: Pretrain, clips: SkeletonBatch, kind: str) -> None:
    scores = Uniform() if kind == "random" else Motion()
    assert task.sampler.masked(clips.segments, len(clips.topology)) == MASKED
    eta = scores(Evidence(batch=clips, nodes=clips.dense.unflatten(1, (6, 25)))).flatten(1)
    mask = gumbel_top_k(score_distribution(eta, 0.8).log(), load(golden, "uniform_draws.npy"), MASKED)
    ours = torch.zeros(6, 150, dtype=torch.uint8).scatter_(1, mask.masked, 1)
    assert torch.equal(ours, load(golden, f"mamp_{kind}_mask.npy"))

    predictions = task.predict(clips, mask)
    theirs = load(golden, f"mamp_{kind}_pred.npy").gather(1, mask.masked[..., None].expand(-1, -1, 12))
    torch.testing.assert_close(predictions["shared"], theirs, atol=1e-5, rtol=0)

    loss = task.losses(clips, mask, torch.full((6, 150), 1 / 150), predictions)["velocity"] / (6 * MASKED)
    published = dict(line.split() for line in (golden / "losses.txt").read_text().splitlines())
    assert loss.item() == pytest.approx(float(published[f"mamp_{kind}"]), abs=1e-5)
