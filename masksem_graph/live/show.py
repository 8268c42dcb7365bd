"""Answers on standard output: lines of JSON, or bars in a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections import deque

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from masksem_graph.live.lines import told
from masksem_graph.live.recogniser import Answer, Recogniser
from masksem_graph.live.window import Frame


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
    """The likeliest classes as bars, the rate and the latency, drawn over and over in one place."""

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
