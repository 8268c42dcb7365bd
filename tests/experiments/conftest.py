"""A program that stands in for ``masksem-graph``: it writes what each command leaves behind, or fails, or waits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from masksem_graph.experiments import ExperimentPlan, load_plan, run
from masksem_graph.training.checkpoint import save_checkpoint

PROGRAM = """
import os, shutil, signal, sys, time
from pathlib import Path
command, words = sys.argv[1], sys.argv[2:]
output, here = Path(words[words.index("--output") + 1]), Path(__file__).parent
def option(name):
    return words[words.index(name) + 1] if name in words else None
with (here / "calls.txt").open("a") as file:
    file.write(" ".join([command, *words]) + chr(10))
print("threads", os.environ.get("OMP_NUM_THREADS"), flush=True)
if option("--fail"):
    sys.exit("error: --fail: this one fails")
if command == "table":
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(" ".join(words))
    sys.exit()
output.mkdir(parents=True, exist_ok=True)
(output / "report.html").write_text("")
if command == "prepare":
    (output / "store.yaml").write_text("{}")
elif command == "evaluate":
    (output / "results.json").write_text('{"top1": %s}' % (option("--top1") or 50))
else:
    (output / "metrics.csv").write_text("epoch,loss,seconds" + chr(10) + "1,1,60" + chr(10))
    if option("--wait"):
        def leave(number, frame):
            (output / "saved").write_text("")
            sys.exit(143)
        signal.signal(signal.SIGTERM, leave)
        (output / "started").write_text("")
        for _ in range(600):
            if (here / "go").exists():
                break
            time.sleep(0.1)
    shutil.copy(here / "finished.pt", output / "last.pt")
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Put the program in place of ``masksem-graph``; the function says how it was called so far."""
    (tmp_path / "program.py").write_text(PROGRAM)
    save_checkpoint(tmp_path / "finished.pt", {"finished": True})
    monkeypatch.setattr(run, "PROGRAM", [sys.executable, "-S", str(tmp_path / "program.py")])
    path = tmp_path / "calls.txt"
    return lambda: path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., ExperimentPlan]:
    """Makes the plan of a recipe of these steps."""

    def make(*steps: dict[str, Any], seeds: list[int] | None = None, **fields: Any) -> ExperimentPlan:
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"steps": list(steps), **fields}, sort_keys=False))
        return load_plan(str(tmp_path / "recipe.yaml"), seeds=seeds)

    return make
