"""The training command: resuming, stopping, refusing, and several processes."""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from masksem_graph.cli import main
from masksem_graph.cli.evaluate import parse as parse_evaluation
from masksem_graph.cli.train import parse
from masksem_graph.errors import InputError
from masksem_graph.models.io import load_encoder
from masksem_graph.run_folder import MARKER
from masksem_graph.training.checkpoint import load_checkpoint
from masksem_graph.training.pretrain import NonFiniteLoss, PretrainLoop
from masksem_graph.training.run import pretrain
from tests.cli.options import replaced

Command = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]


class Killed(Exception):
    """Stands in for the power going off."""


def train(arguments: list[str], folder: Path, *more: str) -> Path:
    config, plain, _ = parse(replaced([*arguments, "--output", str(folder), *more]))
    pretrain(config, plain)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.pt")["task"]


def assert_same_run(one: Path, other: Path) -> None:
    for left, right in ((weights(one), weights(other)), *[(load_file(f / "encoder.safetensors"),) * 2 for f in (one,)]):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
    assert (one / "encoder.safetensors").read_bytes() == (other / "encoder.safetensors").read_bytes()
    states = [load_checkpoint(folder / "last.pt")["optimiser"]["state"] for folder in (one, other)]
    for name, state in states[0].items():
        assert all(torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][name][key])) for key, value in state.items())


