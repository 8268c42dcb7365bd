"""One task on several data sets: weights there once, what the topology decides there once for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from masksem_graph.backbones import GAT, GCN, GPS, STGCN, BackboneFactory, Transformer
from masksem_graph.data.clips import ClipBatch
from masksem_graph.encodings import Concatenate, EncodingFactory, HopBias, Laplacian, Learned, RandomWalk, RestPose, Sinusoidal
from masksem_graph.errors import InputError
from masksem_graph.methods.ha_cm import AlternatingScores, AttentionScores, HierarchyScores
from masksem_graph.models.build import ModelConfig, build_encoder
from masksem_graph.models.share import share_weights
from masksem_graph.operators import Adjacency, Operator, SpatioTemporal
from masksem_graph.saliency import GradCam
from masksem_graph.targets import VelocityAcceleration
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, Pretrain, build_pretrain
from masksem_graph.tasks.several import SeveralPretrain, build_several
from masksem_graph.topology import Topology, load_topology, parse_topology

NTU, KINECT, COCO = (load_topology(name) for name in ("ntu25", "kinect20", "coco17"))
GRAPH: list[EncodingFactory] = [Sinusoidal, RestPose, partial(Laplacian, vectors=6), partial(RandomWalk, steps=6)]
EVERY_BACKBONE = {
    "transformer": partial(Transformer, depth=1, heads=2),
    "hop_bias": partial(Transformer, depth=1, heads=2, bias=partial(HopBias, hops=4)),
    "gcn": partial(GCN, depth=1),
    "gat": partial(GAT, depth=1, heads=2),
    "gps": partial(GPS, depth=1, heads=2),
    "stgcn": partial(STGCN, depth=1),
}


def model(
    backbone: BackboneFactory = EVERY_BACKBONE["transformer"], encodings: Sequence[EncodingFactory] = GRAPH
) -> ModelConfig:
    return ModelConfig(frames=8, segment=2, width=12, encodings=list(encodings), backbone=backbone, decoder=backbone)


def method(**parts: Any) -> MethodConfig:
    chosen: dict[str, Any] = {"scores": GradCam(), "target": VelocityAcceleration(), "operator": Adjacency}
    return MethodConfig(**(chosen | parts))


def build(
    topologies: Sequence[Topology] = (NTU, KINECT), networks: ModelConfig | None = None, **parts: Any
) -> SeveralPretrain:
    task = build_several(networks or model(), method(**parts), topologies=list(topologies), channels=3)
    assert isinstance(task, SeveralPretrain)
    for one in task.each:
        one.reference.normal_()
    return task


def clips_on(topology: Topology, bodies: int = 3) -> ClipBatch:
    x = torch.randn(bodies, 8, len(topology), 3).cumsum(1)
    return ClipBatch(x, torch.arange(bodies), torch.zeros(bodies, dtype=torch.int64))


def loss_on(task: SeveralPretrain, data_set: int, clips: ClipBatch) -> Tensor:
    one = task.each[data_set]
    uniform = torch.rand(len(clips.sequence), one.nodes, generator=torch.Generator().manual_seed(5))
    batch = GlobalBatch(bodies=len(clips.sequence), sequences=len(clips.label), data_set=data_set)
    return task(clips, uniform, batch)["loss"]


def test_one_data_set_is_the_plain_task() -> None:
    assert type(build_several(model(), method(), topologies=[NTU], channels=3)) is Pretrain


def test_it_starts_and_is_saved_as_the_task_on_the_first_alone() -> None:
    torch.manual_seed(1)
    alone = build_pretrain(model(), method(), topology=NTU, channels=3)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    several = build_several(model(), method(), topologies=[NTU, KINECT, COCO], channels=3)
    assert torch.equal(torch.rand(3), drawn), "nothing random later on depends on how many there are"
    state, others = several.state_dict(), {"others.1.reference", "others.2.reference"}
    assert state.keys() == alone.state_dict().keys() | others
    assert all(torch.equal(state[name], value) for name, value in alone.state_dict().items())
    assert sum(p.numel() for p in several.parameters()) == sum(p.numel() for p in alone.parameters())


@pytest.mark.parametrize("name", EVERY_BACKBONE)
def test_on_each_skeleton_it_is_the_network_of_that_skeleton(name: str) -> None:
    """Equal to what ``load_encoder(run, topology=...)`` does: the same weights loaded into a network built there."""
    networks = model(EVERY_BACKBONE[name])
    task = build(networks=networks)
    for topology, one in zip((NTU, KINECT), task.each, strict=True):
        there = build_encoder(networks, topology=topology, channels=3)
        there.load_state_dict(task.each[0].student.state_dict())
        clips = clips_on(topology).coordinates
        assert torch.equal(one.student.features(clips), there.features(clips))
        assert one.nodes == 4 * len(topology) and one.masked == round(0.9 * one.nodes)


@pytest.mark.parametrize("name", EVERY_BACKBONE)
def test_every_weight_learns_from_each_skeleton(name: str) -> None:
    task = build(networks=model(EVERY_BACKBONE[name]))
    for i, topology in enumerate((NTU, KINECT)):
        loss_on(task, i, clips_on(topology)).backward()
        still = [n for n, p in task.named_parameters() if p.requires_grad and (p.grad is None or not (p.grad != 0).any())]
        assert still == []
        task.zero_grad()


def test_a_step_on_one_skeleton_is_a_step_on_all() -> None:
    task = build()
    clips = clips_on(KINECT)
    before = loss_on(task, 1, clips).item()
    optimiser = torch.optim.SGD([p for p in task.parameters() if p.requires_grad], lr=0.05)
    for _ in range(3):
        loss_on(task, 0, clips_on(NTU)).backward()
        optimiser.step()
        optimiser.zero_grad()
        task.update_teacher()
    assert loss_on(task, 1, clips).item() != before
    for own, shared in zip(task.each[1].parameters(), task.each[0].parameters(), strict=True):
        assert own is shared


def test_smoothing_and_reference_are_each_data_sets_own() -> None:
    first, second = build(operator=SpatioTemporal).each
    assert first.operator.matrix.shape == (25, 25) and second.operator.matrix.shape == (20, 20)
    assert first.reference.shape == (8, 25, 3) and second.reference.shape == (8, 20, 3)


def test_it_comes_back_from_a_checkpoint(tmp_path: Any) -> None:
    task, other = build(), build()
    torch.save(task.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for mine, theirs in zip(task.each, other.each, strict=True):
        assert torch.equal(mine.reference, theirs.reference)
        assert all(torch.equal(p, q) for p, q in zip(mine.parameters(), theirs.parameters(), strict=True))
    clips = clips_on(KINECT)
    assert torch.equal(loss_on(task, 1, clips), loss_on(other, 1, clips))


class Counted(Transformer):
    """A backbone with a buffer that is saved, as batch norm has."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, depth=1, heads=2)
        self.register_buffer("seen", torch.zeros(()))


