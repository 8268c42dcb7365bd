"""A folder is ours when a marker says so, one process writes it at a time, and nobody's files are lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from masksem_graph.errors import InputError
from masksem_graph.run_folder import FILES, LOCK, MARKER, RunFolder

ROOT = Path(__file__).resolve().parents[1]
HOLD = """
import sys, time
from masksem_graph.run_folder import RunFolder
with RunFolder(sys.argv[1]).writing("run"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_new_folder_is_marked(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "run")
    with folder.writing("run"):
        assert folder.kind == "run"
        assert (folder / LOCK).is_file()
        folder.config.touch()
    assert sorted(path.name for path in folder.path.iterdir()) == [MARKER, "config.yaml"]
    with folder.writing("run"):
        pass
    assert sorted(path.name for path in folder.path.iterdir()) == [MARKER, "config.yaml"]


def test_nothing_is_left_of_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such data"), RunFolder(tmp_path / "run").writing("run"):
        raise InputError("no such data")
    assert not (tmp_path / "run").exists()


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    with RunFolder(tmp_path).writing("evaluation"):
        assert RunFolder(tmp_path).kind == "evaluation"


@pytest.mark.parametrize("name", ["metrics.csv", "data.yaml", "scores.npz", "notes.txt", "tensorboard", "encoder.yaml"])
def test_anybody_s_files_are_refused_and_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir() if name == "tensorboard" else (tmp_path / name).write_text("mine")
    for kind in ("run", "evaluation", "conversion"):
        with pytest.raises(InputError, match=rf"holds {name}, and no {MARKER}"), RunFolder(tmp_path).writing(kind):
            raise AssertionError
    with pytest.raises(InputError, match="nothing is removed"):
        RunFolder(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_one_kind_is_not_written_over_another(tmp_path: Path) -> None:
    with RunFolder(tmp_path).writing("run"):
        (tmp_path / "metrics.csv").touch()
    with pytest.raises(InputError, match="holds a run; expected a folder of its own for an evaluation"):
        RunFolder(tmp_path).require_ours("evaluation")


def test_no_path_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--output: expected a folder, found ''"):
        RunFolder("")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; expected a folder"):
        RunFolder(tmp_path / "file")


def test_clear_removes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.writing("run"):
        for name in (*FILES, "notes.txt"):
            (folder / name).write_text("x")
        folder.figures.mkdir()
        (tmp_path / "linear").mkdir()
    folder.clear(keep=("results.json",))
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARKER, "linear", "notes.txt", "results.json"]


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(InputError, match=rf"process {holder.pid} on .* is writing it now and holds .*{LOCK}"),
            RunFolder(run).writing("run"),
        ):
            raise AssertionError
    finally:
        holder.kill()
        holder.wait()
    with RunFolder(run).writing("run"):  # the lock goes with its process
        pass
    assert not (run / LOCK).exists()


def test_what_dead_processes_left_goes(tmp_path: Path) -> None:
    with RunFolder(tmp_path).writing("run"):
        (tmp_path / "config.yaml").touch()
    (tmp_path / ".last.pt.4194999.partial").write_text("x")
    with RunFolder(tmp_path).writing("run"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARKER, "config.yaml"]


def test_a_run_that_lost_its_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.lost_checkpoint
    (folder / "metrics.csv").write_text("epoch,loss\n1,2.0\n")
    assert not folder.lost_checkpoint  # killed inside the first checkpoint
    (folder / "metrics.csv").write_text("epoch,loss\n1,2.0\n2,1.0\n")
    assert folder.lost_checkpoint
    folder.checkpoint.touch()
    assert not folder.lost_checkpoint


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_it_is_a_path(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert os.fspath(folder) == str(folder) == str(tmp_path / "run")
    assert Path(folder) / "x" == folder / "x"


def test_a_configuration_that_is_no_mapping(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_config() == {}
    folder.config.write_text("- 1\n")
    with pytest.raises(InputError, match=r"config\.yaml: expected a mapping, found list"):
        folder.read_config()
