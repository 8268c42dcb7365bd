"""Lines in, answers out, until the lines end or somebody stops it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from masksem_graph.errors import InputError
from masksem_graph.live.lines import parse_line
from masksem_graph.live.recogniser import Answer, Recogniser
from masksem_graph.live.source import Arrived
from masksem_graph.live.window import Frame

LATEST = 10_000
"""Answers whose latency is remembered."""
TOLD = 5
"""Malformed lines that are told one by one."""


@runtime_checkable
class Output(Protocol):
    """Who is told of answers."""

    def show(self, frame: Frame | None, answer: Answer | None, latency: float) -> None:
        """The latest frame, with an answer where one was due.

        Args:
            frame: None before the first.
            answer: of the window that ends with it.
            latency: of the answer, in seconds from the frame's arrival.
        """

    def complain(self, problem: str) -> None:
        """Tell of a line that could not be used."""


class Session:
    """Feeds a recogniser and tells its answers. Where lines wait, all are taken before the next answer.

    Args:
        recogniser: a stream's.
        outputs: who is told.

    Attributes:
        malformed: lines that could not be used.
    """

    def __init__(self, recogniser: Recogniser, outputs: Sequence[Output]) -> None:
        self.recogniser, self.outputs = recogniser, outputs
        self.lines = self.malformed = 0
        self.latencies: deque[float] = deque(maxlen=LATEST)
        self.reasons: Counter[str] = Counter()
        self.began = time.monotonic()

    def run(self, source: Iterable[Sequence[Arrived]]) -> None:
        """Take all lines; Ctrl-C ends it early."""
        try:
            for arrived in source:
                self._take(arrived)
        except KeyboardInterrupt:
            pass

    def _take(self, arrived: Sequence[Arrived]) -> None:
        latest = None
        for line, at in arrived:
            self.lines += 1
            try:
                self.recogniser.add(*parse_line(line))
                latest = at
            except InputError as error:
                self.malformed += 1
                if self.malformed <= TOLD:
                    for output in self.outputs:
                        output.complain(f"line {self.lines}: {error}")
        if latest is None:
            return
        answer, latency = (self.recogniser.answer() if self.recogniser.due else None), time.perf_counter() - latest
        if answer:
            self.latencies.append(latency)
        frames = self.recogniser.window.frames
        for output in self.outputs:
            output.show(frames[-1] if frames else None, answer, latency)

    def summary(self) -> list[str]:
        """What happened, a line each."""
        counts, seconds = self.recogniser.counts, time.monotonic() - self.began
        answered = counts["windows"] - counts["unanswered"]
        lines = [
            f"{counts['frames']:,} frames in {seconds:.1f} s, {counts['frames'] / max(seconds, 1e-9):.1f} a second; "
            f"{self.malformed:,} malformed lines",
            f"{answered:,} windows answered, {counts['rejected']:,} of them below --reject and {counts['filled']:,} with "
            f"joints filled in; {counts['unanswered']:,} without an answer; {counts['skipped']:,} overtaken by newer frames",
        ]
        if not counts["windows"]:
            window = self.recogniser.window
            lines.append(f"no window was full: expected {window.ticks / window.fps:g} s of frames, see --window")
        if self.latencies:
            p50, p99 = 1000 * np.percentile(self.latencies, [50, 99])
            lines.append(f"from a frame's arrival to the answer: median {p50:.1f} ms, p99 {p99:.1f} ms")
        return lines
