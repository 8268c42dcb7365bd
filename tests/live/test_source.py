"""Files, pipes and datagrams as lines; what waits is bounded."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

import masksem_graph.live.source as source
from masksem_graph.errors import InputError
from masksem_graph.live.source import LONGEST, WAITING, open_source


def lines(found: list[list[tuple[bytes, float]]]) -> list[bytes]:
    return [line for some in found for line, _ in some]


def test_a_file_comes_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_bytes(b"a\n\n  \r\nb\nc")
    assert [[line for line, _ in some] for some in open_source(str(path))] == [[b"a\n"], [b"b\n"], [b"c"]]


def test_a_line_without_end_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_bytes(b"x" * (LONGEST + 10) + b"\ny\n")
    assert [len(line) for line in lines(list(open_source(str(path))))] == [LONGEST, 11, 2]


def test_a_pipe_makes_its_sender_wait(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    if not os.fork():  # the sender
        with path.open("wb", buffering=0) as pipe:
            for i in range(3000):
                pipe.write(b"%04d" % i + b" " * 200 + b"\n")
        os._exit(0)
    found = []
    for some in open_source(str(path)):
        assert len(some) <= WAITING + 1
        found += some
        time.sleep(0.01)
    os.wait()
    assert [int(line) for line, _ in found] == list(range(3000))


def test_datagrams_that_nobody_takes_are_lost_oldest_first() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arriving = open_source(f"udp://127.0.0.1:{port}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"first\nsecond\n\n", ("127.0.0.1", port))
        begin = lines([next(arriving)])
        begin += [] if len(begin) == 2 else lines([next(arriving)])
        for i in range(WAITING + 200):
            sender.sendto(b"%d" % i, ("127.0.0.1", port))
            time.sleep(0.0005)
        time.sleep(0.2)
        rest = [int(line) for line in lines([next(arriving)])]
    assert begin == [b"first", b"second"]
    assert len(rest) <= WAITING + 1 and rest[-1] == WAITING + 199 and rest == sorted(rest)


def test_a_files_own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, slept = tmp_path / "frames.jsonl", []
    path.write_text('{"t": 10}\n{"t": 10.5}\nno\n{"t": 10.6}\n{"t": 900}\n{"t": 900.25}\n')
    clock = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(source.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(source.time, "sleep", sleep)
    assert len(list(source._paced(iter(path.read_bytes().splitlines())))) == 6
    assert slept == pytest.approx([0, 0.5, 0.1, 0, 0.25])


def test_a_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="--input: -: standard input is closed"):
        open_source("-")


@pytest.mark.parametrize("named", ["none.jsonl", ".", "udp://127.0.0.1", "udp://:70000", "udp://192.0.2.1:9"])
def test_what_cannot_be_read(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"--input: {named}: "):
        open_source(named)
