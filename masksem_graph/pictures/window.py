"""Pictures in windows, where there is a display."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.animation import FuncAnimation

from masksem_graph.errors import InputError
from masksem_graph.pictures.picture import FRAMES_A_SECOND, Picture


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
        window = pyplot.figure(num=picture.name + (" (moving)" if picture.motion else ""))
        manager = window.canvas.manager
        assert manager is not None
        # The window was made for an empty figure; it shows the picture's instead.
        manager.canvas.figure = picture.figure
        picture.figure.set_canvas(manager.canvas)
        if picture.motion is not None:
            interval = round(1000 / FRAMES_A_SECOND)
            motion = picture.motion
            playing.append(FuncAnimation(picture.figure, motion.update, frames=motion.frames, interval=interval))
    pyplot.show()
