"""The example of docs/backbones.md: a backbone outside the package trains and is evaluated as the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "backbones.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's files and nothing else."""
    path = tmp_path_factory.mktemp("mine")
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    code, config = (next(block for block in blocks if word in block) for word in ("class SAGE", "my_backbone.SAGE"))
    assert code.startswith("# my_backbone.py\n") and config.startswith("# my_backbone.yaml\n")
    (path / "my_backbone.py").write_text(code)
    (path / "my_backbone.yaml").write_text(config)
    return path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As the installed command does, whose path does not begin with the folder that it is started in."""
    start = "import sys; sys.path = [p for p in sys.path if p]; from masksem_graph.cli import main; main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", start, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_it_trains_and_is_evaluated(folder: Path, small_store: Path) -> None:
    data = ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(small_store)]
    chosen = ["--model", "tiny", "--backbone", "my_backbone.yaml", "--method", "masksem", "--trust", "my_backbone"]
    small = ["--model.width", "16", "--train.epochs", "1", "--device.accelerator", "cpu", "--train.figures", "false"]
    done = run(folder, "train", *data, *chosen, *small, "--output", "runs/sage")
    assert done.returncode == 0, done.stderr
    assert "kept_hops: 5" in (folder / "runs" / "sage" / "config.yaml").read_text()
    assert "own_parts" in (folder / "runs" / "sage" / "provenance.yaml").read_text()
    evaluation = ["evaluate", "--protocol", "knn", "--run", "runs/sage", "--output", "runs/sage/knn"]
    done = run(folder, *evaluation)
    assert done.returncode == 2 and "my_backbone.SAGE is not imported" in done.stderr and "--trust my_backbone" in done.stderr
    done = run(folder, *evaluation, "--trust", "my_backbone")
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "runs" / "sage" / "knn" / "results.json").read_text())
    assert 0 <= results["top1"] <= 100 and results["test_clips"] == 8
