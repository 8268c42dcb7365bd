"""An encoder and a store of clips that are easy to tell apart."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture
def evaluation(tmp_path: Path) -> Any:
    """Three poses that are easy to tell apart, some with two bodies; 21 clips to train on, 9 to test on."""
    from masksem_graph.backbones import Transformer
    from masksem_graph.data.clip import Body, Clip
    from masksem_graph.data.loader import SkeletonLoader
    from masksem_graph.data.store import StoreWriter, open_store
    from masksem_graph.data.transforms import Rotate
    from masksem_graph.data.views import CropConfig
    from masksem_graph.encodings import EncodingFactory, Learned
    from masksem_graph.models.build import ModelConfig
    from masksem_graph.models.encoder import SkeletonEncoder
    from masksem_graph.protocols import Evaluation
    from masksem_graph.topology import load_topology

    tiny, train, test = load_topology("tiny5"), 21, 9
    rng = np.random.default_rng(0)
    poses = rng.standard_normal((3, 5, 3))
    with StoreWriter(tmp_path / "store", topology=tiny, classes=("a", "b", "c")) as writer:
        for i in range(train + test):
            frames = int(rng.integers(6, 14))
            bodies = []
            for _ in range(1 + i % 2):
                moving = poses[i % 3] + 0.3 * rng.standard_normal((frames, 5, 3))
                bodies.append(Body(0, moving.astype(np.float32), np.ones(frames, bool)))
            writer.add(Clip(name=str(i), label=i % 3, bodies=tuple(bodies)))
    blocks = partial(Transformer, depth=1, heads=2, drop_path=0.5, dropout=0.5)
    encodings: list[EncodingFactory] = [partial(Learned, over="joints")]
    model = ModelConfig(frames=8, segment=2, width=16, encodings=encodings, backbone=blocks, decoder=blocks)
    encoder = SkeletonEncoder(model, topologies=[tiny], channels=3)
    turns = [Rotate(x=0.3, y=0.3, z=0.3)]
    source = SkeletonLoader(open_store(tmp_path / "store"), frames=8, segment=2, transforms=turns)
    clips = torch.arange(train + test)
    return Evaluation(encoder, source, clips[:train], clips[train:], ("a", "b", "c"), CropConfig(min_frames=4))
