"""The encoder: all nodes or some, nothing masked gets in, joints may be listed in any order."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from masksem_graph.backbones import GAT, GCN, GPS, STGCN, Backbone, Transformer
from masksem_graph.backbones.drop_path import DropPath
from masksem_graph.encodings import Concatenate, HopBias, Laplacian, Learned, RandomWalk, RestPose, Sinusoidal
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData, to_segments
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder, gather_nodes, update_average
from masksem_graph.models.pool import sequence_mean
from masksem_graph.topology import Topology, load_topology, parse_topology

TINY = load_topology("tiny5")
LEARNED = [partial(Learned, over="segments"), partial(Learned, over="joints")]
GRAPH = [Sinusoidal, partial(Laplacian, vectors=4), partial(RandomWalk, steps=4)]
BACKBONES = {
    "transformer": partial(Transformer, heads=2),
    "hop_bias": partial(Transformer, heads=2, bias=HopBias),
    "gcn": GCN,
    "gat": partial(GAT, heads=2),
    "gps": partial(GPS, heads=2),
    "stgcn": STGCN,
}
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)
drop_or_token = pytest.mark.parametrize("masked", ["drop", "token"])


def encoder(encodings: list[Any], topology: Topology = TINY, backbone: str = "transformer", **options: Any) -> SkeletonEncoder:
    blocks = partial(BACKBONES[backbone], depth=2, **options)
    config = ModelConfig(frames=6, segment=2, width=8, encodings=encodings, backbone=blocks, decoder=blocks)
    return SkeletonEncoder(config, topologies=[topology], channels=3).eval()


def of_nodes(nodes: Tensor) -> SkeletonBatch:
    """A batch of node values on tiny5, [B, 3, 5, 6] with two frames a node."""
    frames = nodes.unflatten(3, (2, 3)).transpose(2, 3).flatten(1, 2)
    return SkeletonBatch.from_frames(frames, topology=TINY, segment=2)


def test_gather_by_hand() -> None:
    values = torch.arange(24.0).view(2, 4, 3)
    picked = gather_nodes(values, torch.tensor([[0, 3], [1, 2]]))
    assert picked.tolist() == [[[0, 1, 2], [9, 10, 11]], [[15, 16, 17], [18, 19, 20]]]


def test_sequence_mean_by_hand() -> None:
    features = torch.tensor([[[1.0], [3.0]], [[5.0], [7.0]], [[10.0], [20.0]]])
    mean, bodies = sequence_mean(features, torch.tensor([0, 0, 2]), 3)
    assert mean.tolist() == [[4.0], [0.0], [15.0]], "a sequence without bodies is zero, not NaN"
    assert bodies.tolist() == [[2.0], [0.0], [1.0]]


def test_sequence_mean_over_all_slots_by_hand() -> None:
    features, absent = torch.tensor([[[1.0], [3.0]], [[5.0], [7.0]], [[10.0], [20.0]]]), torch.tensor([[[1.0], [5.0]]])
    mean, bodies = sequence_mean(features, torch.tensor([0, 0, 2]), 3, absent)
    assert mean.tolist() == [[4.0], [3.0], [9.0]], "an empty slot counts as the absent body's mean of 3"
    assert bodies.tolist() == [[2.0], [2.0], [2.0]]
    three, count = sequence_mean(features, torch.tensor([0, 0, 0]), 1, absent)
    assert three.item() == pytest.approx(23 / 3) and count.item() == 3, (
        "more bodies than slots: all of them, and no absent one"
    )


def test_absent_features_are_those_of_zeros() -> None:
    one = encoder(LEARNED)
    batch = one.batch(torch.randn(2, 6, 5, 3))
    assert one.absent_features(batch) is None
    one.pool = "all_slots"
    assert torch.equal(one.absent_features(batch), one.features(torch.zeros(1, 6, 5, 3)))


@pytest.mark.parametrize("encodings", [LEARNED, GRAPH], ids=["learned", "graph"])
def test_features_are_forward_on_all_nodes(encodings: list[Any]) -> None:
    one, clips = encoder(encodings), torch.randn(3, 6, 5, 3)
    features = one.features(clips)
    assert features.shape == (3, 15, 8) and (one.width, one.channels, one.segments) == (8, 3, 3)
    batch = one.batch(clips)
    assert torch.equal(batch.dense, to_segments(clips, 2).flatten(1, 2))
    assert torch.equal(features, one(batch))
    everything = torch.arange(15).expand(3, -1)
    torch.testing.assert_close(one(batch, everything), features)


def test_kept_nodes_get_their_own_positions() -> None:
    """Alone in the network a node's feature says which node it is: its value and its encoding, and nothing else."""
    one = encoder(LEARNED)
    batch = one.batch(torch.randn(1, 6, 5, 3))
    table = one.positions.table(batch, 8)
    for node in (0, 7, 14):
        kept = torch.tensor([[node]])
        alone = one(batch, kept)
        value = one.embedding(batch.dense[:, node : node + 1])
        torch.testing.assert_close(alone, one.backbone(value + table[node], batch.subgraph(kept)))


