"""docs/data.md takes a newcomer with clips of their own to a trained encoder: its walk-through, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from masksem_graph import load_encoder, open_store
from masksem_graph.data.readers import reader_names

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "data.md").read_text()


def blocks() -> list[tuple[str, str]]:
    """The fenced blocks of the walk-through: language and text."""
    (part,) = re.findall(r"<!-- walk-through -->(.*?)<!-- end of walk-through -->", PAGE, re.DOTALL)
    return re.findall(r"^```(\w+)\n(.*?)^```", part, re.DOTALL | re.MULTILINE)


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``masksem-graph`` and ``python`` are this checkout's."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in {"masksem-graph": "-m masksem_graph", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    paths = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **paths, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def test_the_walk_through(tmp_path: Path, commands: dict[str, str]) -> None:
    here = tmp_path / "newcomer"
    here.mkdir()

    def run(*command: str) -> str:
        answer = subprocess.run(command, cwd=here, env=commands, capture_output=True, text=True, timeout=600, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout + answer.stderr

    said = ""
    for language, text in blocks():
        # A file's first line says where it goes.
        named = re.match(r"# ([\w./]+)", text)
        if language in ("python", "yaml"):
            assert named
            (here / named[1]).write_text(text)
        if language == "python":
            run("python", named[1] if named else "")
        if language == "sh":
            said += run("sh", "-e", "-c", text)
    assert "48 clips in" in said
    store = open_store(here / "stores" / "mine")
    assert (len(store), len(store.topology), store.classes) == (48, 17, ("wave", "squat", "march"))
    assert set(store.splits) == {"by_person"} | {f"each_person_{p}" for p in ("anna", "ben", "clara", "deniz")} | {
        f"folds_{k}" for k in range(1, 5)
    }
    assert {path.name for path in (here / "pictures").iterdir()} == {"skeletons.png", "splits.png"}
    encoder = load_encoder(here / "runs" / "mine")
    assert len(encoder.topology) == 17
    assert (here / "runs" / "mine" / "knn" / "results.json").is_file()
    assert (here / "runs" / "mine" / "metrics.csv").read_text().count("\n") == 3, "two epochs"


def test_the_table_is_the_scripts(tmp_path: Path, commands: dict[str, str]) -> None:
    (table,) = re.findall(r"^```\n(file,label.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    script = next(text for language, text in blocks() if language == "python")
    (tmp_path / "make.py").write_text(script)
    subprocess.run(["python", "make.py"], cwd=tmp_path, env=commands, check=True)
    assert (tmp_path / "my_clips" / "clips.csv").read_text().startswith(table)


def test_every_format_and_configuration_is_described() -> None:
    for name in reader_names():
        assert f"`{name}`" in PAGE, name
    for name in set(re.findall(r"data/\w+(?=[ `])", PAGE)):
        assert (ROOT / "configs" / f"{name}.yaml").is_file(), name