def figures(folder: Path) -> list[dict[str, str]]:
    timed = ("seconds", "sequences_per_second")
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in timed} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole_run(train_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return train(train_arguments, tmp_path_factory.mktemp("runs") / "whole")


def test_run_folder(whole_run: Path, train_arguments: list[str]) -> None:
    for name in ("config.yaml", "metrics.csv", "last.pt", "encoder.safetensors", "encoder.yaml"):
        assert (whole_run / name).is_file(), name
    rows = figures(whole_run)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[1]["knn_top1_k1"] and rows[3]["knn_top1_k1"] and not rows[0]["knn_top1_k1"]
    again, *_ = parse(["--config", str(whole_run / "config.yaml")])
    assert again.train.epochs == 4 and again.model.width == 16


@pytest.mark.parametrize("step", range(0, 12, 3))
def test_resumed_equals_uninterrupted(
    whole_run: Path,
    train_arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    one_thread: None,
) -> None:
    taken = 0
    original = PretrainLoop._step

    def dying(self: PretrainLoop, *arguments: Any) -> int:
        nonlocal taken
        if taken == step + 1:
            raise Killed
        taken += 1
        return original(self, *arguments)

    # A checkpoint after every step, so that the run goes on in the middle of an epoch.
    often = ("--train.checkpoint_minutes", "0")
    monkeypatch.setattr(PretrainLoop, "_step", dying)
    with pytest.raises(Killed):
        train(train_arguments, tmp_path / "run", *often)
    monkeypatch.setattr(PretrainLoop, "_step", original)
    torch.rand(7)  # whatever else drew random numbers must not matter
    train(train_arguments, tmp_path / "run")
    assert_same_run(whole_run, tmp_path / "run")
    assert figures(whole_run) == figures(tmp_path / "run")


def test_killed_process_resumes_to_the_bit(
    whole_run: Path, train_arguments: list[str], tmp_path: Path, command: Command
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = [
        "train.py",
        *replaced([*train_arguments, "--output", str(tmp_path / "run"), "--train.checkpoint_minutes", "0"]),
    ]
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if (tmp_path / "run" / "last.pt").exists():
            break
        time.sleep(0.1)
    time.sleep(random.Random(0).uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    command("-m", "masksem_graph", "train", *train_arguments, "--output", str(tmp_path / "run"))
    assert_same_run(whole_run, tmp_path / "run")


def test_sigterm_saves_and_says_how_to_go_on(train_arguments: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = ["train.py", *replaced([*train_arguments, "--output", str(tmp_path / "run"), "--train.epochs", "100000"])]
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if (tmp_path / "run" / "metrics.csv").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert "the same command goes on" in " ".join(errors.split())
    assert not load_checkpoint(tmp_path / "run" / "last.pt")["finished"]


def test_accumulation_equals_the_larger_batch(whole_run: Path, train_arguments: list[str], tmp_path: Path) -> None:
    parts = train(train_arguments, tmp_path / "parts", "--train.accumulate", "3")
    for name, value in weights(whole_run).items():
        torch.testing.assert_close(weights(parts)[name], value, atol=2e-5, rtol=0, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("reference", ["dataset", "batch"])
def test_two_processes_equal_one(train_arguments: list[str], tmp_path: Path, command: Command, reference: str) -> None:
    more = ("--method.reference", reference, "--train.epochs", "2")
    one = train(train_arguments, tmp_path / "one", *more)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(ROOT / "train.py"))
    command(*launcher, *replaced([*train_arguments, "--output", str(tmp_path / "two"), *more]))
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], value, atol=2e-5, rtol=0)
    losses = [[float(row["loss"]) for row in figures(folder)] for folder in (one, tmp_path / "two")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(train_arguments: list[str], tmp_path: Path) -> None:
    run, launcher = tmp_path / "run", ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    arguments = replaced([*train_arguments, "--output", str(run), "--train.epochs", "100000"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    places: list[tuple[int, int]] = [(0, 0)]
    for _ in range(2):
        before = figures(run) if places[-1] > (0, 0) else []
        command = [sys.executable, *launcher, str(ROOT / "train.py"), *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(1200):
            if (run / "metrics.csv").exists() and len(figures(run)) > len(before) + 1:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)  # as a queue does; torchrun passes it on, and kills after 30 s
        began, errors = time.monotonic(), process.communicate(timeout=60)[1]
        assert time.monotonic() - began < 25 and process.returncode != 0, errors
        assert "the same command goes on" in " ".join(errors.split())
        state = load_checkpoint(run / "last.pt")
        assert not state["finished"] and not (run / ".lock").exists()
        places.append((state["epoch"], state["step"]))
        assert figures(run)[: len(before)] == before  # the second start goes on from the first one's checkpoint
    assert places == sorted(set(places))


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "~nosuch/x"])
def test_what_can_be_no_path(train_arguments: list[str], path: str) -> None:
    with pytest.raises(InputError, match=r"data\.root: found .*, expected a path: "):
        parse(replaced([*train_arguments, "--data.root", path, "--output", "x"]))
    with pytest.raises(InputError, match=r"the clips of this run were in .*which is gone"):
        parse_evaluation(["--run", "a", "--protocol", "knn"], {"data": {"format": "ntu", "split": "xsub", "root": path}})


def test_a_runs_data_that_is_a_text() -> None:
    with pytest.raises(InputError, match="data"):
        parse_evaluation(["--run", "a", "--protocol", "knn", "--output", "x"], {"data": "x"})


def test_refuses_to_overwrite_a_finished_run(whole_run: Path, train_arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"holds a finished run.*--overwrite"):
        train(train_arguments, whole_run)


def test_a_mistake_beside_overwrite_loses_nothing(whole_run: Path, train_arguments: list[str]) -> None:
    before = (whole_run / "last.pt").read_bytes()
    with pytest.raises(InputError, match="nowhere"):
        train(replaced([*train_arguments, "--data.root", "/nowhere", "--overwrite", "true"]), whole_run)
    assert (whole_run / "last.pt").read_bytes() == before


def test_refuses_the_folder_of_an_evaluation(train_arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds results\.json, and no \.masksem_graph"):
        train(train_arguments, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_no_checkpoint_without_its_encoder(
    train_arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two must not leave a finished run with the encoder of an earlier epoch."""

    def dying(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("masksem_graph.models.io.save_encoder", dying)
    with pytest.raises(Killed):
        train(train_arguments, tmp_path / "run")
    assert not (tmp_path / "run" / "last.pt").exists()


def test_killed_inside_the_first_checkpoint_starts_anew(whole_run: Path, train_arguments: list[str], tmp_path: Path) -> None:
    """The encoder is written before ``last.pt``: a kill in between must not lock the folder."""
    run = tmp_path / "run"
    run.mkdir()
    for name in (MARKER, "config.yaml", "encoder.yaml", "encoder.safetensors"):
        shutil.copy(whole_run / name, run)
    train(train_arguments, run)
    assert load_checkpoint(run / "last.pt")["finished"]


def test_refuses_to_go_on_with_another_configuration(
    train_arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PretrainLoop._end_epoch

    def dying(self: PretrainLoop) -> dict[str, float]:
        if self.progressed.epoch == 1:
            raise Killed
        return original(self)

    monkeypatch.setattr(PretrainLoop, "_end_epoch", dying)
    with pytest.raises(Killed):
        train(train_arguments, tmp_path / "run")
    with pytest.raises(InputError, match=r"--train\.lr: .*unfinished run with 0\.001, found 0\.01"):
        train(train_arguments, tmp_path / "run", "--train.lr", "0.01")


def test_non_finite_loss_keeps_the_last_good_checkpoint(
    train_arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PretrainLoop._step

    def spoiling(self: PretrainLoop, epoch: int, step: int, clips: torch.Tensor) -> int:
        if epoch == 1:
            with torch.no_grad():
                next(self.task.student.parameters()).fill_(float("nan"))
        return original(self, epoch, step, clips)

    monkeypatch.setattr(PretrainLoop, "_step", spoiling)
    with pytest.raises(NonFiniteLoss, match=r"found nan in epoch 2.*last\.pt"):
        train(train_arguments, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "last.pt")["epoch"] == 1
    assert all(p.isfinite().all() for p in load_encoder(tmp_path / "run").parameters())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--train.lrr", "1"], "train.lrr"),
        (["--train.epochs", "many"], "epochs"),
        (["--method.target.init_args.betta", "1"], "betta"),
        (["--model.backbone.class_path", "masksem_graph.backbones.Nothing"], "Nothing"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--model.segment", "5"], "model.frames"),
        (["--data.split", "thirds"], "data.split"),
        (["--data.root", "no/such/folder"], "no/such/folder"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(
    train_arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", *replaced([*train_arguments, "--output", str(tmp_path / "run"), *arguments])])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ") and named in lines[-1], lines
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize("name", ["metrics.csv", "data.yaml", "scores.npz", "notes.txt"])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_nobody_s_files_are_lost(
    whole_run: Path, train_arguments: list[str], tmp_path: Path, name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("mine")
    of = {"train": train_arguments, "evaluate": ["--run", str(whole_run), "--protocol", "knn"]}[command]
    with pytest.raises(SystemExit):
        main([command, *of, "--output", str(tmp_path), "--overwrite", "true"])
    assert f"holds {name}, and no .masksem_graph" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_finished_run_without_its_checkpoint_is_not_lost(
    whole_run: Path, train_arguments: list[str], tmp_path: Path
) -> None:
    shutil.copytree(whole_run, tmp_path / "run")
    for name in ("last.pt", "previous.pt"):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(InputError, match=r"holds a run whose last\.pt is gone.*--overwrite true"):
        train(train_arguments, tmp_path / "run")
    assert (tmp_path / "run" / "encoder.safetensors").is_file()


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    whole_run: Path, train_arguments: list[str], tmp_path: Path, kept: float
) -> None:
    shutil.copytree(whole_run, tmp_path / "run")
    last = tmp_path / "run" / "last.pt"
    if kept:
        last.write_bytes(last.read_bytes()[: int(kept * last.stat().st_size)])
    else:
        last.unlink()
    train(train_arguments, tmp_path / "run")
    assert_same_run(whole_run, tmp_path / "run")


def test_a_run_without_its_page_gets_it(whole_run: Path, train_arguments: list[str], tmp_path: Path) -> None:
    """Killed between its last checkpoint and its page."""
    shutil.copytree(whole_run, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    train(train_arguments, tmp_path / "run")
    assert (tmp_path / "run" / "report.html").is_file()
    assert_same_run(whole_run, tmp_path / "run")