@drop_or_token
@every_backbone
def test_what_is_masked_enters_by_no_path(backbone: str, masked: str) -> None:
    one, nodes = encoder(LEARNED, backbone=backbone, masked=masked), torch.randn(2, 3, 5, 6)
    kept = torch.tensor([[0, 4, 9], [2, 7, 14]])
    before = one(of_nodes(nodes), kept)
    assert before.shape == (2, 3, 8) and before.isfinite().all()
    hidden = torch.ones(2, 15, dtype=torch.bool).scatter_(1, kept, False)
    for other in (1e3 * torch.randn(2, 3, 5, 6), torch.full((2, 3, 5, 6), float("nan"))):
        assert torch.equal(one(of_nodes(torch.where(hidden.view(2, 3, 5, 1), other, nodes)), kept), before)
    touched = nodes.clone()
    touched[0, 0, 4] += 1.0
    assert not torch.equal(one(of_nodes(touched), kept)[0], before[0]), "while a kept node does"


@drop_or_token
@every_backbone
def test_every_parameter_learns_from_kept_nodes(backbone: str, masked: str) -> None:
    one = encoder(LEARNED, backbone=backbone, masked=masked).train()
    kept = torch.tensor([[0, 1, 4, 9], [2, 6, 7, 14]])
    (one(of_nodes(torch.randn(2, 3, 5, 6)), kept) * torch.randn(2, 4, 8)).sum().backward()
    assert [name for name, p in one.named_parameters() if p.grad is None or not (p.grad != 0).any()] == []
    assert (one.mask_token is not None) == (masked == "token")


@every_backbone
def test_a_token_stands_at_each_masked_place(backbone: str) -> None:
    one, nodes = encoder(GRAPH, backbone=backbone, masked="token"), torch.randn(2, 3, 5, 6)
    kept = torch.tensor([[0, 4, 9], [2, 7, 14]])
    whole = one.mask_token.expand(2, 15, 8).clone()
    for body in range(2):
        for node in kept[body].tolist():
            whole[body, node] = one.embedding(nodes[body, node // 5, node % 5])
    expected = gather_nodes(one.backbone(one.positions(whole, of_nodes(nodes)), of_nodes(nodes)), kept)
    torch.testing.assert_close(one(of_nodes(nodes), kept), expected)


@every_backbone
def test_bodies_do_not_see_each_other(backbone: str) -> None:
    one, clips = encoder(GRAPH, backbone=backbone), torch.randn(3, 6, 5, 3)
    torch.testing.assert_close(one.features(clips)[1:2], one.features(clips[1:2]))


SIDE_BY_SIDE = [partial(Concatenate, parts=[Sinusoidal, partial(Laplacian, vectors=4), RestPose])]


@drop_or_token
@every_backbone
@pytest.mark.parametrize(
    ("encodings", "equivariant"), [(GRAPH, True), (SIDE_BY_SIDE, True), (LEARNED, False)], ids=["graph", "beside", "learned"]
)
def test_joint_order(encodings: list[Any], equivariant: bool, backbone: str, masked: str) -> None:
    """Listing the joints in another order, in topology and data alike, permutes the output and nothing else."""
    order = [3, 0, 4, 1, 2]
    fields = TINY.to_dict() | {"joints": [TINY.joints[i] for i in order]}
    other = parse_topology(fields, source_file="reordered")
    here, there = (encoder(encodings, topology, backbone, masked=masked) for topology in (TINY, other))
    with torch.no_grad():  # encodings and biases that matter
        for position in here.positions.parameters():
            position.mul_(50)
        for name, bias in here.backbone.named_parameters():
            if name.startswith("bias."):
                bias.normal_()
    there.load_state_dict(here.state_dict())
    clips = torch.randn(2, 6, 5, 3)
    features = here.features(clips).view(2, 3, 5, 8)[:, :, order]
    others = there.features(clips[:, :, order]).view(2, 3, 5, 8)
    assert torch.allclose(features, others, atol=1e-5) == equivariant
    # And so does what is kept: joint `order[v]` here is joint v there.
    kept = torch.tensor([[0, 4, 6, 9], [2, 7, 12, 14]])
    renumbered = 5 * (kept // 5) + torch.tensor(order).argsort()[kept % 5]
    back = renumbered.argsort(1)
    found = there(there.batch(clips[:, :, order]), renumbered.gather(1, back))
    assert torch.allclose(gather_nodes(here(here.batch(clips), kept), back), found, atol=1e-5) == equivariant


@every_backbone
@pytest.mark.parametrize("name", ["ntu25", "kinect20"])
def test_joint_order_of_a_whole_skeleton(backbone: str, name: str) -> None:
    topology = load_topology(name)
    order = torch.randperm(len(topology)).tolist()
    fields = topology.to_dict() | {"joints": [topology.joints[i] for i in order]}
    here, there = (encoder(GRAPH, t, backbone) for t in (topology, parse_topology(fields, source_file="reordered")))
    there.load_state_dict(here.state_dict())
    clips = torch.randn(2, 6, len(topology), 3)
    features = here.features(clips).view(2, 3, -1, 8)[:, :, order]
    torch.testing.assert_close(there.features(clips[:, :, order]).view_as(features), features, atol=1e-5, rtol=1e-5)


@every_backbone
def test_an_encoder_of_the_graph_fits_another_skeleton(backbone: str) -> None:
    here, there = encoder(GRAPH, backbone=backbone), encoder(GRAPH, load_topology("kinect20"), backbone)
    there.load_state_dict(here.state_dict())
    assert there.features(torch.randn(1, 6, 20, 3)).isfinite().all()


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 8, 5, 3), (2, 6, 5, 2)])
def test_clips_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^clips: expected \[B, T, V, C\] = \[B, 6, 5, 3\], found \["):
        encoder(GRAPH).features(torch.zeros(shape))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 7}, "model.frames: expected a multiple of model.segment = 2, found 7"),
        ({"segment": 0}, "model.segment: expected a number from 1 to 65536, found 0"),
        ({"width": -8}, "model.width: expected a number from 1 to 65536, found -8"),
    ],
)
def test_numbers_that_do_not_fit(change: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        ModelConfig(
            **({"frames": 6, "segment": 2, "width": 8} | change), encodings=[], backbone=Transformer, decoder=Transformer
        )


def test_width_and_heads_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r"^heads: expected a divisor of the width 8, found 3$"):
        Transformer(width=8, heads=3)


