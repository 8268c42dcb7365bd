"""The presets through the real command line: what they learn on the embedded set, resumed, divided, and evaluated."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from masksem_graph import load_encoder, load_topology, open_store
from masksem_graph.cli import main
from masksem_graph.cli.train import parse
from masksem_graph.data.demo import write_demo
from masksem_graph.files import shipped
from masksem_graph.training.checkpoint import load_checkpoint
from masksem_graph.training.pretrain import PretrainLoop
from masksem_graph.training.run import pretrain
from tests.cli.options import replaced

PRESETS = sorted(path.stem for path in (shipped("configs") / "method").glob("*.yaml"))
HA_CM = ["--method", "ha_cm", "--model.frames", "18", "--train.evaluate_every", "0"]
ROOT = Path(__file__).resolve().parents[2]

Command = Callable[..., subprocess.CompletedProcess[str]]


def train(arguments: list[str], folder: Path, *more: str) -> Path:
    config, plain, _ = parse(replaced([*arguments, "--output", str(folder), *more]))
    pretrain(config, plain)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.pt")["task"]


def column(folder: Path, name: str) -> list[float]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of the embedded set's twenty subjects: 144 clips, 72 of them for training."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder / "files", subjects=4)
    main(["prepare", "demo", str(folder / "files"), "--output", str(folder / "store")])
    return folder / "store"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_loss_falls_on_the_embedded_set(demo_store: Path, tmp_path: Path, preset: str) -> None:
    chosen = ["--data", "demo_xsub", "--model", "tiny", "--method", preset]
    small = [
        "--model.width",
        "32",
        "--model.backbone.depth",
        "1",
        "--train.batch_size",
        "24",
        "--train.epochs",
        "4",
        "--train.warmup",
        "0.1",
    ]
    quick = [
        "--train.lr",
        "4e-3",
        "--train.evaluate_every",
        "0",
        "--device.accelerator",
        "cpu",
        "--data.root",
        str(demo_store),
    ]
    losses = column(train([*chosen, *small, *quick], tmp_path / "run"), "loss")
    assert losses[-1] < 0.85 * losses[0], losses


@pytest.fixture(scope="module")
def ha_cm(train_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return train(replaced([*train_arguments, *HA_CM, "--train.epochs", "2"]), tmp_path_factory.mktemp("ha_cm") / "run")


def test_ha_cm_goes_on_to_the_bit(
    ha_cm: Path, train_arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    """The maps of its attention never learn, so they must come back from the checkpoint."""
    original, taken = PretrainLoop._step, 0

    def dying(self: PretrainLoop, *arguments: Any) -> int:
        nonlocal taken
        taken += 1
        if taken == 5:
            raise KeyboardInterrupt
        return original(self, *arguments)

    arguments = replaced([*train_arguments, *HA_CM, "--train.epochs", "2", "--train.checkpoint_minutes", "0"])
    monkeypatch.setattr(PretrainLoop, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        train(arguments, tmp_path / "run")
    monkeypatch.setattr(PretrainLoop, "_step", original)
    torch.rand(11)
    train(arguments, tmp_path / "run")
    for name, value in weights(ha_cm).items():
        assert torch.equal(weights(tmp_path / "run")[name], value), name
    assert "scores.even.query.weight" in weights(ha_cm)


@pytest.mark.parametrize("method", ["ha_cm", "masksem_released"])
def test_divided_runs_are_the_same(train_arguments: list[str], tmp_path: Path, command: Command, method: str) -> None:
    """In three parts, and in two processes: the contrast compares the whole batch, the released scores know its size."""
    chosen = HA_CM if method == "ha_cm" else ["--method", method, "--train.evaluate_every", "0"]
    arguments = replaced([*train_arguments, *chosen, "--train.epochs", "2"])
    one = train(arguments, tmp_path / "one")
    others = [train(arguments, tmp_path / "parts", "--train.accumulate", "3")]
    if method == "ha_cm":
        launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(ROOT / "train.py"))
        command(*launcher, *arguments, "--output", str(tmp_path / "two"))
        others.append(tmp_path / "two")
    for other in others:
        for name, value in weights(one).items():
            torch.testing.assert_close(weights(other)[name], value, atol=2e-5, rtol=0, msg=f"{other.name}: {name}")
        for figure in ("loss", "contrast") if method == "ha_cm" else ("loss",):
            assert column(other, figure) == pytest.approx(column(one, figure), abs=1e-4), figure


def test_ha_cm_is_evaluated_as_it_was_trained(ha_cm: Path, small_store: Path, tmp_path: Path) -> None:
    """On data with all joints: the encoder picks its own and maps them."""
    encoder = load_encoder(ha_cm)
    assert encoder.topology.inputs == open_store(small_store).topology.joints and (
        encoder.segments,
        len(encoder.topology),
    ) == (6, 4)
    main(["evaluate", "--protocol", "knn", "--run", str(ha_cm), "--output", str(tmp_path / "knn")])
    assert 0 <= json.loads((tmp_path / "knn" / "results.json").read_text())["top1"] <= 100


def test_a_skeleton_without_its_joints_is_refused(
    ha_cm: Path, demo_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = ["--data.format", "demo", "--data.split", "xsub", "--data.root", str(demo_store)]
    graph_alone = load_encoder(ha_cm, topology=load_topology("ntu25"))
    assert (graph_alone.segments, len(graph_alone.topology)) == (6, 25), "its encodings are of the graph alone"
    with pytest.raises(SystemExit) as stopped:
        chosen = ["--data", "demo_xsub", "--model", "tiny", "--method", "ha_cm"]
        main(["train", *chosen, *elsewhere, "--model.topology", "kinect20_limbs", "--output", str(tmp_path / "run")])
    assert stopped.value.code == 2
    assert "kinect20_limbs: its joint 'hip_centre' is not one of the 25 joints of ntu25" in capsys.readouterr().err
