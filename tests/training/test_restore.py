"""A run's task from its folder: the same networks, and a clear line where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from masksem_graph.config import parse_mapping
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.io import EncoderDescription, create_encoder, load_encoder
from masksem_graph.plain_yaml import read_plain, write_plain
from masksem_graph.saliency import GradCam
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, RandomNumbers, build_pretrain
from masksem_graph.topology import Topology, load_topology
from masksem_graph.training.checkpoint import load_checkpoint, save_checkpoint
from masksem_graph.training.restore import has_method, load_task

TINY, KINECT = load_topology("tiny5"), load_topology("kinect20")
BLOCKS = {"class_path": "masksem_graph.backbones.Transformer", "init_args": {"depth": 1, "heads": 2}}
LEARNED = [{"class_path": "masksem_graph.encodings.Learned", "init_args": {"over": over}} for over in ("segments", "joints")]
MODEL = {"frames": 8, "segment": 2, "width": 16, "encodings": LEARNED, "backbone": BLOCKS, "decoder": BLOCKS}
METHOD = {
    "scores": {"class_path": "masksem_graph.saliency.GradCam"},
    "operator": {"class_path": "masksem_graph.operators.Adjacency"},
    "target": {"class_path": "masksem_graph.targets.VelocityAcceleration"},
    "weighting": "saliency",
}


def write_run(folder: Path, topologies: list[Topology]) -> Path:
    """As training leaves it."""
    fields = [topology.to_dict() for topology in topologies]
    student = create_encoder(EncoderDescription(model=MODEL, topologies=fields, channels=3, input_spec=InputSpec()))
    networks = parse_mapping(ModelConfig, MODEL, source="test"), parse_mapping(MethodConfig, METHOD, source="test")
    task = build_pretrain(*networks, topologies=topologies, channels=3, student=student)
    for i in range(len(topologies)):
        task.reference(i).normal_()
    with torch.no_grad():  # a teacher is not its student
        for parameter in task.student.parameters():
            parameter.add_(0.01)
    folder.mkdir(parents=True)
    student.save(folder)
    write_plain(folder / "config.yaml", {"model": MODEL, "method": METHOD})
    save_checkpoint(folder / "last.pt", {"task": task.state_dict()})
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("restore") / "run", [TINY])


def test_the_same_networks(run: Path) -> None:
    task, saved = load_task(run), load_checkpoint(run / "last.pt")["task"]
    assert not task.training and isinstance(task.scores, GradCam) and has_method(run)
    state = task.state_dict()
    assert state.keys() == saved.keys() and all(torch.equal(state[name], saved[name]) for name in saved)
    assert task.reference().any()
    assert task.teacher is not None
    assert not torch.equal(task.teacher.embedding.weight, task.student.embedding.weight)
    encoder = load_encoder(run).state_dict()
    assert all(torch.equal(value, encoder[name]) for name, value in task.student.state_dict().items())


def test_a_run_on_several_skeletons(tmp_path: Path) -> None:
    """Every one of its data sets, with the average motion of each."""
    run = write_run(tmp_path / "run", [TINY, KINECT])
    task, saved = load_task(run), load_checkpoint(run / "last.pt")["task"]
    assert task.student.topologies == (TINY, KINECT) and saved.keys() == task.state_dict().keys()
    for i, topology in enumerate((TINY, KINECT)):
        assert torch.equal(task.reference(i), saved[f"reference_{i}"])
        frames = torch.randn(2, 8, len(topology), 3)
        batch = SkeletonBatch.from_frames(
            frames, topology=topology, segment=2, sequence=torch.arange(2), y=torch.zeros(2).long()
        )
        numbers = RandomNumbers(torch.rand(2, batch.layout.nodes))
        assert task(batch, numbers, GlobalBatch(bodies=2, data_set=i))["loss"].isfinite()


def test_what_is_no_run_of_pretraining(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a run with encoder\.yaml"):
        load_task(tmp_path)
    for name in ("encoder.yaml", "encoder.safetensors", "config.yaml"):
        shutil.copy(run / name, tmp_path)
    assert not has_method(tmp_path)
    with pytest.raises(InputError, match=r"expected a run of train\.py"):
        load_task(tmp_path)


def of_config(**method: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = read_plain(folder / "config.yaml")
        config["method"] |= method
        write_plain(folder / "config.yaml", config)

    return change


def other_checkpoint(**state: Any) -> Callable[[Path], None]:
    return lambda folder: save_checkpoint(folder / "last.pt", state)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (of_config(heads="separate"), r"last\.pt: not the networks of config\.yaml: .*predict"),
        (of_config(mask_ratio=3), r"config\.yaml: .*method\.mask_ratio: expected a number from 0.001 to 0.999, found 3"),
        (of_config(haeds="shared"), r"config\.yaml: .*haeds"),
        (other_checkpoint(epoch=1), r"last\.pt: not the networks of config\.yaml: 'task'"),
        (other_checkpoint(task={}), r"last\.pt: not the networks of config\.yaml: .*Missing key"),
        (other_checkpoint(task=[1]), r"last\.pt: not the networks of config\.yaml: "),
        (lambda folder: (folder / "last.pt").write_bytes(b"PK"), r"last\.pt: not a checkpoint that can be read"),
        (
            lambda folder: (folder / "config.yaml").write_text("method: [1]"),
            r"expected a run of train\.py, with its method in config\.yaml",
        ),
    ],
)
def test_networks_of_another_configuration(run: Path, tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    shutil.copytree(run, tmp_path / "run")
    damage(tmp_path / "run")
    with pytest.raises(InputError, match=message) as error:
        load_task(tmp_path / "run")
    assert "\n" not in str(error.value)
