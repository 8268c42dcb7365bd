"""Lines in, answers out as lines of JSON or bars in a terminal, until the lines end or somebody stops it."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol, runtime_checkable

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from masksem_graph.errors import InputError
from masksem_graph.live.lines import parse_line, told
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
        """The latest frame, and where one was due its answer, so many seconds after the frame's arrival."""

    def complain(self, problem: str) -> None:
        """Tell of a line that could not be used."""


class Session:
    """Feeds a recogniser and tells its answers. Where lines wait, all are taken before the next answer."""

    def __init__(self, recogniser: Recogniser, outputs: Sequence[Output]) -> None:
        self.recogniser, self.outputs = recogniser, outputs
        self.lines = self.malformed = 0
        self.latencies: deque[float] = deque(maxlen=LATEST)
        self.began = time.monotonic()

    def run(self, source: Iterable[Sequence[Arrived]]) -> None:
        """Take all lines; Ctrl-C ends it early."""
        with suppress(KeyboardInterrupt):
            for arrived in source:
                self._take(arrived)

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
        if counts["frames"] and not counts["windows"]:
            window = self.recogniser.window
            lines.append(f"no window was full: expected {window.ticks / window.fps:g} s of frames, see --window")
        if self.latencies:
            p50, p99 = 1000 * np.percentile(self.latencies, [50, 99])
            lines.append(f"from a frame's arrival to the answer: median {p50:.1f} ms, p99 {p99:.1f} ms")
        return lines


class JsonLines:
    """A line of JSON for each answer; complaints go to standard error."""

    def __init__(self, top: int) -> None:
        self.top = top

    def show(self, frame: Frame | None, answer: Answer | None, latency: float) -> None:
        if answer:
            print(json.dumps(told(answer, top=self.top, latency=latency), ensure_ascii=False), flush=True)

    def complain(self, problem: str) -> None:
        print(f"skipped: {problem}", file=sys.stderr)


class Bars:
    """The likeliest classes as bars, the rate and the latency, drawn over and over in one place while it is entered."""

    def __init__(self, top: int, recogniser: Recogniser) -> None:
        self.top, self.counts = top, recogniser.counts
        self.arrivals: deque[tuple[int, float]] = deque(maxlen=60)
        self.live = Live(console=Console(), auto_refresh=False)

    def __enter__(self) -> Bars:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def show(self, frame: Frame | None, answer: Answer | None, latency: float) -> None:
        self.arrivals.append((self.counts["frames"], time.monotonic()))
        if answer is None:
            return
        (earlier, then), (count, now) = self.arrivals[0], self.arrivals[-1]
        rate = (count - earlier) / max(now - then, 1e-9)
        bars = Table.grid(padding=(0, 1))
        for name, share in answer.top(self.top):
            style = "bold" if name == answer.label else "dim"
            bars.add_row(Text(name, style), ProgressBar(total=1, completed=share, width=40), Text(f"{share:.0%}", style))
        head = Text(answer.label or "no answer", "bold" if answer.label else "yellow")
        bodies = ", ".join(map(str, answer.bodies)) or "nobody"
        foot = f"t {answer.time:.2f} s   {bodies}   {rate:.1f} frames/s   {1000 * latency:.1f} ms"
        self.live.update(Group(head, Text(answer.reason or "", "dim"), bars, Text(foot, "dim")), refresh=True)

    def complain(self, problem: str) -> None:
        self.live.console.print(f"skipped: {problem}", markup=False)
