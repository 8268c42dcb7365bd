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

ROOT = Path(__file__).resolve().parents[2]
ABLATIONS = sorted(path.stem for path in (shipped("configs") / "ablation").glob("*.yaml"))


@pytest.mark.parametrize(("name", "on"), [*((name, "nw_ucla") for name in ABLATIONS), ("table5", "demo")])
def test_shipped_ablations_are_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, on: str) -> None:
    if name == "released" and not (shipped("configs") / "method" / "masksem_released.yaml").is_file():
        pytest.skip("needs configs/method/masksem_released.yaml")
    main(["sweep", f"ablation/{name}", "--output", str(tmp_path / "out"), "--data", on, "--epochs", "2", "--dry_run"])
    commands = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert commands and all(line.startswith(("masksem-graph train ", "masksem-graph evaluate ")) for line in commands)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def tiny(tmp_path: Path, small_store: Path) -> list[str]:
    """The command line of a sweep of three variants, one of which cannot be trained; seconds each."""
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
    ablation = {
        "title": "Three",
        "grid": {"rate": {"low": {"optim.lr": 0.001}, "high": {"optim.lr": 0.002}, "mad": {"optim.lr": 1.0e30}}},
    }
    for name, fields in (("on", on), ("ablation", ablation)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(fields))
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
    for _ in range(1800):  # until the second cell has begun
        if (second / "cell.yaml").exists():
            break
        time.sleep(0.1)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(results(out)) >= 2 and not (out / "results.csv").exists()
    before = {path: path.stat().st_mtime_ns for path in results(out)}

    again = command("-m", "masksem_graph", *tiny, check=False)
    assert again.returncode == 1, "one cell cannot be trained"
    assert "FAILED: mad, seed 0: error: loss: found nan" in " ".join(again.stderr.split())
    assert "1 of 3 cells failed; the same command tries them again" in " ".join(again.stderr.split())
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was finished is never run again"
    assert len(results(out)) == 4
    with (out / "results.csv").open(newline="") as file:
        assert [row["rate"] for row in csv.DictReader(file)] == ["low", "high"]
    assert "| mad | - | - | 0 of 1 | - |" in again.stdout
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
