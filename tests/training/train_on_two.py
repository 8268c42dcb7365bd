"""Pre-training on two small data sets, each on its own skeleton; run by tests, also as several processes.

Arguments: the folder of the stores, the folder to write, parts of a batch, ``graph`` or ``learned`` encodings, and optionally
the step after which the power goes off.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from masksem_graph.backbones import Transformer
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.mixture import TrainingSet
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.data.transforms import Mirror, Rotate
from masksem_graph.data.views import CropConfig, whole_view
from masksem_graph.encodings import HopBias, Laplacian, Learned, RestPose
from masksem_graph.models.build import ModelConfig
from masksem_graph.operators import Adjacency
from masksem_graph.saliency import GradCam
from masksem_graph.targets import VelocityAcceleration
from masksem_graph.tasks.pretrain import MethodConfig, build_pretrain
from masksem_graph.topology import load_topology
from masksem_graph.training.checkpoint import load_checkpoint
from masksem_graph.training.config import TrainConfig
from masksem_graph.training.devices import DeviceConfig, launch
from masksem_graph.training.pretrain import PretrainLoop, average_clip
from masksem_graph.training.processes import leave_together

DATA_SETS = {"ntu25": 14, "kinect20": 10}
ENCODINGS: dict[str, list[Any]] = {
    "graph": [RestPose, partial(Laplacian, vectors=4)],
    "learned": [partial(Learned, over="segments"), partial(Learned, over="joints")],
}


class Killed(Exception):
    """Stands in for the power going off."""


def write_stores(folder: Path) -> None:
    """Clips of one body or two, of different lengths."""
    for seed, (name, clips) in enumerate(DATA_SETS.items()):
        random, topology = np.random.default_rng(seed), load_topology(name)
        with StoreWriter(folder / name, topology=topology, classes=("a",)) as writer:
            for i in range(clips):
                time, speed = np.arange(16 + i)[:, None, None] / 10, random.uniform(0.5, 1 + i % 2, (1, len(topology), 3))
                phases = [random.uniform(0, 3, (1, len(topology), 3)) for _ in range(2 if i % 3 == 0 else 1)]
                frames = [np.sin(speed * time + phase).astype(np.float32) for phase in phases]
                writer.add(Clip(name=f"{i}", label=0, bodies=tuple(Body(0, one, np.ones(len(one), bool)) for one in frames)))


def make_loop(
    stores: Path, folder: Path, *, parts: int = 1, encodings: str = "graph", minutes: float = 10.0, dropout: float = 0.0
) -> PretrainLoop:
    """As ``train`` makes one: 3 + 2 steps an epoch, for 2 epochs."""
    fabric = launch(DeviceConfig(accelerator="cpu"))
    torch.manual_seed(0)
    blocks = partial(Transformer, depth=1, heads=2, bias=HopBias, dropout=dropout, drop_path=dropout)
    model = ModelConfig(frames=8, segment=2, width=12, encodings=ENCODINGS[encodings], backbone=blocks, decoder=blocks)
    method = MethodConfig(scores=GradCam(), target=VelocityAcceleration(), operator=Adjacency(), weighting="saliency")
    topologies = [load_topology(name) for name in DATA_SETS]
    task = build_pretrain(model, method, topologies=topologies, channels=3)
    sets = []
    for i, (name, clips) in enumerate(DATA_SETS.items()):
        turns = [Rotate(x=0.3, y=0.3, z=0.3), Mirror()]
        source = SkeletonLoader(open_store(stores / name), frames=8, segment=2, device=fabric.device, transforms=turns)
        everything = torch.arange(clips)
        sets.append(TrainingSet(name=name, source=source, clips=everything, weight=1.0 + 0.5 * i))
        plans = (source.plan(whole_view(part, source.length[part])) for part in everything.split(6))
        task.reference(i).copy_(average_clip(source, plans))
    return PretrainLoop(
        fabric=fabric,
        task=task,
        sets=sets,
        config=TrainConfig(lr=1e-3, epochs=2, batch_size=6, accumulate=parts, checkpoint_minutes=minutes),
        crop=CropConfig(min_frames=8),
        folder=folder,
        save_encoder=lambda encoder: None,
    )


def train(stores: Path, folder: Path, *, killed_after: int | None = None, **options: Any) -> PretrainLoop:
    """From the checkpoint, where there is one, to the end."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = make_loop(stores, folder, minutes=0.0 if killed_after is not None else 10.0, **options)
    if loop.checkpoint.is_file():
        loop.resume(load_checkpoint(loop.checkpoint))
    step, taken = loop._step, 0

    def dying(*given: Any) -> int:
        nonlocal taken
        if taken == killed_after:
            raise Killed
        taken += 1
        return step(*given)

    loop._step = dying  # type: ignore[method-assign]
    with Progress(disable=True) as progress:
        loop.run(progress)
    return loop


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), Path(sys.argv[2]), parts=int(sys.argv[3]), encodings=sys.argv[4])
    leave_together()
