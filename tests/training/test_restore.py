"""A run's task from its folder: the same networks, and a clear line where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from masksem_graph.cli.train import parse, pretrain
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.store import StoreWriter
from masksem_graph.errors import InputError
from masksem_graph.saliency import GradCam
from masksem_graph.topology import load_topology
from masksem_graph.training.checkpoint import load_checkpoint
from masksem_graph.training.restore import has_method, load_task


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("restore")
    random = np.random.default_rng(0)
    with StoreWriter(folder / "store", topology=load_topology("tiny5"), classes=("a",)) as writer:
        for i in range(4):
            frames = random.normal(size=(20, 5, 3)).astype(np.float32)
            writer.add(Clip(name=f"{i}", label=0, bodies=(Body(start=0, frames=frames, present=np.ones(20, dtype=bool)),)))
        writer.splits = {"half": np.arange(4) < 2}
    chosen = ["--config", "model/tiny", "--config", "method/masksem", "--model.width", "16", "--epochs", "1"]
    data = ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(folder / "store")]
    more = ["--evaluate_every", "0", "--figures", "false", "--device.accelerator", "cpu", "--output", str(folder / "run")]
    pretrain(*parse([*chosen, *data, *more]))
    return folder / "run"


def test_the_same_networks(run: Path) -> None:
    task, saved = load_task(run), load_checkpoint(run / "last.pt")["task"]
    assert not task.training and isinstance(task.scores, GradCam) and has_method(run)
    state = task.state_dict()
    assert state.keys() == saved.keys() and all(torch.equal(state[name], saved[name]) for name in saved)
    assert task.reference.any()


def test_what_is_no_run_of_pretraining(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a run with encoder\.yaml"):
        load_task(tmp_path)
    for name in ("encoder.yaml", "encoder.safetensors", "config.yaml"):
        shutil.copy(run / name, tmp_path)
    assert not has_method(tmp_path)
    with pytest.raises(InputError, match=r"expected a run of train\.py"):
        load_task(tmp_path)


def test_networks_of_another_configuration(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["method"]["heads"] = "separate"
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match=r"last\.pt: not the networks of config\.yaml: .*predict"):
        load_task(tmp_path / "run")