def test_saved_buffers_stay_shared_on_another_device_or_in_another_type() -> None:
    task = build(networks=model(Counted))
    first, second = task.double().float().each
    first.student.backbone.seen.fill_(7)
    assert second.student.backbone.seen.item() == 7
    assert all(p is q for p, q in zip(first.parameters(), second.parameters(), strict=True))


def test_maps_of_the_scores_are_shared() -> None:
    scores = AlternatingScores(even=AttentionScores(), odd=HierarchyScores())
    first, second = build(scores=scores, sampling="halves", select="keep").each
    assert list(first.scores.parameters()) and first.teacher is None
    assert all(p is q for p, q in zip(first.scores.parameters(), second.scores.parameters(), strict=True))


@pytest.mark.parametrize("wrapped", [False, True])
def test_learned_encodings_are_refused_by_name(wrapped: bool) -> None:
    joints: EncodingFactory = partial(Learned, over="joints")
    encodings = [partial(Concatenate, parts=[joints, RestPose])] if wrapped else [Sinusoidal, joints]
    with pytest.raises(InputError) as error:
        build(networks=model(encodings=encodings))
    assert str(error.value) == (
        f"model.encodings: {'Concatenate' if wrapped else 'Learned'} belongs to the joint numbers of ntu25, not of kinect20; "
        "expected encodings of the graph alone, such as RestPose, Laplacian or RandomWalk (--config encodings/rest_pose)"
    )


def test_learned_encodings_are_shared_on_one_skeleton() -> None:
    first, second = build((NTU, NTU), networks=model(encodings=[partial(Learned, over="joints")])).each
    assert all(p is q for p, q in zip(first.parameters(), second.parameters(), strict=True))
    reordered = parse_topology(NTU.to_dict() | {"joints": list(NTU.joints[::-1])}, source_file="x")
    with pytest.raises(InputError, match="joint numbers of ntu25"):
        build((NTU, reordered), networks=model(encodings=[partial(Learned, over="joints")]))


class PerJoint(Operator):
    """Somebody's operator that learns a weight a joint."""

    def __init__(self, *, topology: Topology, segments: int) -> None:
        super().__init__(topology=topology, segments=segments)
        self.weight = nn.Parameter(torch.ones(len(topology)))

    def build(self, topology: Topology) -> Tensor:
        return torch.eye(len(topology))


def test_a_part_of_ones_own_with_a_weight_a_joint_is_refused_by_name() -> None:
    with pytest.raises(InputError) as error:
        build(operator=PerJoint)
    assert str(error.value) == (
        "model: weight of PerJoint has size (25,) on one skeleton, (20,) on another; "
        "expected parts of the graph alone on ntu25 and kinect20"
    )


def test_sharing_leaves_nothing_of_a_network_but_what_its_topology_gives() -> None:
    there, here = (build_encoder(model(), topology=topology, channels=3) for topology in (NTU, KINECT))
    places = here.positions.encodings[1].features.clone()
    share_weights(here, there)
    assert torch.equal(here.positions.encodings[1].features, places)
    assert isinstance(here.positions.encodings[1].project.weight, nn.Parameter)
    assert {id(p) for p in here.parameters()} == {id(p) for p in there.parameters()}
