"""Samples of the attacks in this folder; docs/reliability.md has the commands of the whole ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def attack(module: str, *arguments: str, timeout: int = 600) -> None:
    """In a process of its own: it forks, and threads of a test session would not come along."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", f"tests.faults.{module}", *arguments]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr[-2000:]


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and looks into /proc")


def test_the_same_command_finishes_what_a_kill_left() -> None:
    attack("kills", "prepare again", "train", "convert over", "--limit", "2")


def test_mutants_are_refused_in_one_line_or_read() -> None:
    names = ("store.yaml", "frames.npy", "encoder.yaml", "encoder.safetensors", "last.pt", "last.pt, sealed")
    attack("fuzz", *names, "metrics.csv", "results.json", "recipe", "raw npz", "--mutants", "10")


def test_a_full_disk_gives_one_line() -> None:
    attack("full", "prepare", "export")


@pytest.mark.slow
def test_two_at_once_are_told_of_each_other() -> None:
    attack("two")


@pytest.mark.slow
def test_every_point_of_every_command() -> None:
    attack("kills", timeout=7200)


@pytest.mark.slow
def test_many_mutants_of_every_kind() -> None:
    attack("fuzz", "--mutants", "300", timeout=7200)


@pytest.mark.slow
def test_a_full_disk_in_every_command() -> None:
    attack("full", timeout=3600)
