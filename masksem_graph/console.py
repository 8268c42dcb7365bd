"""What the terminal shows: progress with rate and time left, and tables."""

from rich import progress
from rich.console import Console, RenderableType
from rich.text import Text

console = Console(stderr=True)


class _RateColumn(progress.ProgressColumn):
    """Steps a second, or seconds a step where they are slow."""

    def render(self, task: progress.Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("-- /s")
        return Text(f"{speed:.1f} /s" if speed >= 1 else f"{1 / speed:.1f} s each")


def counted(number: int, noun: str) -> str:
    """``1 epoch``, ``2 epochs``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def print_whole(out: Console, shown: RenderableType) -> None:
    """Print with all columns: rich cuts off those that a narrow terminal, or a pipe, has no room for."""
    out.width = max(out.width, out.measure(shown, options=out.options.update(max_width=1000)).maximum)
    out.print(shown)


def progress_bars(*, disable: bool = False) -> progress.Progress:
    """Progress bars with rate and time left."""
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        _RateColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
    )
    return progress.Progress(*columns, console=console, disable=disable)
