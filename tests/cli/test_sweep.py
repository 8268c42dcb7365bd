"""The sweep command: every shipped ablation, and a real one that is killed and goes on."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from masksem_graph.cli import main
from masksem_graph.files import shipped
from masksem_graph.training.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
ABLATIONS = sorted(path.stem for path in (shipped("configs") / "ablation").glob("*.yaml"))


@pytest.mark.parametrize(("name", "on"), [*((name, "nw_ucla") for name in ABLATIONS), ("table5", "demo")])
def test_shipped_ablations_are_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, on: str) -> None:
    main(["sweep", f"ablation/{name}", "--output", str(tmp_path / "out"), "--data", on, "--epochs", "2", "--dry_run"])
    commands = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert commands and all(line.startswith(("masksem-graph train ", "masksem-graph evaluate ")) for line in commands)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def tiny(tmp_path: Path, small_store: Path) -> list[str]:
    """The command line of a sweep of two variants, seconds each."""
    on = {
        "config": ["model/tiny", "method/mamp"],
        "options": {
            **{"data.format": "nw_ucla", "data.split": "half", "data.root": str(small_store), "evaluate_every": 0},
            **{"model.frames": 16, "model.width": 16, "model.backbone.depth": 1, "crop.min_frames": 8, "batch_size": 6},
        },
        "epochs": 3,
        "seeds": [0],
        "evaluate": {
            "linear": {"config": "protocol/linear", "epochs": 2, "batch_size": 4, "views": 2},
            "knn": {"config": "protocol/knn", "k": [1]},
        },
    }
    ablation = {"title": "Two", "grid": {"rate": {"low": {"optim.lr": 0.001}, "high": {"optim.lr": 0.002}}}}
    for name, fields in (("on", on), ("ablation", ablation)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(fields, sort_keys=False))
    options = ["--data", str(tmp_path / "on.yaml"), "--output", str(tmp_path / "out"), "--device.accelerator", "cpu"]
    return ["sweep", str(tmp_path / "ablation.yaml"), *options, "--jobs", "1"]


def results(folder: Path) -> list[Path]:
    return sorted(folder.glob("cells/*/seed0/*/results.json"))


def test_killed_and_started_again(
    tiny: list[str], tmp_path: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    out, process = tmp_path / "out", subprocess.Popen([sys.executable, "-m", "masksem_graph", *tiny], env=environment)
    second = out / "cells" / "high" / "seed0"
    for _ in range(1800):  # until the second cell is at work
        if (second / "run" / "last.pt").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(results(out)) >= 2
    before = {path: path.stat().st_mtime_ns for path in results(out)}

    again = command("-m", "masksem_graph", *tiny)
    assert "finished: high, seed 0 (2 of 2)" in again.stderr and "finished: low" not in again.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was finished is never run again"
    assert len(results(out)) == 4
    with (out / "results.csv").open(newline="") as file:
        assert [row["rate"] for row in csv.DictReader(file)] == ["low", "high"]
    assert "| rate | linear (%) | knn (%) | runs | pre-training (min) |" in again.stdout
    assert (out / "figures" / "variants.png").is_file() and (out / "table.md").is_file()
    metrics = (second / "run" / "metrics.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in metrics] == ["epoch", "1", "2", "3"]


def test_other_settings_in_the_same_folder(tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = tmp_path / "out" / "cells" / "low" / "seed0"
    cell.mkdir(parents=True)
    steps = [{"name": "run", "arguments": ["train", "--epochs", "9"], "epochs": 9}]
    (cell / "cell.yaml").write_text(yaml.safe_dump({"labels": {"rate": "low"}, "seed": 0, "steps": steps}))
    with pytest.raises(SystemExit) as stopped:
        main([*tiny, "--dry_run"])
    assert stopped.value.code == 2
    assert "was started with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--optim.lrr", "1"], "optim.lrr"),
        (["--model.segment", "5"], "low, seed 0: model.frames: expected a multiple"),
        (["--jobs", "0"], "--jobs: expected at least 1, found 0"),
        (["--seeds", "x"], "--seeds"),
        (["--data", "moon"], "moon"),
    ],
)
def test_mistakes_are_one_line(tiny: list[str], capsys: pytest.CaptureFixture[str], more: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*tiny, *more])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ") and message in lines[-1], lines


@pytest.mark.slow
def test_stopped_by_sigterm(tiny: list[str], tmp_path: Path) -> None:
    """Runs under way save themselves; who comes to the same folder meanwhile waits."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", "masksem_graph", *tiny, "--epochs", "100000"]
    checkpoint = tmp_path / "out" / "cells" / "low" / "seed0" / "run" / "last.pt"
    first = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)
    for _ in range(1800):
        if checkpoint.exists():
            break
        time.sleep(0.1)
    second = subprocess.Popen(arguments, env=environment | {"COLUMNS": "500"}, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert any("another sweep is at work here" in line for line in second.stderr)
    first.send_signal(signal.SIGTERM)
    errors = first.communicate(timeout=60)[1]
    assert first.returncode == 128 + signal.SIGTERM
    assert "stopped; the same command goes on from there" in " ".join(errors.split())
    epochs = load_checkpoint(checkpoint)["epoch"]
    assert not load_checkpoint(checkpoint)["finished"]
    for _ in range(600):
        if load_checkpoint(checkpoint)["epoch"] > epochs:
            break
        time.sleep(0.1)
    assert load_checkpoint(checkpoint)["epoch"] > epochs, "the second sweep went on where the first one stopped"
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=60)
    assert second.returncode == 128 + signal.SIGTERM
