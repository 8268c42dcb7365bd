"""Any choice of parts is a valid run: a seeded sample of the product, two steps each."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
import torch

from masksem_graph.backbones import Transformer
from masksem_graph.encodings import Laplacian, Learned, Sinusoidal
from masksem_graph.graph import SkeletonBatch
from masksem_graph.masking import Motion, Uniform
from masksem_graph.methods.ha_cm import (
    AlternatingScores,
    AttentionScores,
    CrossContrast,
    HierarchyScores,
    InPoincareBall,
    PoincareBall,
)
from masksem_graph.models.build import ModelConfig
from masksem_graph.operators import Adjacency, Heat, Identity, PartAverage, PersonalisedPageRank, SpatioTemporal
from masksem_graph.saliency import GradCam, ReleasedGradCam
from masksem_graph.targets import Coordinates, VelocityAcceleration
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, RandomNumbers, build_pretrain
from masksem_graph.topology import load_topology
from masksem_graph.training.config import TrainConfig
from masksem_graph.training.optim import build_adamw

CHOICES: dict[str, list[Any]] = {
    "scores": [
        GradCam(),
        ReleasedGradCam(),
        Motion(),
        Uniform(),
        AttentionScores(),
        HierarchyScores(),
        AlternatingScores(even=AttentionScores(), odd=HierarchyScores()),
        AlternatingScores(even=GradCam(), odd=Motion()),
        AlternatingScores(even=HierarchyScores(), odd=ReleasedGradCam()),
    ],
    "operator": [Identity(), Adjacency(hops=2), PartAverage(), PersonalisedPageRank(), Heat(), SpatioTemporal()],
    "target": [
        Coordinates(),
        VelocityAcceleration(beta=0.0),
        VelocityAcceleration(),
        VelocityAcceleration(beta=1.0, end="jump"),
        InPoincareBall(target=VelocityAcceleration(beta=0.5)),
        InPoincareBall(target=Coordinates()),
    ],
    "weighting": ["saliency", "uniform"],
    "reference": ["dataset", "batch"],
    "heads": ["shared", "separate"],
    "select": ["mask", "keep"],
    "sampling": ["whole", "halves"],
    "rounding": ["nearest", "floor"],
    "contrast": [None, CrossContrast()],
    "topology": ["tiny5", "tiny5_limbs"],
    "space": [None, PoincareBall()],
    "encodings": [
        [partial(Learned, over="segments"), partial(Learned, over="joints")],
        [Sinusoidal, partial(Laplacian, vectors=3)],
    ],
}
FRAMES, SEGMENT, SAMPLE = 14, 2, 80


def sample() -> list[dict[str, Any]]:
    """Seeded; every choice comes up, with most others."""
    one = random.Random(0)
    return [{name: one.choice(options) for name, options in CHOICES.items()} for _ in range(SAMPLE)]


def test_the_sample_meets_every_choice() -> None:
    for name, options in CHOICES.items():
        for option in options:
            assert sum(chosen[name] is option for chosen in sample()) >= SAMPLE / len(options) / 3, (name, option)


@pytest.mark.parametrize("chosen", sample(), ids=range(SAMPLE))
def test_two_steps(chosen: dict[str, Any]) -> None:
    chosen = dict(chosen)
    name, space, encodings = (chosen.pop(name) for name in ("topology", "space", "encodings"))
    topology = load_topology(name)
    blocks = partial(Transformer, depth=1, heads=2)
    model = ModelConfig(
        frames=FRAMES, segment=SEGMENT, width=8, encodings=encodings, backbone=blocks, decoder=blocks, space=space
    )
    task = build_pretrain(model, MethodConfig(**chosen), topologies=[topology], channels=3)
    optimiser = build_adamw(task, TrainConfig(lr=1e-3))
    x = 0.1 * torch.randn(4, FRAMES, 5, 3).cumsum(1)
    sequence, y = torch.tensor([0, 0, 1, 2]), torch.zeros(3, dtype=torch.int64)
    clips = SkeletonBatch.from_frames(x, topology=topology, segment=SEGMENT, sequence=sequence, y=y)
    task.reference().copy_(x.mean(0) + 0.1)
    whole = GlobalBatch(bodies=4, reference=x.mean(0) if chosen["reference"] == "batch" else None)
    before = {name: value.clone() for name, value in task.student.state_dict().items()}
    for _ in range(2):
        task.update_teacher()
        out = task(clips, RandomNumbers(torch.rand(4, clips.layout.nodes)), whole)
        expected = {"loss", *chosen["target"].weights} | ({"contrast"} if chosen["contrast"] else set())
        assert set(out) == expected
        assert all(value.isfinite() for value in out.values()) and 0.1 < out["loss"] < 10
        optimiser.zero_grad()
        out["loss"].backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in task.parameters())
        optimiser.step()
    after = task.student.state_dict()
    assert any(not torch.equal(after[name], value) for name, value in before.items())
    drawn = task.draw(clips, RandomNumbers(torch.rand(4, clips.layout.nodes)), whole)
    torch.testing.assert_close(drawn.pi.sum(1), torch.ones(4))
    assert (drawn.pi > 0).all() and drawn.mask.masked.shape == (4, task.sampler.masked(clips.segments, len(clips.topology)))
