"""``masksem-graph live``: lines in, lines out, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from masksem_graph.cli import main
from tests.live.conftest import MakeRun, make_run, walk

__all__ = ["make_run"]


def frames(path: Path, count: int) -> Path:
    text = [json.dumps({"t": i / 30, "bodies": [{"joints": body.tolist()}]}) for i, body in enumerate(walk(count))]
    path.write_text("\n".join([*text[:5], "no frame", *text[5:]]))
    return path


def test_a_file(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = frames(tmp_path / "frames.jsonl", 60)
    main(["live", str(make_run()), "--input", str(path), "--window", "1", "--stride", "0.5", "--top", "2"])
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["t"] for answer in answers] == pytest.approx([29 / 30, 44 / 30, 59 / 30], abs=1e-5)
    assert all(answer["label"] == answer["top"][0]["class"] and len(answer["top"]) == 2 for answer in answers)
    assert "skipped: line 6: frame: not whole JSON" in err and "1 malformed lines" in err and "3 windows answered" in err


def test_datagrams_until_ctrl_c(make_run: MakeRun, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "masksem_graph", "live", str(make_run()), "--input", f"udp://127.0.0.1:{port}"]
    command += ["--window", "1", "--serve", "0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    assert running.stderr is not None and running.stdout is not None
    assert any("look at http://127.0.0.1:" in line for line in running.stderr)  # a library may say something before
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for line in frames(tmp_path / "frames.jsonl", 31).read_bytes().splitlines():
            sender.sendto(line, ("127.0.0.1", port))
    assert json.loads(running.stdout.readline())["label"]
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0 and "1 malformed lines" in err and "Traceback" not in err


def test_a_silent_pipe_until_ctrl_c(make_run: MakeRun, tmp_path: Path) -> None:
    """The sender keeps the pipe open, so the reader still waits in it when Python ends."""
    command = [sys.executable, "-m", "masksem_graph", "live", str(make_run()), "--window", "1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ}) as running:
        assert running.stdin is not None and running.stdout is not None and running.stderr is not None
        running.stdin.write(frames(tmp_path / "frames.jsonl", 31).read_bytes() + b"\n")
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["label"]
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 0
        err = running.stderr.read().decode()
    assert "1 malformed lines" in err and "Fatal" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "none.jsonl"], "--input: none.jsonl: no such file; expected -, a file of JSON lines, or udp://HOST:PORT"),
        (["--window", "0"], "window: expected more than 0"),
        (["--top", "0"], "--top: expected at least 1"),
        (["--missing", "guess"], "missing"),
        (["--serve", "70000"], "--serve: 127.0.0.1:70000 cannot be had"),
    ],
)
def test_mistakes_are_one_line(
    make_run: MakeRun, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["live", str(make_run()), "--input", os.devnull, *arguments])
    assert message in capsys.readouterr().err


def test_a_file_of_another_skeleton_is_an_error(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lines := tmp_path / "a.jsonl").write_text('{"t": 0.0, "bodies": [{"joints": [[0, 0, 0]]}]}\n' * 3)
    with pytest.raises(SystemExit, match="2"):
        main(["live", str(make_run()), "--input", str(lines)])
    told = capsys.readouterr().err
    assert f"error: --input: {lines}: none of its 3 lines is a frame of this run's skeleton" in told and "--window" not in told
