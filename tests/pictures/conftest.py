"""A task on five joints, and a clip of one body and one of two, without any training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from masksem_graph.backbones import Transformer
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.encodings import Sinusoidal
from masksem_graph.models.build import ModelConfig
from masksem_graph.operators import Adjacency
from masksem_graph.pictures.clip import ShownClip, show_clip
from masksem_graph.saliency import GradCam
from masksem_graph.targets import VelocityAcceleration
from masksem_graph.tasks.pretrain import MethodConfig, Pretrain, build_pretrain
from masksem_graph.topology import load_topology

TINY = load_topology("tiny5")
FRAMES, SEGMENT = 12, 2


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> SkeletonLoader:
    """Clips ``one`` (a body, 24 frames, joint v moves v cm a frame to the right) and ``two`` (two bodies that sway)."""
    path = tmp_path_factory.mktemp("pictures") / "store"
    rest = np.array([TINY.rest_pose[joint] for joint in TINY.joints], dtype=np.float32)
    time = np.arange(24, dtype=np.float32)[:, None, None]
    along = np.array((1, 0, 0), dtype=np.float32)
    moving = rest + 0.01 * time * np.arange(5, dtype=np.float32)[:, None] * along
    swaying = [rest + side * along + 0.2 * np.sin(time / 3 + side) * along for side in (-0.8, 0.8)]
    everywhere = np.ones(24, dtype=bool)
    with StoreWriter(path, topology=TINY, classes=("go_right", "sway")) as writer:
        for name, bodies in (("one", [moving]), ("two", swaying)):
            held = tuple(Body(start=0, frames=frames.astype(np.float32), present=everywhere) for frames in bodies)
            writer.add(Clip(name=name, label=len(bodies) - 1, bodies=held))
        writer.splits = {"all": np.array([True, False])}
    return SkeletonLoader(open_store(path), frames=FRAMES, segment=SEGMENT)


@pytest.fixture
def one(source: SkeletonLoader) -> ShownClip:
    return show_clip(source, 0, topology=TINY)


@pytest.fixture
def two(source: SkeletonLoader) -> ShownClip:
    return show_clip(source, 1, topology=TINY)


@pytest.fixture
def make_task() -> Callable[..., Pretrain]:
    def make(**method: Any) -> Pretrain:
        blocks = partial(Transformer, depth=1, heads=2)
        model = ModelConfig(frames=FRAMES, segment=SEGMENT, width=16, encodings=[Sinusoidal], backbone=blocks, decoder=blocks)
        chosen: dict[str, Any] = {"scores": GradCam(), "target": VelocityAcceleration(), "operator": Adjacency()} | method
        task = build_pretrain(model, MethodConfig(**chosen), topologies=[TINY], channels=3).eval()
        if task.needs_reference:
            task.reference().copy_(torch.randn(task.reference().shape, generator=torch.Generator().manual_seed(0)))
        return task

    return make
