"""The spatio-temporal graph: by hand on five joints, and accepted by torch_geometric as it is."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GATv2Conv, GCNConv
from torch_geometric.nn.pool import global_mean_pool
from torch_geometric.transforms import AddLaplacianEigenvectorPE, Compose

from masksem_graph.edges import BONES, STEPS, skeleton_graph
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData, nodes_of, to_segments
from masksem_graph.topology import Topology, load_topology
from tests.helpers import batch_of, chain, grid

TINY = load_topology("tiny5")  # hip - head, hip - foot, head - left_hand, head - right_hand
KEPT = torch.tensor([[0, 1, 6, 13], [2, 3, 4, 9]])


def one_clip(bodies: int, label: int, segments: int = 3, channels: int = 3) -> SkeletonData:
    """A clip of two frames a segment."""
    return SkeletonData.from_frames(
        torch.randn(bodies, 2 * segments, 5, channels), topology=TINY, segment=2, y=torch.tensor([label])
    )


def edges_of(graph: SkeletonData) -> set[tuple[int, ...]]:
    return {(*edge, *kind) for edge, kind in zip(graph.edge_index.T.tolist(), graph.edge_attr.tolist(), strict=True)}


def test_segments_are_laid_out_frame_by_frame() -> None:
    frames = torch.arange(4)[:, None, None] * 100 + torch.arange(5)[:, None] * 10 + torch.arange(3)
    segments = to_segments(torch.stack([frames, frames + 1000]).float(), 2)
    assert segments.shape == (2, 2, 5, 6)
    assert segments[0, 0, 3].tolist() == [30, 31, 32, 130, 131, 132]
    assert segments[1, 1, 4].tolist() == [1240, 1241, 1242, 1340, 1341, 1342]


def test_frames_that_do_not_divide_into_segments() -> None:
    with pytest.raises(InputError, match=r"^frames: expected a multiple of segment = 4, found 6$"):
        SkeletonData.from_frames(torch.zeros(1, 6, 5, 3), topology=TINY, segment=4)


def test_edges_by_hand() -> None:
    graph = skeleton_graph(TINY, 2)
    bones = [(1, 0), (2, 1), (3, 1), (4, 0)]
    both = {(a + 5 * t, b + 5 * t) for t in range(2) for pair in bones for a, b in (pair, pair[::-1])}
    time = {(v + 5 * t, v + 5 * (1 - t)) for t in range(2) for v in range(5)}
    found = [tuple(edge) for edge in graph.edge_index.T.tolist()]
    assert len(found) == 26 and set(found) == both | time
    labels = graph.edge_attr
    assert {edge for edge, label in zip(found, labels, strict=True) if label[BONES] == 1 and label[STEPS] == 0} == both
    assert {edge for edge, label in zip(found, labels, strict=True) if label[BONES] == 0 and label[STEPS] != 0} == time
    assert all(label[STEPS] == (b - a) // 5 for (a, b), label in zip(found, labels, strict=True) if (a, b) in time)
    assert graph.joint.tolist() == [0, 1, 2, 3, 4] * 2 and graph.segment.tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize("name", ["tiny5", "kinect20", "ntu25"])
@pytest.mark.parametrize("segments", [1, 4])
def test_edge_counts(name: str, segments: int) -> None:
    topology = load_topology(name)
    labels = skeleton_graph(topology, segments).edge_attr
    assert int((labels[:, BONES] == 1).sum()) == 2 * len(topology.bones) * segments
    assert int((labels[:, STEPS] != 0).sum()) == 2 * len(topology) * (segments - 1)
    assert len(labels) == 2 * len(topology.bones) * segments + 2 * len(topology) * (segments - 1)


def test_a_single_joint_has_edges_in_time_alone() -> None:
    dot = Topology(name="dot", joints=("a",), bones=(), parts={"all": ("a",)}, mirror={"a": "a"}, centre="a")
    graph = skeleton_graph(dot, 3)
    assert sorted(graph.edge_index.T.tolist()) == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert graph.edge_attr[:, BONES].tolist() == [0] * 4 and graph.edge_attr[:, STEPS].abs().tolist() == [1] * 4


def test_bodies_of_a_batch() -> None:
    nodes = torch.randn(3, 2, 5, 4)
    batch = SkeletonBatch.from_frames(
        nodes, topology=TINY, segment=1, sequence=torch.tensor([0, 0, 1]), y=torch.tensor([7, -1])
    )
    assert (batch.num_bodies, batch.num_sequences, batch.nodes_per_body, batch.segments) == (3, 2, 10, 2)
    assert batch.topology == TINY and batch.nodes is None
    assert batch.body.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert batch.batch.tolist() == [0] * 20 + [1] * 10
    assert batch.sequence.tolist() == [0, 0, 1]
    assert batch.joint.tolist() == [0, 1, 2, 3, 4] * 6 and batch.segment.tolist() == ([0] * 5 + [1] * 5) * 3
    one = edges_of(one_clip(1, 0, segments=2))
    assert edges_of(batch) == {(a + 10 * b, c + 10 * b, *kind) for a, c, *kind in one for b in range(3)}
    assert batch.x[10 * 2 + 5 * 1 + 3].equal(nodes[2, 1, 3]), "node te * V + v of a body is joint v in segment te"
    assert batch.validate()


def test_dense_is_a_view() -> None:
    nodes = torch.randn(2, 3, 5, 4)
    batch = batch_of(nodes, TINY)
    assert batch.dense.equal(nodes.flatten(1, 2))
    batch.dense[1, 14] = 3.0
    assert batch.x[-1].tolist() == [3.0] * 4
    assert batch.dense.data_ptr() == batch.x.data_ptr() == nodes.data_ptr()


def test_context_is_no_node() -> None:
    """The hip of tiny5_limbs is input and no node; it comes first in the data."""
    limbs, frames = load_topology("tiny5_limbs"), torch.randn(2, 6, 5, 3)
    batch = SkeletonBatch.from_frames(frames, topology=limbs, segment=2, sequence=torch.arange(2))
    assert torch.equal(nodes_of(frames, limbs), frames[:, :, 1:])
    assert torch.equal(batch.dense, to_segments(frames[:, :, 1:], 2).flatten(1, 2)) and batch.nodes_per_body == 12
    assert torch.equal(batch.context, frames[:, :, :1])
    assert batch_of(frames, TINY).context.shape == (2, 6, 0, 3)


def test_other_coordinates_on_the_same_graph() -> None:
    clip, frames = one_clip(2, 1), torch.randn(2, 6, 5, 3)
    other = clip.with_frames(frames)
    assert torch.equal(other.dense, to_segments(frames, 2).flatten(1, 2)) and torch.equal(other.frames, frames)
    assert other.edge_index is clip.edge_index and other.num_bodies == 2
    assert not torch.equal(clip.frames, frames), "the first is as it was"


@pytest.mark.parametrize("layer", [GCNConv(6, 8), GATv2Conv(6, 4, heads=2)], ids=["gcn", "gatv2"])
def test_layers_accept_it(layer: torch.nn.Module) -> None:
    both = batch_of(torch.randn(2, 3, 5, 6), TINY)
    out = layer(both.x, both.edge_index)
    assert out.shape == (30, 8)
    # No edge joins two bodies: each alone gives the same.
    for body in range(2):
        alone = batch_of(both.frames[body : body + 1], TINY)
        torch.testing.assert_close(layer(alone.x, alone.edge_index), out[15 * body : 15 * (body + 1)])
    assert global_mean_pool(out, both.batch).shape == (2, 8)


def collate(clips: list[SkeletonData]) -> SkeletonData:
    return next(iter(DataLoader(clips, batch_size=len(clips))))


@pytest.mark.parametrize("bodies", [(2, 1), (1, 2), (1, 1, 2)])
def test_torch_geometrics_loader(bodies: tuple[int, ...]) -> None:
    clips = [one_clip(count, label=10 + i) for i, count in enumerate(bodies)]
    loaded = collate(clips)
    sequence = torch.arange(len(bodies)).repeat_interleave(torch.tensor(bodies))
    frames = torch.cat([clip.frames for clip in clips])
    labels = 10 + torch.arange(len(bodies))
    direct = SkeletonBatch.from_frames(frames, topology=TINY, segment=2, sequence=sequence, y=labels)
    assert isinstance(loaded, SkeletonData) and isinstance(loaded, Batch)
    for name in ("x", "frames", "edge_index", "edge_attr", "joint", "segment", "body", "batch", "y", "sequence", "dense"):
        assert torch.equal(getattr(loaded, name), getattr(direct, name)), name
    assert loaded.num_bodies == sum(bodies) and loaded.num_sequences == len(bodies)
    assert loaded.topology == TINY and loaded.segments == 3
    for clip, back in zip(clips, loaded.to_data_list(), strict=True):
        assert all(
            torch.equal(getattr(back, name), getattr(clip, name)) for name in ("x", "edge_index", "body", "y", "frames")
        )


def test_through_transforms_and_to() -> None:
    def doubled(graph: SkeletonData) -> SkeletonData:
        graph.x = graph.x * 2
        return graph

    clip = one_clip(2, 1)
    turned = Compose([doubled, AddLaplacianEigenvectorPE(2, attr_name="pe")])(clip.clone())
    assert torch.equal(turned.dense, 2 * clip.dense)
    assert edges_of(turned) == edges_of(clip)
    assert turned.pe.shape == (30, 2)
    assert torch.equal(collate([clip, clip]).clone().dense, torch.cat([clip.dense, clip.dense]))
    moved = collate([clip]).to("meta")
    fields: list[Tensor] = [moved.x, moved.edge_index, moved.edge_attr, moved.body, moved.batch, moved.y, moved.dense]
    assert {field.device.type for field in fields} == {"meta"}
    assert (moved.segments, len(moved.topology)) == (3, 5)


def test_a_batch_of_two_skeletons_is_refused() -> None:
    """As many joints on both, so that nothing else would notice."""
    both = collate([batch_of(torch.randn(1, 3, 5, 4), TINY), batch_of(torch.randn(1, 3, 5, 4), chain(5))])
    with pytest.raises(InputError, match=r"^batch: expected clips on one skeleton, found tiny5 and chain5$"):
        _ = both.dense


# Subgraphs.


def test_subgraph_by_hand() -> None:
    """Hip, head; the head again, and the right hand in the third segment; then both hands, foot; the foot again."""
    frames = torch.randn(2, 6, 5, 3)
    batch = SkeletonBatch.from_frames(frames, topology=TINY, segment=2, sequence=torch.tensor([0, 1]), y=torch.tensor([4, 2]))
    some = batch.subgraph(KEPT)
    assert some.x.tolist() == torch.cat([batch.dense[body, KEPT[body]] for body in range(2)]).tolist()
    assert some.joint.tolist() == [0, 1, 1, 3, 2, 3, 4, 4] and some.segment.tolist() == [0, 0, 1, 2, 0, 0, 0, 1]
    assert some.body.tolist() == some.batch.tolist() == [0] * 4 + [1] * 4
    assert some.sequence.tolist() == [0, 1] and some.y.tolist() == [4, 2]
    assert some.nodes is KEPT and (some.num_bodies, some.nodes_per_body, some.segments) == (2, 4, 3)
    assert torch.equal(some.dense, some.x.view(2, 4, 6)) and some.topology == TINY
    # Of the first body: hip - head, and the head one step on. Of the second: the foot one step on; the hands share no bone.
    hip_head, later, foot = (0, 1), (1, 2), (6, 7)
    labels = {hip_head: (1, 0, 1), later: (0, 1, 0), foot: (0, 1, 0)}
    back = {(b, a): tuple(-n if i else n for i, n in enumerate(label)) for (a, b), label in labels.items()}
    assert edges_of(some) == {(*edge, *label) for edge, label in (labels | back).items()}
    # At two hops also hip to the later head, this to the still later right hand, and between the hands.
    further = {(0, 2): (1, 1, 1), (2, 3): (1, 1, 1), (4, 5): (2, 0, 0)}
    further |= {(2, 0): (1, -1, -1), (3, 2): (1, -1, -1), (5, 4): (2, 0, 0)}
    assert edges_of(some.over(2)) == {(*edge, *label) for edge, label in (labels | back | further).items()}
    assert edges_of(some.over(2)) == edges_of(batch.subgraph(KEPT, hops=2)) != edges_of(some)
    assert edges_of(some.over(3)) > edges_of(some.over(2)) and edges_of(some.over(2).over(1)) == edges_of(some)


def test_edges_of_a_subgraph_are_made_when_asked_for() -> None:
    some = grid(TINY, segments=3, bodies=2).subgraph(KEPT)
    assert "edge_index" not in some and "edge_attr" not in some
    assert "edge_index" not in some.over(2)
    index = some.edge_index
    assert "edge_attr" in some and some.edge_index is index, "made once"
    ask = {"num_edges": 6, "has_isolated_nodes": True, "has_self_loops": False}
    for name, expected in ask.items():  # torch_geometric's own questions are no exception
        found = getattr(grid(TINY, segments=3, bodies=2).subgraph(KEPT), name)
        assert (found() if callable(found) else found) == expected, name


@settings(max_examples=25, deadline=None)
@given(data=st.data(), hops=st.integers(1, 3))
def test_a_subgraph_holds_nothing_of_what_is_masked(data: st.DataObject, hops: int) -> None:
    """Two batches that are alike where nodes are kept: their subgraphs are alike, tensor by tensor."""
    count = data.draw(st.integers(1, 14))
    kept = torch.tensor([sorted(data.draw(st.permutations(range(15)))[:count]) for _ in range(2)])
    masked = (
        torch.ones(2, 15, dtype=torch.bool).scatter(1, kept, False).view(2, 3, 1, 5, 1).expand(2, 3, 2, 5, 3).flatten(1, 2)
    )

    def batch(hidden: float) -> SkeletonBatch:
        frames = torch.arange(180.0).view(2, 6, 5, 3).masked_fill(masked, hidden)
        owner = torch.arange(2)
        return SkeletonBatch.from_frames(
            frames, topology=TINY, segment=2, sequence=owner, velocity=frames.clone(), acceleration=frames.clone()
        )

    one, other = (batch(hidden).subgraph(kept, hops) for hidden in (torch.nan, 7e7))
    assert one.edge_index.shape[0] == 2 and not {"frames", "velocity", "acceleration"} & set(one.keys())
    for name in (*one.keys(), "edge_index", "edge_attr", "dense"):
        if isinstance(value := getattr(one, name), Tensor):
            assert torch.isfinite(value.double()).all() and torch.equal(value, getattr(other, name)), name


def test_subgraphs_go_through_the_loader() -> None:
    clips = [one_clip(2, 0).subgraph(KEPT, hops=2), one_clip(1, 1).subgraph(KEPT[:1], hops=2)]
    loaded = collate(clips)
    assert torch.equal(loaded.nodes, torch.cat([KEPT, KEPT[:1]])) and loaded.body.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    own = [clip.edge_index for clip in clips]
    assert torch.equal(loaded.edge_index, torch.cat([own[0], own[1] + 8], 1))


def test_a_subgraph_of_a_subgraph_is_refused() -> None:
    """Its nodes would be taken for those of the whole."""
    some = grid(TINY, segments=3, bodies=2).subgraph(KEPT)
    with pytest.raises(ValueError, match="whole bodies"):
        some.subgraph(torch.tensor([[0], [1]]))


# One storage.


@pytest.mark.parametrize("hops", [1, 2])
def test_edges_of_many_bodies_are_slices_of_one_storage(hops: int) -> None:
    batches = [grid(TINY, segments=4, bodies=bodies).over(hops) for bodies in (6, 2, 1, 6)]
    for name in ("edge_index", "edge_attr", "joint", "segment", "body"):
        assert len({getattr(batch, name).data_ptr() for batch in batches}) == 1, name
    for few in batches[1:3]:
        kept, edges = few.num_nodes, few.num_edges
        assert torch.equal(few.edge_index, batches[0].edge_index[:, :edges]) and few.edge_index.max() == kept - 1
        assert torch.equal(few.body, batches[0].body[:kept])


def test_more_bodies_than_ever_before() -> None:
    few = grid(TINY, segments=5, bodies=2)
    index = few.edge_index.clone()
    many = grid(TINY, segments=5, bodies=9)
    assert many.edge_index.shape[1] == 9 * index.shape[1] // 2 and torch.equal(few.edge_index, index)
    assert torch.equal(many.edge_index[:, : index.shape[1]], index)


# What is cached.


def test_equal_topologies_share_what_is_cached() -> None:
    one, other = load_topology("kinect20"), load_topology("kinect20")
    assert one is not other and one == other
    assert skeleton_graph(one, 3) is skeleton_graph(other, 3)
    assert grid(one, 3).edge_index.data_ptr() == grid(other, 3).edge_index.data_ptr()
    assert skeleton_graph(one, 3) is not skeleton_graph(load_topology("kinect20_long"), 3)
