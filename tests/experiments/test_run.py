"""Steps as processes: order, resumption, failures, logs, a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from masksem_graph.experiments import ExperimentPlan, Stopped, finished, run_steps
from masksem_graph.training.checkpoint import save_checkpoint

Calls = Callable[[], list[str]]
Recipe = Callable[..., ExperimentPlan]
STEPS = [
    {"train": "a"},
    {"evaluate": "a/knn", "run": "a"},
    {"train": "b", "init_from": "a"},
    {"evaluate": "b/knn", "run": "b"},
    {"table": "all.md", "style": "all"},
]


def until(there: Callable[[], Any]) -> None:
    for _ in range(600):
        if there():
            return
        time.sleep(0.1)
    raise AssertionError("it took more than a minute")


def test_what_counts_as_finished(tmp_path: Path) -> None:
    for name, there in (("results.json", True), ("store.yaml", True), ("config.yaml", False)):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("{}")
        assert finished(tmp_path / name) is (there and name != "results.json")
        (tmp_path / name / "report.html").touch()  # written last
        assert finished(tmp_path / name) is there
    save_checkpoint(tmp_path / "last.pt", {"finished": True})
    assert not finished(tmp_path)
    (tmp_path / "report.html").touch()
    for done in (True, False):
        save_checkpoint(tmp_path / "last.pt", {"finished": done})
        assert finished(tmp_path) is done
    (tmp_path / "last.pt").write_bytes(b"PK")
    assert not finished(tmp_path)


@pytest.mark.parametrize("jobs", [1, 3])
def test_everything_once_and_only_once(tmp_path: Path, recipe: Recipe, calls: Calls, jobs: int) -> None:
    plan, out = recipe(*STEPS, seeds=[0, 1]), tmp_path / "out"
    assert run_steps(plan, out, jobs=jobs) == {}
    done = [call.rpartition(f"{out}/")[2] for call in calls()]
    assert sorted(done) == sorted(step.name for step in plan.steps)
    assert all(done.index(need) < done.index(step.name) for step in plan.steps for need in step.needs)
    (out / "seed1" / "b" / "knn" / "results.json").unlink()
    assert run_steps(plan, out, jobs=jobs) == {}
    assert [call.split()[0] for call in calls()[len(done) :]] == ["evaluate", "table"]
    log = (out / "logs" / "seed1" / "b" / "knn.txt").read_text().splitlines()
    threads = os.environ.get("OMP_NUM_THREADS") if jobs == 1 else str(max(1, len(os.sched_getaffinity(0)) // 3))
    assert len(log) == 4 and log[0].startswith("$ ") and log[1] == log[3] == f"threads {threads}"


def test_a_failure_is_named_with_its_log_and_others_go_on(
    tmp_path: Path, recipe: Recipe, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    plan, out = recipe({"train": "bad", "fail": 1}, {"evaluate": "bad/knn", "run": "bad"}, *STEPS), tmp_path / "out"
    log = out / "logs" / "seed0" / "bad.txt"
    assert run_steps(plan, out) == {
        "seed0/bad": f"exit status 1: error: --fail: this one fails; its log: {log}",
        "seed0/bad/knn": "not run: it needs seed0/bad",
    }
    assert f"FAILED: seed0/bad: exit status 1: error: --fail: this one fails; its log: {log}" in capfd.readouterr().err
    assert (out / "tables" / "all.md").read_text().startswith(f"{out}/seed0/a/knn {out}/seed0/b/knn --style all")
    before = len(calls())
    assert set(run_steps(plan, out)) == {"seed0/bad", "seed0/bad/knn"}  # tried again
    assert [call.split()[0] for call in calls()[before:]] == ["train", "table"]


def test_stopping_at_the_first_failure(tmp_path: Path, recipe: Recipe, calls: Calls) -> None:
    plan = recipe({"train": "bad", "fail": 1}, *STEPS)
    assert set(run_steps(plan, tmp_path / "out", keep_going=False)) == {"seed0/bad"}
    assert len(calls()) == 1


def test_a_table_of_nothing_is_not_run(tmp_path: Path, recipe: Recipe, calls: Calls) -> None:
    plan = recipe({"train": "bad", "fail": 1}, {"evaluate": "bad/knn", "run": "bad"}, {"table": "all.md", "style": "all"})
    assert run_steps(plan, tmp_path / "out")["tables/all.md"] == "not run: it needs seed0/bad/knn"
    assert len(calls()) == 1


def test_success_without_a_result_is_a_failure(tmp_path: Path, recipe: Recipe, calls: Calls) -> None:
    save_checkpoint(tmp_path / "finished.pt", {"finished": False})
    assert run_steps(recipe({"train": "a"}), tmp_path / "out")["seed0/a"].startswith("exit status 0: threads")


def test_stopped_by_sigterm(tmp_path: Path, recipe: Recipe, calls: Calls) -> None:
    plan, out = recipe({"train": "a", "wait": 1}, *STEPS[1:]), tmp_path / "out"
    started = out / "seed0" / "a" / "started"
    helper = [sys.executable, "-c", f"import os, time\nwhile not os.path.exists({str(started)!r}): time.sleep(0.05)\n"]
    helper[-1] += f"os.kill({os.getpid()}, {int(signal.SIGTERM)})"
    with subprocess.Popen(helper), pytest.raises(Stopped) as stopped:
        run_steps(plan, out)
    assert stopped.value.signal == signal.SIGTERM
    assert (out / "seed0" / "a" / "saved").exists(), "the step was asked to save itself, and waited for"
    (tmp_path / "go").write_text("")
    assert run_steps(plan, out) == {} and len(calls()) == 6


def test_killed_and_started_again(tmp_path: Path, recipe: Recipe, calls: Calls, capfd: pytest.CaptureFixture[str]) -> None:
    """The step of a killed runner works on; the next runner waits for it, and runs only what is left."""
    plan, out = recipe({"train": "a", "wait": 1}, *STEPS[1:]), tmp_path / "out"
    code = f"""
import sys
from pathlib import Path
from masksem_graph.experiments import load_plan, run
run.PROGRAM = {[sys.executable, "-S", str(tmp_path / "program.py")]!r}
run.run_steps(load_plan({str(tmp_path / "recipe.yaml")!r}), Path({str(out)!r}))
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as first:
        until((out / "seed0" / "a" / "started").exists)
        first.kill()
    release = f"import pathlib, time; time.sleep(1.5); pathlib.Path({str(tmp_path / 'go')!r}).write_text('')"
    with subprocess.Popen([sys.executable, "-c", release]):
        assert run_steps(plan, out) == {}
    assert "is at work here; waiting for it" in " ".join(capfd.readouterr().err.split())
    assert [call.split()[0] for call in calls()] == ["train", "evaluate", "train", "evaluate", "table"]
