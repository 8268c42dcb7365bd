"""Checkpoints in the authors' layout: the golden ones, and small ones made here so that every test runs without them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from masksem_graph.published.layout import (
    Sizes,
    Weights,
    decoder_layout,
    encoder_layout,
    linear_head_layout,
    mlp_head_layout,
)

SIZES = Sizes(channels=3, segment=2, segments=3, joints=5, width=8, depth=2, hidden=16, decoder_depth=1, decoder_hidden=24)
CLASSES = 4
HEADS = {
    "linear": linear_head_layout(8, CLASSES, norm=False),
    "probe": linear_head_layout(8, CLASSES, norm=True),
    "finetune": mlp_head_layout(SIZES, 12, CLASSES),
}


def weights(layout: dict[str, Any]) -> Weights:
    """Drawn at random: nothing is zero, the keys' biases neither."""
    return {
        name: torch.tensor(7) if name.endswith("num_batches_tracked") else torch.rand(place.shape) + 0.1
        for name, place in layout.items()
    }


def prefixed(prefix: str, state: Weights) -> Weights:
    return {prefix + name: value for name, value in state.items()}


@pytest.fixture
def states() -> dict[str, Weights]:
    """Every kind of published state."""
    encoder, decoder = encoder_layout(SIZES), decoder_layout(SIZES)
    masksem = prefixed("mamp.", weights(encoder | decoder)) | prefixed("encoder.", weights(encoder))
    queue = {"queue": torch.randn(8, 10), "queue_ptr": torch.zeros(1, dtype=torch.int64)}
    heads = {kind: weights(encoder | layout) for kind, layout in HEADS.items()}
    return {"mamp": weights(encoder | decoder), "masksem": masksem | queue, "encoder": weights(encoder), **heads}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Saves a state as the authors do, with an ``argparse.Namespace`` beside it."""

    def save(state: Any, *, name: str = "published.pth", **more: Any) -> Path:
        path = tmp_path / name
        args = argparse.Namespace(lr=1e-3, model_args={"num_heads": 2, "dim_in": 3})
        torch.save({"model": state, "optimizer": {}, "epoch": 399, "args": args} | more, path)
        return path

    return save
