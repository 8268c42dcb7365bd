"""Training outlives its pictures: a kind that fails is one line, the others are drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.pictures import after
from masksem_graph.tasks.pretrain import Pretrain


@pytest.fixture
def draw(make_task: Callable[..., Pretrain], source: SkeletonLoader, tmp_path: Path) -> Callable[[], set[str]]:
    def run() -> set[str]:
        files = after.draw_training(make_task(), source, train=torch.tensor([0]), clip=1, folder=tmp_path)
        assert {path.name for path in files} == {path.name for path in tmp_path.iterdir()}
        return {path.stem for path in files}

    return run


def test_a_kind_that_fails_is_one_line(
    draw: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("odd\nclip")

    monkeypatch.setattr(after.masks, "draw_masks", fail)
    targets = {f"reconstruction_{target}_body{body}" for target in ("velocity", "acceleration") for body in (1, 2)}
    assert draw() == {"saliency", "smoothing_saliency"} | targets
    assert capsys.readouterr().err == "masks: not drawn: ValueError: odd clip\n"


def test_a_clip_that_cannot_be_shown_is_one_line(
    draw: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(after, "show_clip", lambda *_, **__: 1 / 0)
    assert draw() == set()
    assert capsys.readouterr().err == "pictures of a clip: not drawn: ZeroDivisionError: division by zero\n"
