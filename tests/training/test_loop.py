"""The pre-training loop on two data sets, each on its own skeleton: resumed, divided or in two processes, it is one run."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.training import pretrain
from masksem_graph.training.checkpoint import load_checkpoint

ROOT, SCRIPT = Path(__file__).resolve().parents[2], Path(__file__).with_name("train_on_two.py")
NAMES = ("ntu25", "kinect20")
either_encoding = pytest.mark.parametrize("encodings", ["graph", "learned"])


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("train_on_two", SCRIPT)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stores(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    script.write_stores(folder)
    return folder


@pytest.fixture(scope="module")
def whole(script: ModuleType, stores: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An uninterrupted run with each kind of encodings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folders = {encodings: tmp_path_factory.mktemp(encodings) for encodings in ("graph", "learned")}
    for encodings, folder in folders.items():
        script.train(stores, folder, encodings=encodings)
    torch.set_num_threads(threads)
    return folders


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.pt")["task"]


def rows(folder: Path) -> list[dict[str, str]]:
    timed = ("seconds", "sequences_per_second")
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in timed} for row in csv.DictReader(file)]


def test_figures_are_by_data_set(whole: dict[str, Path]) -> None:
    found = rows(whole["graph"])
    assert len(found) == 2
    for row in found:
        taken = {name: float(row[f"share_{name}"] or 0) for name in NAMES}
        assert sum(taken.values()) == pytest.approx(1, abs=1e-4)
        parts = sum(share * float(row[f"loss_{name}"] or 0) for name, share in taken.items())
        assert parts == pytest.approx(float(row["loss"]), rel=1e-3)


def test_one_state_for_both(whole: dict[str, Path]) -> None:
    found = state(whole["learned"])
    assert {name.split(".")[0] for name in found} == {"student", "teacher", "decoder", "reference_0", "reference_1"}
    assert found["reference_0"].shape == (8, 25, 3) and found["reference_1"].shape == (8, 20, 3)
    assert found["reference_0"].any() and found["reference_1"].any()


def test_every_batch_is_on_one_skeleton(
    script: ModuleType, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = Pretrain.forward

    def watching(self: Pretrain, batch: SkeletonBatch, numbers: Any, whole: Any) -> Any:
        assert batch.topology.name == NAMES[whole.data_set] and whole.bodies == batch.num_bodies
        assert numbers.nodes.shape == (batch.num_bodies, batch.layout.nodes)
        seen.append(whole.data_set)
        return original(self, batch, numbers, whole)

    monkeypatch.setattr(Pretrain, "forward", watching)
    script.train(stores, tmp_path)
    assert len(seen) == 2 * 5 and set(seen) == {0, 1}


@either_encoding
def test_resumed_equals_uninterrupted(
    script: ModuleType, stores: Path, whole: dict[str, Path], tmp_path: Path, one_thread: None, encodings: str
) -> None:
    """Stopped in the middle of the second epoch, whose passes through the data sets began in the first."""
    with pytest.raises(script.Killed):
        script.train(stores, tmp_path, encodings=encodings, killed_after=7)
    assert load_checkpoint(tmp_path / "last.pt")["epoch"] == 1 and load_checkpoint(tmp_path / "last.pt")["step"] == 2
    torch.rand(7)  # whatever else drew random numbers must not matter
    script.train(stores, tmp_path, encodings=encodings)
    one, other = state(whole[encodings]), state(tmp_path)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert rows(whole[encodings]) == rows(tmp_path)


def test_a_step_draws_its_dropout_whatever_was_drawn_before(
    script: ModuleType, stores: Path, tmp_path: Path, one_thread: None
) -> None:
    script.train(stores, tmp_path / "whole", dropout=0.3)
    with pytest.raises(script.Killed):
        script.train(stores, tmp_path / "resumed", dropout=0.3, killed_after=7)
    script.train(stores, tmp_path / "resumed", dropout=0.3)
    one, other = state(tmp_path / "whole"), state(tmp_path / "resumed")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len({row["loss"] for row in rows(tmp_path / "whole")}) == 2


@either_encoding
@pytest.mark.parametrize("division", ["parts", "processes", "processes and parts"])
def test_a_divided_run_is_the_same(
    script: ModuleType, stores: Path, whole: dict[str, Path], tmp_path: Path, encodings: str, division: str
) -> None:
    parts = 3 if division == "parts" else 2 if "parts" in division else 1
    if "processes" in division:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
        answer = subprocess.run(
            [*launcher, str(stores), str(tmp_path), str(parts), encodings],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
    else:
        script.train(stores, tmp_path, parts=parts, encodings=encodings)
    found = state(tmp_path)
    for name, value in state(whole[encodings]).items():
        torch.testing.assert_close(found[name], value, atol=2e-5, rtol=0, msg=lambda t, n=name: f"{n}: {t}")
    for one, other in zip(rows(whole[encodings]), rows(tmp_path), strict=True):
        for name in ("loss", "loss_ntu25", "share_ntu25", "loss_kinect20", "gradient_norm"):
            assert float(one[name] or 0) == pytest.approx(float(other[name] or 0), abs=1e-4), name


def test_processes_agree_after_steps_of_the_run_and_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With few steps an epoch, or slow ones, a signal is seen within seconds all the same."""
    now = 0.0
    monkeypatch.setattr(pretrain.time, "monotonic", lambda: now)
    loop = object.__new__(pretrain.PretrainLoop)
    loop.fabric = SimpleNamespace(world_size=2, device="cpu")  # type: ignore[assignment]
    loop.agreed_at, loop.agree_in, loop.steps_since = 0.0, 1, 1
    monkeypatch.setattr(loop, "_sum", lambda value: 2 * value)  # the other process says the same
    for seconds, gap in ((0.001, 16), (0.5, 4), (1.0, 2), (30.0, 1)):
        seen = []
        for step in range(60):
            now += seconds
            if loop._agree(True, False) == [True, False]:
                seen.append(step)
        assert {later - sooner for sooner, later in zip(seen[-3:], seen[-2:], strict=False)} == {gap}
    assert loop._agree(False, False) == [False, False]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda state: state["optimiser"]["state"][0].update(exp_avg=torch.zeros(3)),
            r"optimiser\.state\.0\.exp_avg: expected",
        ),
        (lambda state: state["optimiser"].update(state={9999: {}}), r"optimiser\.state: expected the moments of"),
        (lambda state: state["task"].popitem(), r"task: expected entries"),
        (lambda state: state.update(epoch=-1), r"epoch: expected a number from 0 to 2, found -1"),
        (lambda state: state.update(step=6), r"step: expected a number from 0 to 5, found 6"),
        (lambda state: state.update(seconds="long"), r"seconds: expected a number"),
        (lambda state: state.update(sums={"loss": torch.zeros(2)}), r"sums\.loss: expected torch\.float32 of shape \[\]"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    script: ModuleType, stores: Path, whole: dict[str, Path], tmp_path: Path, damage: Any, message: str
) -> None:
    """A moment of another shape would crash the process in a later step."""
    found = load_checkpoint(whole["learned"] / "last.pt")
    damage(found)
    with pytest.raises(InputError, match=rf"last\.pt: {message}"):
        script.make_loop(stores, tmp_path, encodings="learned").resume(found)
