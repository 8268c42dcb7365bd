"""A conversion that is interrupted, killed or out of room goes on where it was, and ends with the same store."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksem_graph.data import prepare as module
from masksem_graph.data.clip import Clip
from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers.nw_ucla import NWUCLAReader
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError
from masksem_graph.files import locked

CLIPS = 9


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Nine NW-UCLA files of 10 to 18 frames, the third of them cut off."""
    folder = tmp_path / "source"
    folder.mkdir()
    for i in range(CLIPS):
        frames = 1 + np.random.rand(10 + i, 20, 3)
        text = json.dumps({"file_name": "", "skeletons": frames.tolist(), "label": i + 1})
        (folder / f"a01_s0{i + 1}_e00_v01.json").write_text(text[:500] if i == 2 else text)
    return folder


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> list[str]:
    """Readers stop at one file; returns the list of those that are read from now on."""
    read: list[str] = []
    original = NWUCLAReader.read

    def stop(self: NWUCLAReader, source: Path) -> Clip:
        if len(read) == at:
            raise error
        read.append(source.stem)
        return original(self, source)

    monkeypatch.setattr(NWUCLAReader, "read", stop)
    return read


def contents(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.iterdir())}


@pytest.mark.parametrize("at", [0, 1, 3, CLIPS - 1])
def test_interrupted(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    prepare("nw_ucla", source, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, at, KeyboardInterrupt())
        prepare("nw_ucla", source, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    with monkeypatch.context() as patch:
        read = interrupted(patch, -1, KeyboardInterrupt())
        report = prepare("nw_ucla", source, tmp_path / "store")
    assert read == [f"a01_s0{i + 1}_e00_v01" for i in range(at, CLIPS)], "what was read is not read again"
    assert (report.clips, len(report.skipped), report.read) == (CLIPS - 1, 1, CLIPS - at)
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["skipped.csv", "source", "store", "whole"], "nothing is left over"
    assert (tmp_path / "skipped.csv").read_text().count("a01_s03") == 4, "a line a store, with file and error"


def test_a_changed_source_starts_anew(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, 5, KeyboardInterrupt())
        prepare("nw_ucla", source, tmp_path / "store")
    (source / "a01_s01_e00_v01.json").unlink()
    read = interrupted(monkeypatch, -1, KeyboardInterrupt())
    assert prepare("nw_ucla", source, tmp_path / "store").clips == CLIPS - 2
    assert len(read) == CLIPS - 1


def test_an_old_store_stays_until_the_new_one_is_whole(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare("nw_ucla", source, tmp_path / "store")
    before = contents(tmp_path / "store")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, 4, KeyboardInterrupt())
        prepare("nw_ucla", source, tmp_path / "store", origin="none")
    assert contents(tmp_path / "store") == before
    prepare("nw_ucla", source, tmp_path / "store", origin="none")
    assert open_store(tmp_path / "store").origin == "none"


RUN = """
import os, signal, sys
from masksem_graph.data import prepare as module
from masksem_graph.data.readers.nw_ucla import NWUCLAReader
module.COMMIT_SECONDS = -1.0
original, count = NWUCLAReader.read, 0
def read(self, source):
    global count
    count += 1
    if count == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, source)
NWUCLAReader.read = read
from masksem_graph.cli import main
main(["prepare", "nw_ucla", {source!r}, "--output", {output!r}])
"""


def run(script: str, **options: Any) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=600, check=False, **options
    )


def test_killed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare("nw_ucla", source, tmp_path / "whole")
    answer = run(RUN.format(at=6, source=str(source), output=str(tmp_path / "store")))
    assert answer.returncode == -signal.SIGKILL
    read = interrupted(monkeypatch, -1, KeyboardInterrupt())
    prepare("nw_ucla", source, tmp_path / "store")
    assert len(read) == CLIPS - 5
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_a_full_disk(source: Path, tmp_path: Path) -> None:
    prepare("nw_ucla", source, tmp_path / "store", origin="none")
    prepare("nw_ucla", source, tmp_path / "whole")
    before = contents(tmp_path / "store")

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))

    script = RUN.format(at=-1, source=str(source), output=str(tmp_path / "store"))
    answer = run(script, preexec_fn=little_room)
    assert answer.returncode == 2, answer.stderr
    line = answer.stderr.strip().splitlines()[-1]
    assert line.startswith(f"error: {tmp_path / 'store'}: cannot write the store: File too large; what is done stays in")
    assert "Traceback" not in answer.stderr
    assert contents(tmp_path / "store") == before
    assert run(script).returncode == 0
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["frames.npy", "present.npy", "journal.jsonl", "line", "fields"])
def test_a_damaged_draft_is_not_believed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    prepare("nw_ucla", source, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, 6, KeyboardInterrupt())
        prepare("nw_ucla", source, tmp_path / "store")
    (draft,) = tmp_path.glob(".store.*")
    journal = draft / "journal.jsonl"
    if damage == "line":
        journal.write_bytes(journal.read_bytes()[:-20])
    elif damage == "fields":
        journal.write_text(journal.read_text().replace('"bodies"', '"body"'))
    else:
        (draft / damage).write_bytes(b"")
    prepare("nw_ucla", source, tmp_path / "store")
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_one_process_at_a_time(source: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "store", wait=False), pytest.raises(InputError, match="another process is writing it now"):
        prepare("nw_ucla", source, tmp_path / "store")
    assert prepare("nw_ucla", source, tmp_path / "store").clips == CLIPS - 1


def test_a_worker_that_dies(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_WORKER", 1)
    monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(module, "_start_worker", int)  # which takes no reader
    with pytest.raises(InputError, match="a process that read it died; the same command with fewer --workers goes on"):
        prepare("nw_ucla", source, tmp_path / "store", workers=2)


def test_the_command_says_that_it_goes_on(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from masksem_graph.cli import main

    arguments = ["prepare", "nw_ucla", str(source), "--output", str(tmp_path / "store")]
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stopped:
        interrupted(patch, 3, KeyboardInterrupt())
        main(arguments)
    assert stopped.value.code == 130
    assert "stopped; the same command goes on from there" in capsys.readouterr().err
    main(arguments)
    assert "8 clips in" in (said := capsys.readouterr().err)
    assert "3 of them from an interrupted run" in said
