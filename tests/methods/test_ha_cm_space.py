"""Where embedded nodes live; joints that are input but no nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from masksem_graph.backbones import Transformer
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.encodings import Learned
from masksem_graph.graph import to_segments
from masksem_graph.methods.ha_cm import PoincareBall, exponential_map
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import EncoderDescription, create_encoder, load_encoder, save_encoder
from masksem_graph.topology import load_topology
from tests.helpers import grid

ROOT = Path(__file__).resolve().parents[2]
LIMBS = load_topology("tiny5_limbs")


BALL = PoincareBall()


def encoder(space: Any = BALL, topology: str = "tiny5_limbs") -> SkeletonEncoder:
    encodings: list[Any] = [partial(Learned, over="segments"), partial(Learned, over="joints")]
    blocks = partial(Transformer, depth=2, heads=2)
    config = ModelConfig(frames=6, segment=2, width=8, encodings=encodings, backbone=blocks, decoder=blocks, space=space)
    return SkeletonEncoder(config, topologies=[load_topology(topology)], channels=3).eval()


def test_nodes_are_mapped_into_the_ball() -> None:
    h = torch.randn(2, 7, 8)
    assert torch.equal(PoincareBall()(h), exponential_map(h))


def test_the_backbone_sees_mapped_nodes() -> None:
    """All of them or some: the map comes after the encodings."""
    one, clips = encoder(), torch.randn(3, 6, 5, 3)
    batch = one.batch(clips)
    points = exponential_map(one.embed_nodes(batch))
    torch.testing.assert_close(one.features(clips), one.backbone(points, batch))
    kept = torch.tensor([[0, 5], [1, 2], [3, 11]])
    some = points.gather(1, kept[..., None].expand(-1, -1, 8))
    torch.testing.assert_close(one(batch, kept), one.backbone(some, batch.subgraph(kept)))


def test_context_is_no_node() -> None:
    one, clips = encoder(), torch.randn(2, 6, 5, 3)
    batch = one.batch(clips)
    assert (batch.segments, len(batch.topology)) == (3, 4)
    assert torch.equal(batch.dense, to_segments(clips[:, :, 1:], 2).flatten(1, 2)), "the hip comes first in the data"
    assert one.features(clips).shape == (2, 12, 8)
    moved = clips.clone()
    moved[:, :, 0] += 1
    assert torch.equal(one.features(moved), one.features(clips))
    assert not torch.equal(one.embed_context(one.batch(moved)), one.embed_context(batch))
    torch.testing.assert_close(one.embed_context(batch), one.embedding(to_segments(clips[:, :, :1], 2)))


def test_without_context() -> None:
    one, clips = encoder(topology="tiny5"), torch.randn(2, 6, 5, 3)
    assert one.embed_context(one.batch(clips)).shape == (2, 3, 0, 8)
    assert torch.equal(one.batch(clips).dense, to_segments(clips, 2).flatten(1, 2))


def test_embed_is_what_positions_add_to() -> None:
    one, batch = encoder(None), grid(LIMBS, 3, bodies=2)
    batch.x = torch.randn(24, 6)
    torch.testing.assert_close(one.embed_nodes(batch), one.embedding(batch.dense) + one.positions.table(batch, 8))


def test_rebuilt_from_disk(tmp_path: Path, one_thread: None) -> None:
    """In a new process, from the run alone: map, context joints and all."""
    part = {"class_path": "masksem_graph.backbones.Transformer", "init_args": {"depth": 1, "heads": 2}}
    model: dict[str, Any] = {"frames": 6, "segment": 2, "width": 8, "backbone": part, "decoder": part}
    model["encodings"] = [{"class_path": "masksem_graph.encodings.Learned", "init_args": {"over": "joints"}}]
    model |= {"space": {"class_path": "masksem_graph.methods.ha_cm.PoincareBall"}, "topology": "{data}_limbs"}
    described = EncoderDescription(model=model, topologies=[LIMBS.to_dict()], channels=3, input_spec=InputSpec())
    one = create_encoder(described).eval()
    save_encoder(tmp_path, one)
    assert yaml.safe_load((tmp_path / "encoder.yaml").read_text())["topologies"][0]["context"] == ["hip"]
    clips = torch.randn(3, 6, 5, 3)
    torch.save(clips, tmp_path / "clips.pt")
    script = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from masksem_graph import load_encoder\n"
        "run = sys.argv[1]; features = load_encoder(run).features(torch.load(run + '/clips.pt')).detach()\n"
        "torch.save(features, run + '/features.pt')"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert torch.equal(torch.load(tmp_path / "features.pt"), one.features(clips))
    again = load_encoder(tmp_path)
    assert isinstance(again.space, PoincareBall) and again.topology.context == ("hip",)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, 1e10, 1e30])
def test_any_clip_gives_finite_features(size: float) -> None:
    one = encoder()
    clips = (size * torch.randn(2, 6, 5, 3)).requires_grad_()
    features = one.features(clips)
    assert features.isfinite().all()
    features.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in one.parameters())
