"""Evaluations of freshly drawn networks, and people who move."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from masksem_graph.data.input_spec import InputSpec
from masksem_graph.models.heads import LinearHead
from masksem_graph.models.io import EncoderDescription, create_encoder, save_head
from masksem_graph.topology import load_topology

PARTS = {
    "encodings": [{"class_path": "masksem_graph.encodings.Learned", "init_args": {"over": "joints"}}],
    "backbone": {"class_path": "masksem_graph.backbones.Transformer", "init_args": {"depth": 1, "heads": 2}},
    "decoder": {"class_path": "masksem_graph.backbones.Transformer", "init_args": {"depth": 1, "heads": 2}},
}
CLASSES = ["sit", "stand", "walk"]

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(skeleton: str = "kinect20", format: str = "nw_ucla", **spec: Any) -> Path:
        """The folder of an evaluation: an encoder, a head, and how the clips were prepared."""
        folder, topology = tmp_path / f"{skeleton}_{len(list(tmp_path.iterdir()))}", load_topology(skeleton)
        folder.mkdir()
        model = {"frames": 16, "segment": 4, "width": 16, **PARTS}
        create_encoder(EncoderDescription(model, [topology.to_dict()], 3, InputSpec(**spec))).save(folder)
        head = LinearHead(width=16, classes=3)
        torch.nn.init.normal_(head.linear.weight)
        save_head(folder, head, width=16, joints=len(topology), classes=CLASSES)
        prepared = {"format": format, "options": {}, "units": topology.units, "topology": topology.to_dict()}
        (folder / "data.yaml").write_text(yaml.safe_dump({"prepared": prepared}))
        return folder

    return make


def walk(frames: int, seed: int = 0, skeleton: str = "kinect20", at: tuple[float, float, float] = (1, 0, 3)) -> np.ndarray:
    """Somebody of about a metre who moves, [F, V, 3]."""
    random, joints = np.random.default_rng(seed), len(load_topology(skeleton))
    pose, pace = random.uniform(-0.5, 0.5, (joints, 3)), random.normal(0, 0.01, (frames, joints, 3)).cumsum(0)
    return (pose + pace + at).astype(np.float32)


def with_reference(run: Path) -> torch.Tensor:
    """Say that the run was evaluated from a pre-training that saved its average motion."""
    reference = torch.randn(16, 20, 3)
    save_file({"reference": reference}, run / "reference.safetensors")
    (run / "results.json").write_text(json.dumps({"checkpoint": str(run)}))
    return reference
