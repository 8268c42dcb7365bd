"""A picture with a name: still, or moving; how it is written, and shown in a window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from masksem_graph.errors import InputError
from masksem_graph.files import write_beside
from masksem_graph.report.figures import save_figure

FRAMES_A_SECOND = 10
MOST_FRAMES = 48
"""A longer clip is shown in steps: a GIF of more frames takes longer to draw than to look at."""


@dataclass(frozen=True)
class Animation:
    """What moves in a figure: ``update`` draws each of ``frames`` in turn."""

    frames: Sequence[int]
    update: Callable[[int], None]


@dataclass(frozen=True)
class Picture:
    """A figure, the name of its files without ending, and where it moves, how."""

    name: str
    figure: Figure
    motion: Animation | None = None


def shown_frames(frames: int) -> list[int]:
    """The frames of a clip that an animation shows: all, or as many as `MOST_FRAMES`, evenly spaced."""
    return list(range(0, frames, -(-frames // MOST_FRAMES)))


def write_pictures(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Write PNG and SVG of what stands still, and a GIF of what moves; returns the files."""
    written = []
    for picture in pictures:
        if picture.motion is None:
            written += save_figure(picture.figure, folder / picture.name)
        else:
            written.append(folder / f"{picture.name}.gif")
            _write_gif(picture.figure, picture.motion, written[-1])
    return written


def _write_gif(figure: Figure, motion: Animation, path: Path) -> None:
    FigureCanvasAgg(figure)
    with write_beside(path) as partial, TemporaryDirectory() as folder:
        motion.update(motion.frames[0])  # a fault in a drawing shows here; Pillow's writer would hide it behind one of its own
        animation = FuncAnimation(figure, motion.update, frames=motion.frames, init_func=lambda: [], cache_frame_data=False)
        # Pillow tells the format by the ending, which a partial file does not have.
        drawn = Path(folder) / "drawn.gif"
        animation.save(drawn, writer=PillowWriter(fps=FRAMES_A_SECOND), dpi=90)
        partial.write_bytes(drawn.read_bytes())


def require_display() -> None:
    """Raises ``InputError`` where no window can be opened; before anything is computed."""
    import matplotlib
    from matplotlib import pyplot
    from matplotlib.backends import BackendFilter, backend_registry

    try:
        pyplot.switch_backend(matplotlib.rcParams["backend"])  # which tries what is installed, in turn
        found = str(matplotlib.get_backend()).lower()
    except ImportError as error:
        found = " ".join(str(error).split())
    if found not in backend_registry.list_builtin(BackendFilter.INTERACTIVE):
        raise InputError(f"--show: found no display to open a window on (matplotlib: {found}); expected one, or no --show")


def show_pictures(pictures: Sequence[Picture]) -> None:
    """Open a window for each picture and wait until all are closed."""
    from matplotlib import pyplot

    playing = []
    for picture in pictures:
        manager = pyplot.figure(num=picture.name + (" (moving)" if picture.motion else "")).canvas.manager
        assert manager is not None
        # The window was made for an empty figure; it shows the picture's instead.
        manager.canvas.figure = picture.figure
        picture.figure.set_canvas(manager.canvas)
        if (motion := picture.motion) is not None:
            interval = 1000 // FRAMES_A_SECOND
            playing.append(FuncAnimation(picture.figure, motion.update, frames=motion.frames, interval=interval))
    pyplot.show()
