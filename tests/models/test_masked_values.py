"""Masked values never reach the student: not by values, not by gradients, with any backbone, on any skeleton."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch_geometric.nn.models import GAT as AnyGAT
from torch_geometric.nn.models import GIN, PNA

from masksem_graph.backbones import GAT, GCN, GPS, STGCN, BackboneFactory, GraphModel, Transformer
from masksem_graph.config import parse_mapping
from masksem_graph.encodings import HopBias, Laplacian, Learned, RandomWalk, RestPose, Sinusoidal
from masksem_graph.files import find_yaml, shipped
from masksem_graph.graph import SkeletonBatch
from masksem_graph.methods.ha_cm import PoincareBall
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.topology import load_topology

TINY, NTU, KINECT, LIMBS = (load_topology(name) for name in ("tiny5", "ntu25", "kinect20", "ntu25_limbs"))
SHIPPED = sorted(path.stem for path in (shipped("configs") / "backbone").glob("*.yaml"))
IN_CODE: dict[str, Any] = {
    "Transformer": partial(Transformer, depth=2, heads=2, bias=HopBias),
    "GCN": partial(GCN, depth=2),
    "GAT": partial(GAT, depth=2, heads=2, hops=2),
    "GPS": partial(GPS, depth=2, heads=2, kept_hops=2),
    "STGCN": partial(STGCN, depth=2, kernel=3),
    "GIN": partial(GraphModel, model=GIN, options={"num_layers": 2}),
    "PNA": partial(GraphModel, model=PNA, options={"num_layers": 2}),
    "any GAT": partial(GraphModel, model=AnyGAT, options={"num_layers": 2}),
}
ENCODINGS = [
    partial(Learned, over="segments"),
    partial(Learned, over="joints"),
    Sinusoidal,
    RestPose,
    partial(Laplacian, vectors=3),
    partial(RandomWalk, steps=3),
]


def encoder(backbone: BackboneFactory, **options: Any) -> SkeletonEncoder:
    model = ModelConfig(frames=8, segment=2, width=16, encodings=ENCODINGS, backbone=backbone, decoder=backbone, **options)
    return SkeletonEncoder(model, topologies=[TINY, NTU, KINECT, LIMBS], channels=3).eval()


def shipped_backbone(name: str) -> BackboneFactory:
    blocks = read_yaml(find_yaml(f"backbone/{name}", "configs"))
    small = {"depth": 2} | ({"heads": 2} if name in ("transformer", "gat", "gps") else {})
    blocks = {**blocks, "init_args": blocks.get("init_args", {}) | small}
    plain = {"frames": 8, "segment": 2, "width": 16, "encodings": [], "backbone": blocks, "decoder": blocks}
    return parse_mapping(ModelConfig, plain, source=name).backbone


def batch_of(frames: torch.Tensor, topology: Any, derivatives: torch.Tensor | None = None) -> SkeletonBatch:
    """With all that a loader may put into a batch."""
    bodies = len(frames)
    return SkeletonBatch.from_frames(
        frames,
        topology=topology,
        segment=2,
        sequence=torch.arange(bodies) // 2,
        y=torch.arange((bodies + 1) // 2),
        velocity=derivatives,
        acceleration=derivatives,
    )


def nothing_gets_in(one: SkeletonEncoder, topology: Any) -> None:
    torch.manual_seed(7)
    frames = torch.randn(3, 8, len(topology.inputs), 3, requires_grad=True)
    batch = batch_of(frames, topology)
    kept = torch.stack([torch.randperm(batch.layout.nodes)[:7].sort().values for _ in range(3)])
    before = one(batch, kept)
    assert before.shape == (3, 7, 16) and before.isfinite().all()
    # A frame's joint belongs to one node: [B, T, J], true where that node is kept.
    hidden = torch.ones(3, batch.layout.nodes, dtype=torch.bool).scatter_(1, kept, False).view(3, 4, len(topology))
    seen = torch.zeros(3, 8, len(topology.inputs), dtype=torch.bool)
    seen[:, :, [topology.inputs.index(joint) for joint in topology.joints]] = ~hidden.repeat_interleave(2, 1)
    (gradient,) = torch.autograd.grad((before * torch.randn_like(before)).sum(), frames)
    assert (gradient[~seen] == 0).all() and (gradient[seen] != 0).any(-1).all()
    for value in (float("nan"), float("inf"), 1e6):
        others = torch.where(seen[..., None], frames.detach(), torch.full((), value))
        assert torch.equal(one(batch_of(others, topology, torch.full_like(others, value)), kept), before)
    subgraph = batch.subgraph(kept)
    assert {key for key, found in subgraph.to_dict().items() if torch.is_tensor(found)} <= {
        *("x", "joint", "segment", "body", "batch", "sequence", "y", "nodes", "edge_index", "edge_attr")
    }


@pytest.mark.parametrize("topology", [NTU, KINECT], ids=lambda topology: topology.name)
@pytest.mark.parametrize("name", SHIPPED)
def test_with_every_shipped_backbone(name: str, topology: Any) -> None:
    nothing_gets_in(encoder(shipped_backbone(name)), topology)


def test_the_shipped_backbones() -> None:
    assert SHIPPED == ["gat", "gcn", "gps", "stgcn", "transformer"]


@pytest.mark.parametrize("masked", ["drop", "token"])
@pytest.mark.parametrize("name", IN_CODE)
def test_dropped_or_behind_a_token(name: str, masked: str) -> None:
    nothing_gets_in(encoder(partial(IN_CODE[name], masked=masked)), TINY)


@pytest.mark.parametrize("space", [None, PoincareBall()])
def test_with_context_joints_and_in_another_space(space: Any) -> None:
    nothing_gets_in(encoder(IN_CODE["Transformer"], space=space), LIMBS)