@pytest.mark.parametrize("momentum", [0.0, 0.25, 0.99, 1.0])
def test_the_average_moves_by_its_share_of_the_gap(momentum: float) -> None:
    teacher, student = encoder(LEARNED).requires_grad_(False), encoder(LEARNED)
    before = [p.clone() for p in teacher.parameters()]
    sources = copy.deepcopy(list(student.parameters()))
    update_average(teacher, student, momentum)
    for old, new, source in zip(before, teacher.parameters(), student.parameters(), strict=True):
        torch.testing.assert_close(new, (momentum * old.double() + (1 - momentum) * source.double()).float())
        assert not new.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(sources, student.parameters(), strict=True))
    if momentum in (0.0, 1.0):
        kept = before if momentum == 1.0 else sources
        assert all(torch.equal(a, b) for a, b in zip(kept, teacher.parameters(), strict=True))


@every_backbone
def test_every_parameter_of_an_encoder_is_in_its_average(backbone: str) -> None:
    one = encoder(LEARNED, backbone=backbone)
    assert not [name for name, _ in one.named_buffers() if name in one.state_dict()], "a buffer would need a rule of its own"
    assert isinstance(one.embedding, nn.Linear)


def test_layers_hold_every_parameter_once_and_by_depth() -> None:
    blocks = partial(Transformer, depth=3, heads=2)
    config = ModelConfig(
        frames=8, segment=2, width=16, encodings=[partial(Learned, over="joints")], backbone=blocks, decoder=blocks
    )
    network = SkeletonEncoder(config, topologies=[TINY], channels=3)
    layers = network.layers()
    ids = [id(p) for layer in layers for p in layer]
    assert sorted(ids) == sorted(id(p) for p in network.parameters()) and len(layers) == 5
    assert {id(p) for p in layers[0]} == {id(p) for part in (network.embedding, network.positions) for p in part.parameters()}
    for layer, block in zip(layers[1:4], network.backbone.blocks, strict=True):
        assert {id(p) for p in layer} == {id(p) for p in block.parameters()}
    assert {id(p) for p in layers[4]} == {id(p) for p in network.backbone.norm.parameters()}


def test_layers_of_a_backbone_of_ones_own_and_drop_path() -> None:
    """Two stacks side by side, a shared weight, and a branch that can be dropped in the last layer."""

    class Own(Backbone):
        def __init__(self, *, width: int) -> None:
            super().__init__()
            self.maps = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
            self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width), DropPath(0.0)])
            self.maps[2].weight = self.maps[0].weight

        def forward(self, h: torch.Tensor, batch: SkeletonData) -> torch.Tensor:
            return h

    config = ModelConfig(frames=8, segment=2, width=16, encodings=[], backbone=Own, decoder=Own)
    network = SkeletonEncoder(config, topologies=[TINY], channels=3)
    assert [len(layer) for layer in network.layers()] == [2, 4, 4, 1, 0], "what is shared belongs to its first layer"
    network.set_drop_path(0.4)
    assert network.backbone.norms[2].rate == pytest.approx(0.4)
