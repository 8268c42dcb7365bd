"""What the terminal shows: progress with rate and time left, and tables."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

console = Console(stderr=True)


class RateColumn(ProgressColumn):
    """Steps a second, or seconds a step where they are slow."""

    def render(self, task: Task) -> Text:
        """The rate as text."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("-- /s")
        return Text(f"{speed:.1f} /s" if speed >= 1 else f"{1 / speed:.1f} s each")


def print_whole(out: Console, shown: RenderableType) -> None:
    """Print with all columns: rich cuts off those that a narrow terminal, or a pipe, has no room for."""
    out.width = max(out.width, out.measure(shown, options=out.options.update(max_width=1000)).maximum)
    out.print(shown)


def progress_bars(*, disable: bool = False) -> Progress:
    """Progress bars with rate and time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=disable,
    )
