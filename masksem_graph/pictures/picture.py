"""A picture with a name: still, or moving, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from masksem_graph.files import write_beside
from masksem_graph.report.figures import save_figure

FRAMES_A_SECOND = 10
MOST_FRAMES = 48
"""A longer clip is shown in steps: a GIF of more frames takes longer to draw than to look at."""


@dataclass(frozen=True)
class Animation:
    """What moves in a figure.

    Args:
        frames: which frames are shown, in turn.
        update: draws one of them.
    """

    frames: Sequence[int]
    update: Callable[[int], None]


@dataclass(frozen=True)
class Picture:
    """A figure and the name of its files.

    Args:
        name: of the files, without ending.
        figure: what is drawn.
        motion: where it moves.
    """

    name: str
    figure: Figure
    motion: Animation | None = None


def shown_frames(frames: int) -> list[int]:
    """The frames of a clip that an animation shows: all, or as many as `MOST_FRAMES`, evenly spaced."""
    return list(range(0, frames, -(-frames // MOST_FRAMES)))


def write_pictures(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Write PNG and SVG of what stands still, and a GIF of what moves.

    Returns:
        the files.
    """
    written = []
    for picture in pictures:
        path = folder / picture.name
        if picture.motion is None:
            save_figure(picture.figure, path)
            written += [path.with_name(f"{path.name}.{ending}") for ending in ("png", "svg")]
        else:
            written.append(_write_gif(picture.figure, picture.motion, path.with_name(f"{path.name}.gif")))
    return written


def _write_gif(figure: Figure, motion: Animation, path: Path) -> Path:
    FigureCanvasAgg(figure)
    motion.update(motion.frames[0])  # a fault in a drawing shows here; Pillow's writer would hide it behind one of its own
    animation = FuncAnimation(figure, motion.update, frames=motion.frames, init_func=lambda: [], cache_frame_data=False)
    with write_beside(path) as partial, TemporaryDirectory() as folder:
        # Pillow tells the format by the ending, which a partial file does not have.
        drawn = Path(folder) / "drawn.gif"
        animation.save(drawn, writer=PillowWriter(fps=FRAMES_A_SECOND), dpi=90)
        partial.write_bytes(drawn.read_bytes())
    return path
