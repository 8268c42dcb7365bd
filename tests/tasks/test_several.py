"""One task on several data sets: one module of every kind, which reads the skeleton off each batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn.models import GIN

from masksem_graph.backbones import GAT, GCN, GPS, STGCN, BackboneFactory, GraphModel, Transformer
from masksem_graph.encodings import Concatenate, EncodingFactory, HopBias, Laplacian, Learned, RandomWalk, RestPose, Sinusoidal
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.methods.ha_cm import AlternatingScores, AttentionScores, CrossContrast, HierarchyScores
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.operators import Adjacency, Operator, PartAverage, SpatioTemporal
from masksem_graph.saliency import GradCam
from masksem_graph.targets import VelocityAcceleration
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, Pretrain, RandomNumbers, build_pretrain
from masksem_graph.topology import Topology, load_topology, parse_topology
from masksem_graph.training.config import TrainConfig
from masksem_graph.training.optim import build_adamw

NTU, KINECT, COCO = (load_topology(name) for name in ("ntu25", "kinect20", "coco17"))
GRAPH: list[EncodingFactory] = [Sinusoidal, RestPose, partial(Laplacian, vectors=6), partial(RandomWalk, steps=6)]
LEARNED: list[EncodingFactory] = [partial(Learned, over="segments"), partial(Learned, over="joints")]
EVERY_BACKBONE: dict[str, BackboneFactory] = {
    "transformer": partial(Transformer, depth=1, heads=2),
    "hop_bias": partial(Transformer, depth=1, heads=2, bias=partial(HopBias, hops=4)),
    "gcn": partial(GCN, depth=1),
    "gat": partial(GAT, depth=1, heads=2),
    "gps": partial(GPS, depth=1, heads=2),
    "stgcn": partial(STGCN, depth=1),
    "gin": partial(GraphModel, model=GIN, options={"num_layers": 1}),
}
every_backbone = pytest.mark.parametrize("name", EVERY_BACKBONE)
either_encoding = pytest.mark.parametrize("encodings", [GRAPH, LEARNED], ids=["graph", "learned"])


def model(
    backbone: BackboneFactory = EVERY_BACKBONE["transformer"], encodings: Sequence[EncodingFactory] = GRAPH
) -> ModelConfig:
    return ModelConfig(frames=8, segment=2, width=12, encodings=list(encodings), backbone=backbone, decoder=backbone)


def method(**parts: Any) -> MethodConfig:
    chosen: dict[str, Any] = {"scores": GradCam(), "target": VelocityAcceleration(), "operator": Adjacency()}
    return MethodConfig(**(chosen | parts))


def build(topologies: Sequence[Topology] = (NTU, KINECT), networks: ModelConfig | None = None, **parts: Any) -> Pretrain:
    task = build_pretrain(networks or model(), method(**parts), topologies=list(topologies), channels=3)
    for i in range(len(topologies)):
        task.reference(i).normal_()
    return task


def clips_on(topology: Topology, bodies: int = 3) -> SkeletonBatch:
    frames = torch.randn(bodies, 8, len(topology.inputs), 3).cumsum(1)
    labels = torch.zeros(bodies, dtype=torch.int64)
    return SkeletonBatch.from_frames(frames, topology=topology, segment=2, sequence=torch.arange(bodies), y=labels)


def numbers_for(clips: SkeletonBatch) -> RandomNumbers:
    return RandomNumbers(torch.rand(clips.num_bodies, clips.layout.nodes, generator=torch.Generator().manual_seed(5)))


def loss_on(task: Pretrain, data_set: int, clips: SkeletonBatch) -> Tensor:
    return task(clips, numbers_for(clips), GlobalBatch(bodies=clips.num_bodies, data_set=data_set))["loss"]


def test_it_starts_and_is_saved_as_the_task_on_the_first_alone() -> None:
    torch.manual_seed(1)
    alone = build_pretrain(model(), method(), topologies=[NTU], channels=3)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    several = build_pretrain(model(), method(), topologies=[NTU, KINECT, COCO], channels=3)
    assert torch.equal(torch.rand(3), drawn), "nothing random later on depends on how many there are"
    state, others = several.state_dict(), {"reference_1", "reference_2"}
    assert state.keys() == alone.state_dict().keys() | others
    assert all(torch.equal(state[name], value) for name, value in alone.state_dict().items())
    assert sum(p.numel() for p in several.parameters()) == sum(p.numel() for p in alone.parameters())


@every_backbone
def test_on_each_skeleton_it_is_the_network_of_that_skeleton(name: str) -> None:
    """The same weights in a network built for that skeleton alone give the same features, of all nodes and of some."""
    networks = model(EVERY_BACKBONE[name])
    task = build(networks=networks)
    for topology in (NTU, KINECT):
        there = SkeletonEncoder(networks, topologies=[topology], channels=3)
        there.load_state_dict(task.student.state_dict())
        clips = clips_on(topology)
        assert torch.equal(task.student(clips), there(clips))
        kept = torch.stack([torch.randperm(clips.layout.nodes)[:9].sort().values for _ in range(3)])
        assert torch.equal(task.student(clips, kept), there(clips, kept))
        assert clips.layout.nodes == 4 * len(topology)
        assert task.sampler.masked(clips.segments, len(topology)) == round(0.9 * clips.layout.nodes)


@every_backbone
@either_encoding
def test_every_weight_learns_from_each_skeleton(name: str, encodings: list[EncodingFactory]) -> None:
    task = build(networks=model(EVERY_BACKBONE[name], encodings))
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


@either_encoding
@pytest.mark.parametrize("name", ["transformer", "gat"])
def test_alternating_steps_lower_the_loss_on_both(name: str, encodings: list[EncodingFactory]) -> None:
    task = build(networks=model(EVERY_BACKBONE[name], encodings), mask_ratio=0.5)
    data = clips_on(NTU), clips_on(KINECT)
    before = [loss_on(task, i, clips).item() for i, clips in enumerate(data)]
    optimiser = build_adamw(task, TrainConfig(lr=1e-2))
    for step in range(30):
        task.update_teacher()
        optimiser.zero_grad()
        loss_on(task, step % 2, data[step % 2]).backward()
        optimiser.step()
    for i, clips in enumerate(data):
        assert loss_on(task, i, clips).item() < 0.9 * before[i]


def test_a_joint_of_both_skeletons_has_one_vector() -> None:
    task = build(networks=model(encodings=LEARNED))
    learned = task.student.positions.encodings[1]
    shared = set(NTU.joints) & set(KINECT.joints)
    assert learned.joints == (*NTU.joints, *(joint for joint in KINECT.joints if joint not in NTU.joints))
    assert learned.table.shape == (1, 25 + 20 - len(shared), 12) and "left_wrist" in shared
    row = learned.joints.index("left_wrist")
    with torch.no_grad():
        learned.table[0, row] = 7.0
    for topology in (NTU, KINECT):
        found = learned(clips_on(topology))
        assert found.shape == (1, len(topology), 12) and (found[0, topology.index["left_wrist"]] == 7).all()
        assert torch.equal(found[0], learned.table[0, [learned.joints.index(joint) for joint in topology.joints]])


def test_a_step_on_one_skeleton_moves_the_vectors_of_its_joints_alone() -> None:
    task = build(networks=model(encodings=LEARNED), mask_ratio=0.2)  # each joint is seen somewhere
    for i, topology in enumerate((NTU, KINECT)):
        loss_on(task, i, clips_on(topology)).backward()
        for network in (task.student, task.decoder):
            learned = network.positions.encodings[1]
            moved = {joint for joint, row in zip(learned.joints, learned.table.grad[0], strict=True) if row.any()}
            assert moved == set(topology.joints)
        task.zero_grad()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_joint_without_a_vector_is_refused_with_the_list(wrapped: bool) -> None:
    joints: EncodingFactory = partial(Learned, over="joints")
    encodings = [partial(Concatenate, parts=[joints, RestPose])] if wrapped else [Sinusoidal, joints]
    task = build((KINECT, KINECT), networks=model(encodings=encodings))
    lacking = [joint for joint in NTU.joints if joint not in KINECT.joints]
    for refused in (
        lambda: task.student(clips_on(NTU)),
        lambda: loss_on(task, 0, clips_on(NTU)),
        lambda: task.student.check_topology(NTU),
    ):
        with pytest.raises(InputError) as error:
            refused()
        assert str(error.value).startswith(
            f"model.encodings: Learned has no vector for {', '.join(lacking)} of ntu25; expected "
        )
        assert "\n" not in str(error.value)
    task.student.check_topology(KINECT)


def test_joints_in_another_order_find_their_own_vectors() -> None:
    order = torch.randperm(25)
    reordered = parse_topology(NTU.to_dict() | {"joints": [NTU.joints[i] for i in order]}, source_file="x")
    task = build((NTU, reordered), networks=model(encodings=LEARNED))
    assert task.student.positions.encodings[1].table.shape == (1, 25, 12)
    here = clips_on(NTU)
    there = SkeletonBatch.from_frames(
        here.frames[:, :, order], topology=reordered, segment=2, sequence=here.sequence, y=here.y
    )
    features = task.student(here).unflatten(1, (4, 25))[:, :, order].flatten(1, 2)
    torch.testing.assert_close(task.student(there), features, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("operator", [Adjacency(hops=2), PartAverage(), SpatioTemporal()])
def test_smoothing_is_that_of_each_skeleton(operator: Operator) -> None:
    task = build(operator=operator)
    for topology in (NTU, KINECT, NTU):
        clips, eta = clips_on(topology), torch.rand(3, 4, len(topology))
        torch.testing.assert_close(task.operator(eta, clips), build((topology,), operator=operator).operator(eta, clips))


def test_the_average_motion_is_each_data_sets_own() -> None:
    """Also where both are on one skeleton."""
    task = build((NTU, KINECT, KINECT))
    assert [tuple(task.reference(i).shape) for i in range(3)] == [(8, 25, 3), (8, 20, 3), (8, 20, 3)]
    clips = clips_on(KINECT)

    def pi(data_set: int) -> Tensor:
        return task.draw(clips, numbers_for(clips), GlobalBatch(bodies=3, data_set=data_set)).pi

    second, third = pi(1), pi(2)
    assert not torch.equal(second, third)
    task.reference(0).normal_(), task.reference(2).copy_(task.reference(1))
    assert torch.equal(pi(1), second) and torch.equal(pi(2), second)


def test_it_comes_back_from_a_checkpoint(tmp_path: Path) -> None:
    task, other = build(networks=model(encodings=LEARNED)), build(networks=model(encodings=LEARNED))
    torch.save(task.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert all(torch.equal(task.reference(i), other.reference(i)) for i in range(2))
    assert all(torch.equal(p, q) for p, q in zip(task.parameters(), other.parameters(), strict=True))
    for i, topology in enumerate((NTU, KINECT)):
        clips = clips_on(topology)
        assert torch.equal(loss_on(task, i, clips), loss_on(other, i, clips))


def test_scores_with_maps_of_their_own_and_a_contrast_on_either_skeleton() -> None:
    """HA-CM on the limbs of both: one pair of maps, and context joints of each."""
    limbs = load_topology("ntu25_limbs"), load_topology("kinect20_limbs")
    scores = AlternatingScores(even=AttentionScores(), odd=HierarchyScores())
    task = build(limbs, scores=scores, sampling="halves", select="keep", contrast=CrossContrast())
    assert list(task.scores.parameters()) and task.teacher is None
    for i, topology in enumerate(limbs):
        clips = clips_on(topology)
        loss_on(task, i, clips).backward()
        pi = task.draw(clips, numbers_for(clips)).pi
        assert pi.shape == (3, 4 * len(topology)) and pi.isfinite().all()


class PerJoint(Operator):
    """Somebody's operator that is to learn a weight a joint."""

    def __init__(self, *, joints: int, learns: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(joints), requires_grad=learns)

    def matrix(self, topology: Topology) -> Tensor:
        return torch.diag(self.weight[: len(topology)])


def test_a_part_that_could_never_learn_is_refused_by_name() -> None:
    with pytest.raises(
        InputError, match=r"^method\.operator: PerJoint has weights that ask for a gradient; .* expected weights"
    ):
        build(operator=PerJoint(joints=25, learns=True))
    task = build(operator=PerJoint(joints=25, learns=False))
    assert all(loss_on(task, i, clips_on(topology)).isfinite() for i, topology in enumerate((NTU, KINECT)))
