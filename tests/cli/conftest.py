"""A store of a few synthetic clips, and the command lines that train on it in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.options import replaced

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 clips of three classes, every fourth with two bodies, as a store on tiny5."""
    from masksem_graph.data.clip import Body, Clip
    from masksem_graph.data.store import StoreWriter
    from masksem_graph.topology import load_topology

    path = tmp_path_factory.mktemp("store") / "small"
    random = np.random.default_rng(0)
    with StoreWriter(path, topology=load_topology("tiny5"), classes=("left", "right", "still")) as writer:
        for i in range(22):
            time = np.arange(20 + i)[:, None, None] / 10
            bodies = []
            for _ in range(2 if i % 4 == 0 else 1):
                phase, speed = random.uniform(0, 3, (1, 5, 3)), random.uniform(0.5, 1 + i % 3, (1, 5, 3))
                frames = np.sin(speed * time + phase).astype(np.float32)
                bodies.append(Body(start=0, frames=frames, present=np.ones(len(frames), dtype=bool)))
            writer.add(Clip(name=f"clip{i:02d}", label=i % 3, subject=i % 4, bodies=tuple(bodies)))
        writer.splits = {"half": np.arange(22) < 14}
    return path


@pytest.fixture(scope="session")
def train_arguments(small_store: Path) -> list[str]:
    """Options of ``train`` for seconds: 14 clips in batches of 6, so three uneven steps an epoch."""
    return [
        *("--model", "tiny", "--method", "masksem"),
        *("--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(small_store)),
        *("--model.frames", "16", "--model.width", "16", "--model.crop.min_frames", "8"),
        *("--model.backbone.depth", "2", "--model.decoder.depth", "1"),
        *("--train.epochs", "4", "--train.batch_size", "6", "--train.evaluate_every", "2", "--train.figures", "false"),
        *("--device.accelerator", "cpu"),
    ]


@pytest.fixture(scope="session")
def small_run(train_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, with a linear probe in its folder."""
    from masksem_graph.cli import main

    run = tmp_path_factory.mktemp("runs") / "small"
    more = ("--train.epochs", "1", "--train.evaluate_every", "0")
    main(["train", *replaced(train_arguments, *more), "--output", str(run)])
    short = ["--protocol.epochs", "1", "--device.accelerator", "cpu", "--figures", "false"]
    main(["evaluate", "--run", str(run), "--protocol", "linear", *short, "--output", str(run / "linear")])
    return run


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``python ARGUMENTS`` with the checkout's package, one thread, and returns what came out."""

    def run(*arguments: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        answer = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, env=environment, check=False
        )
        assert not check or answer.returncode == 0, answer.stderr
        return answer

    return run
