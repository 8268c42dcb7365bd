"""Files: PNG and SVG or a GIF, the same bytes each time, nothing half-written; windows only where there is a display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from masksem_graph.errors import InputError
from masksem_graph.operators import Heat, Identity
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.masks import draw_masks, mask_pictures
from masksem_graph.pictures.operators import operator_pictures
from masksem_graph.pictures.picture import MOST_FRAMES, require_display, show_pictures, shown_frames, write_pictures
from masksem_graph.pictures.saliency import saliency_pictures, smoothing_pictures
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.topology import load_topology


def test_the_same_bytes_each_time(make_task: Callable[..., Pretrain], one: ShownClip, tmp_path: Path) -> None:
    values, task = np.random.default_rng(0).random((1, 6, 5)), make_task()
    for folder in ("first", "second"):
        pictures = [
            *saliency_pictures(one, values),
            *mask_pictures(one, {"own": draw_masks(task, one, seed=1, draws=10)}, draws=10, moving=False),
            *operator_pictures(load_topology("tiny5"), {"none": Identity(), "heat": Heat()})[1:],
            *smoothing_pictures(one, {"none": values, "heat": values**2}, moving=False),
        ]
        written = write_pictures(pictures, tmp_path / folder)
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert sorted(first) == sorted(path.name for path in written), "and nothing else lies there"
    assert {"saliency.png", "saliency.svg", "saliency.gif", "masks_skeleton.png", "smoothing_graphs.svg"} <= first.keys()
    with Image.open(tmp_path / "first" / "saliency.gif") as gif:
        assert (gif.format, gif.n_frames, gif.info["loop"], gif.info["duration"]) == ("GIF", 12, 0, 100)


def test_a_failed_drawing_leaves_the_old_one(two: ShownClip, tmp_path: Path) -> None:
    values = np.zeros((2, 6, 5))
    _, moving = saliency_pictures(two, values)
    write_pictures([moving], tmp_path)
    before = (tmp_path / "saliency.gif").read_bytes()
    assert moving.motion is not None

    def fail(frame: int) -> None:
        raise OSError("No space left on device")

    object.__setattr__(moving.motion, "update", fail)
    with pytest.raises(InputError, match=r"saliency\.gif: cannot be written: No space"):
        write_pictures([moving], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["saliency.gif"]
    assert (tmp_path / "saliency.gif").read_bytes() == before


@pytest.mark.parametrize("frames", [1, 32, 48, 49, 120, 1000])
def test_an_animation_is_never_long(frames: int) -> None:
    shown = shown_frames(frames)
    assert shown[0] == 0 and len(shown) <= MOST_FRAMES and len(set(np.diff(shown))) <= 1
    assert frames > MOST_FRAMES or len(shown) == frames


def test_no_window_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(matplotlib.rcParams, "backend", "agg")
    with pytest.raises(InputError, match="--show: found no display to open a window on") as error:
        require_display()
    assert "\n" not in str(error.value)


def test_a_window_shows_the_figure_itself(two: ShownClip, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}

    def show() -> None:
        for number in pyplot.get_fignums():
            manager = pyplot.figure(number).canvas.manager
            assert manager is not None
            manager.canvas.draw()
            shown[manager.get_window_title() or str(number)] = manager.canvas.figure

    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", show)
    pictures = saliency_pictures(two, np.zeros((2, 6, 5)))
    try:
        show_pictures(pictures)
    finally:
        pyplot.close("all")
    assert {id(figure) for figure in shown.values()} == {id(picture.figure) for picture in pictures}
