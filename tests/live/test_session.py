"""A session skips what it cannot use, and answers the latest window when frames wait."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import numpy as np

from masksem_graph.live.recogniser import Answer, Recogniser
from masksem_graph.live.session import TOLD, Session
from masksem_graph.live.window import Frame
from tests.live.conftest import MakeRun, walk


class Noted:
    def __init__(self) -> None:
        self.frames: list[float] = []
        self.answers: list[Answer] = []
        self.problems: list[str] = []

    def show(self, frame: Frame | None, answer: Answer | None, latency: float) -> None:
        self.frames += [frame.time] if frame else []
        self.answers += [answer] if answer else []
        assert 0 < latency < 60

    def complain(self, problem: str) -> None:
        self.problems.append(problem)


def sent(frames: np.ndarray) -> list[bytes]:
    return [json.dumps({"t": i / 30, "bodies": [{"joints": body.tolist()}]}).encode() for i, body in enumerate(frames)]


def run(one: Recogniser, lines: list[bytes], together: int) -> tuple[Session, Noted]:
    noted = Noted()
    session = Session(one, [noted])
    arrived = [(line, time.perf_counter()) for line in lines]
    session.run([arrived[i : i + together] for i in range(0, len(arrived), together)])
    return session, noted


def test_the_same_answers_however_lines_arrive(make_run: MakeRun) -> None:
    folder, lines = make_run(), sent(walk(90))
    answers = {}
    for together in (1, 3, 45):
        session, noted = run(Recogniser(folder, window=1), lines, together)
        answers[together] = {answer.time: answer.top() for answer in noted.answers}
        counts = session.recogniser.counts
        # Windows end at frames 29, 32, ..., 89: 21 of them.
        assert counts["windows"] + counts["skipped"] == 21 and len(answers[together]) == counts["windows"]
    assert len(answers[1]) == 21 and list(answers[45]) == [44 / 30, 89 / 30]
    assert all(answers[1][at] == top for together in (3, 45) for at, top in answers[together].items())


def test_lines_that_are_no_frames(make_run: MakeRun) -> None:
    lines = sent(walk(60))
    lines[10:10] = [b"{", lines[3], b'{"t": 0.331, "bodies": [{"joints": [[1, 2, 3]]}]}', *[b"no"] * 9]
    session, noted = run(Recogniser(make_run(), window=1), lines, 1)
    assert session.malformed == 12 and len(noted.problems) == TOLD and len(noted.answers) == 11
    assert noted.problems[0].startswith("line 11: frame: not whole JSON")
    assert noted.problems[1].startswith("line 12: t: expected more than 0.3")
    assert noted.problems[2].startswith("line 13: joints: expected [20, 3], found [1, 3]")
    summary = "\n".join(session.summary())
    assert "60 frames in" in summary and "12 malformed lines" in summary and "11 windows answered, 0 of them" in summary


def test_no_window_was_full(make_run: MakeRun) -> None:
    session, noted = run(Recogniser(make_run(), window=2), sent(walk(59)), 1)
    assert not noted.answers and "no window was full: expected 2 s of frames, see --window" in session.summary()


def test_ctrl_c_ends_it(make_run: MakeRun) -> None:
    def interrupted() -> Iterator[list[tuple[bytes, float]]]:
        yield [(line, time.perf_counter()) for line in sent(walk(30))]
        raise KeyboardInterrupt

    noted = Noted()
    session = Session(Recogniser(make_run(), window=1), [noted])
    session.run(interrupted())
    assert len(noted.answers) == 1 and "1 windows answered" in session.summary()[1]
