"""The spatio-temporal graph: by hand on five joints, and accepted by torch_geometric as it is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GATv2Conv, GCNConv
from torch_geometric.nn.pool import global_mean_pool
from torch_geometric.transforms import AddLaplacianEigenvectorPE, Compose

from masksem_graph.graph import BONE, TIME, SkeletonBatch, skeleton_edges, to_segments
from masksem_graph.topology import Topology, load_topology

TINY = load_topology("tiny5")


def one_clip(bodies: int, label: int, segments: int = 3, features: int = 6) -> SkeletonBatch:
    return SkeletonBatch.from_bodies(
        torch.randn(bodies, segments, 5, features),
        topology=TINY,
        sequence=torch.zeros(bodies, dtype=torch.int64),
        y=torch.tensor([label]),
    )


def edges_of(graph: SkeletonBatch) -> set[tuple[int, int, int]]:
    return {(*edge, kind) for edge, kind in zip(graph.edge_index.T.tolist(), graph.edge_type.tolist(), strict=True)}


def test_segments_are_laid_out_frame_by_frame() -> None:
    frames = torch.arange(4)[:, None, None] * 100 + torch.arange(5)[:, None] * 10 + torch.arange(3)
    segments = to_segments(torch.stack([frames, frames + 1000]).float(), 2)
    assert segments.shape == (2, 2, 5, 6)
    assert segments[0, 0, 3].tolist() == [30, 31, 32, 130, 131, 132]
    assert segments[1, 1, 4].tolist() == [1240, 1241, 1242, 1340, 1341, 1342]


def test_edges_by_hand() -> None:
    index, kind = skeleton_edges(TINY, 2)
    bones = [(1, 0), (2, 1), (3, 1), (4, 0)]
    both = {(a + 5 * t, b + 5 * t) for t in range(2) for pair in bones for a, b in (pair, pair[::-1])}
    time = {(v + 5 * t, v + 5 * (1 - t)) for t in range(2) for v in range(5)}
    found = index.T.tolist()
    assert [tuple(edge) for edge in found if tuple(edge) in both] and len(found) == 26
    assert {tuple(edge) for edge, k in zip(found, kind.tolist(), strict=True) if k == BONE} == both
    assert {tuple(edge) for edge, k in zip(found, kind.tolist(), strict=True) if k == TIME} == time


@pytest.mark.parametrize("name", ["tiny5", "kinect20", "ntu25"])
@pytest.mark.parametrize("segments", [1, 4])
def test_edge_counts(name: str, segments: int) -> None:
    topology = load_topology(name)
    _, kind = skeleton_edges(topology, segments)
    assert int((kind == BONE).sum()) == 2 * len(topology.bones) * segments
    assert int((kind == TIME).sum()) == 2 * len(topology) * (segments - 1)


def test_a_single_joint_has_edges_in_time_alone() -> None:
    dot = Topology(name="dot", joints=("a",), bones=(), parts={"all": ("a",)}, mirror={"a": "a"}, centre="a")
    index, kind = skeleton_edges(dot, 3)
    assert sorted(index.T.tolist()) == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert kind.tolist() == [TIME] * 4


def test_bodies_of_a_batch() -> None:
    nodes = torch.randn(3, 2, 5, 4)
    batch = SkeletonBatch.from_bodies(nodes, topology=TINY, sequence=torch.tensor([0, 0, 1]), y=torch.tensor([7, -1]))
    assert batch.num_bodies == 3
    assert batch.body.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert batch.batch.tolist() == [0] * 20 + [1] * 10
    assert batch.sequence.tolist() == [0, 0, 1]
    one = edges_of(one_clip(1, 0, segments=2))
    assert edges_of(batch) == {(a + 10 * b, c + 10 * b, kind) for a, c, kind in one for b in range(3)}
    assert batch.x[10 * 2 + 5 * 1 + 3].equal(nodes[2, 1, 3]), "node te * V + v of a body is joint v in segment te"
    assert batch.validate()


def test_dense_is_a_view() -> None:
    nodes = torch.randn(2, 3, 5, 4)
    batch = SkeletonBatch.from_bodies(nodes, topology=TINY, sequence=torch.tensor([0, 1]), y=torch.tensor([0, 1]))
    assert batch.dense.equal(nodes)
    batch.dense[1, 2, 4] = 3.0
    assert batch.x[-1].tolist() == [3.0] * 4
    assert batch.dense.data_ptr() == nodes.data_ptr()


@pytest.mark.parametrize("layer", [GCNConv(6, 8), GATv2Conv(6, 4, heads=2)], ids=["gcn", "gatv2"])
def test_layers_accept_it(layer: torch.nn.Module) -> None:
    both = SkeletonBatch.from_bodies(
        torch.randn(2, 3, 5, 6), topology=TINY, sequence=torch.tensor([0, 1]), y=torch.tensor([0, 1])
    )
    out = layer(both.x, both.edge_index)
    assert out.shape == (30, 8)
    # No edge joins two bodies: each alone gives the same.
    for body in range(2):
        alone = SkeletonBatch.from_bodies(
            both.dense[body : body + 1], topology=TINY, sequence=torch.tensor([0]), y=torch.tensor([0])
        )
        torch.testing.assert_close(layer(alone.x, alone.edge_index), out[15 * body : 15 * (body + 1)])
    assert global_mean_pool(out, both.batch).shape == (2, 8)


def collate(clips: list[SkeletonBatch]) -> SkeletonBatch:
    return next(iter(DataLoader(clips, batch_size=len(clips))))


@pytest.mark.parametrize("bodies", [(2, 1), (1, 2), (1, 1, 2)])
def test_torch_geometrics_loader(bodies: tuple[int, ...]) -> None:
    clips = [one_clip(count, label=10 + i) for i, count in enumerate(bodies)]
    loaded = collate(clips)
    sequence = torch.arange(len(bodies)).repeat_interleave(torch.tensor(bodies))
    dense = torch.cat([clip.dense for clip in clips])
    direct = SkeletonBatch.from_bodies(dense, topology=TINY, sequence=sequence, y=10 + torch.arange(len(bodies)))
    assert isinstance(loaded, SkeletonBatch)
    for name in ("x", "body", "batch", "y", "sequence", "dense"):
        assert torch.equal(getattr(loaded, name), getattr(direct, name)), name
    assert loaded.num_bodies == sum(bodies)
    assert edges_of(loaded) == edges_of(direct)
    assert loaded.edge_index.shape == direct.edge_index.shape


def test_through_transforms_and_to() -> None:
    def doubled(graph: SkeletonBatch) -> SkeletonBatch:
        graph.x = graph.x * 2
        return graph

    clip = one_clip(2, 1)
    turned = Compose([doubled, AddLaplacianEigenvectorPE(2, attr_name="pe")])(clip.clone())
    assert torch.equal(turned.dense, 2 * clip.dense)
    assert edges_of(turned) == edges_of(clip)
    assert turned.pe.shape == (30, 2)
    assert torch.equal(collate([clip, clip]).clone().dense, torch.cat([clip.dense, clip.dense]))
    moved = clip.clone().to("meta")
    fields: list[Tensor] = [moved.x, moved.edge_index, moved.edge_type, moved.body, moved.batch, moved.y, moved.dense]
    assert {field.device.type for field in fields} == {"meta"}
    assert moved.segments_and_joints == (3, 5)
