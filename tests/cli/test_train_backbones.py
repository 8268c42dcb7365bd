"""What training promises holds for every backbone: resumed to the bit, several processes as one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from masksem_graph.cli.train import parse
from masksem_graph.training.checkpoint import load_checkpoint
from masksem_graph.training.pretrain import PretrainLoop
from masksem_graph.training.run import pretrain
from tests.cli.options import replaced

ROOT = Path(__file__).resolve().parents[2]
MESSAGE_PASSING = ["gcn", "gat", "gps", "stgcn"]


class Killed(Exception):
    """Stands in for the power going off."""


def chosen(arguments: list[str], backbone: str, folder: Path) -> list[str]:
    """The session's arguments with another backbone of two layers."""
    more = ("--backbone", backbone, "--train.epochs", "1", "--train.evaluate_every", "0", "--output", str(folder))
    return replaced(arguments, *more)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.pt")["task"]


@pytest.mark.parametrize("backbone", MESSAGE_PASSING)
def test_resumed_equals_uninterrupted(
    train_arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str, one_thread: None
) -> None:
    pretrain(*parse(chosen(train_arguments, backbone, tmp_path / "whole")))
    original, taken = PretrainLoop._step, 0

    def dying(self: PretrainLoop, *arguments: Any) -> int:
        nonlocal taken
        if taken == 2:
            raise Killed
        taken += 1
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainLoop, "_step", dying)
        with pytest.raises(Killed):
            pretrain(
                *parse(replaced([*chosen(train_arguments, backbone, tmp_path / "run"), "--train.checkpoint_minutes", "0"]))
            )
    pretrain(*parse(chosen(train_arguments, backbone, tmp_path / "run")))
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", MESSAGE_PASSING)
def test_two_processes_equal_one(
    train_arguments: list[str],
    tmp_path: Path,
    command: Callable[..., subprocess.CompletedProcess[str]],
    backbone: str,
    one_thread: None,
) -> None:
    pretrain(*parse(chosen(train_arguments, backbone, tmp_path / "one")))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(ROOT / "train.py"))
    command(*launcher, *chosen(train_arguments, backbone, tmp_path / "two"))
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(
            weights(tmp_path / "two")[name], value, atol=2e-5, rtol=0, msg=lambda t, n=name: f"{n}: {t}"
        )
