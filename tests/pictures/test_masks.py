"""Masks in pictures: frequencies are those of the sampler, the draw that is shown is the first of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from masksem_graph.masking import Motion, Uniform
from masksem_graph.methods.ha_cm import AlternatingScores, AttentionScores, HierarchyScores
from masksem_graph.operators import Identity
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.masks import draw_masks, maps_figure, mask_pictures, strategies
from masksem_graph.pictures.tasks import semantic
from masksem_graph.saliency import GradCam
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.pretrain import Pretrain, RandomNumbers

Make = Callable[..., Pretrain]


def test_frequencies(make_task: Make, two: ShownClip) -> None:
    task = make_task(scores=Uniform(), operator=Identity(), mask_ratio=0.6)
    found = draw_masks(task, two, draws=2000)
    assert found.hidden.sum((1, 2)).tolist() == [18, 18], "of 30 nodes in each body"
    np.testing.assert_allclose(found.frequency.mean((1, 2)), 0.6, atol=1e-6)
    np.testing.assert_allclose(found.frequency, 0.6, atol=5 * (0.24 / 2000) ** 0.5)


def test_what_moves_is_hidden_more_often(make_task: Make, one: ShownClip) -> None:
    task = make_task(scores=Motion(), operator=Identity(), mask_ratio=0.5)
    frequency = draw_masks(task, one, draws=2000).frequency[0].mean(0)
    assert (np.diff(frequency) > 0).all(), "joint v moves v cm a frame"
    # Drawn one after the other without putting back: likelier by e^(1 / 0.8) for the first.
    assert frequency[4] - frequency[0] > 0.2


def test_the_seed_decides(make_task: Make, one: ShownClip) -> None:
    task = make_task()
    first, again, other = (draw_masks(task, one, seed=seed, draws=50) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.hidden, again.hidden)
    np.testing.assert_array_equal(first.frequency, again.frequency)
    assert (first.hidden != other.hidden).any()
    np.testing.assert_array_equal(draw_masks(task, one, seed=3, draws=1).frequency, first.hidden, "the first of the draws")


def test_the_draw_is_that_of_the_task(make_task: Make, one: ShownClip) -> None:
    task = make_task()
    uniform = torch.rand(1, 30, generator=keyed_generator(5, Purpose.PICTURE_MASKS))
    masked = task.draw(one.batch, RandomNumbers(uniform)).mask.masked
    assert np.flatnonzero(draw_masks(task, one, seed=5, draws=1).hidden).tolist() == masked[0].tolist()


@pytest.mark.parametrize(
    ("scores", "names"),
    [
        (GradCam(), ["semantic (Grad-CAM), this run's", "motion", "uniform"]),
        (Motion(), ["motion, this run's", "semantic (Grad-CAM)", "uniform"]),
        (Uniform(), ["uniform, this run's", "semantic (Grad-CAM)", "motion"]),
    ],
)
def test_the_runs_own_strategy_comes_first(make_task: Make, scores: object, names: list[str]) -> None:
    task = make_task(scores=scores)
    assert list(strategies(task, semantic(task, lambda: torch.ones(task.reference().shape)))) == names


def test_an_encoder_alone_claims_no_strategy(make_task: Make) -> None:
    task = make_task()
    assert list(strategies(task, task, known=False)) == ["semantic (Grad-CAM)", "motion", "uniform"]


def test_ha_cm_beside_the_others(make_task: Make, one: ShownClip) -> None:
    scores = AlternatingScores(even=AttentionScores(), odd=HierarchyScores())
    task = make_task(scores=scores, operator=Identity(), select="keep", sampling="halves")
    chosen = strategies(task, semantic(task, lambda: torch.ones(task.reference().shape)))
    assert list(chosen) == ["AlternatingScores, this run's", "semantic (Grad-CAM)", "motion", "uniform"]
    assert chosen["motion"].config.select == "mask"
    for other in chosen.values():
        assert 0 < draw_masks(other, one, draws=3).frequency.mean() < 1


def test_a_picture_for_each_body(make_task: Make, one: ShownClip, two: ShownClip) -> None:
    task = make_task(scores=Uniform(), operator=Identity())
    for clip, names in ((one, ["masks"]), (two, ["masks_body1", "masks_body2"])):
        pictures = mask_pictures(clip, {"uniform": draw_masks(task, clip, draws=5)}, draws=5)
        assert [p.name for p in pictures] == [*names, "masks_skeleton", "masks_skeleton"]
        assert [p.motion is None for p in pictures] == [*(True for _ in names), True, False]


def test_units_and_legends(make_task: Make, one: ShownClip) -> None:
    task = make_task(scores=Uniform(), operator=Identity())
    figure = maps_figure(one, {"uniform": draw_masks(task, one, draws=5)}, draws=5, body=0)
    labels = {axes.get_ylabel() for axes in figure.axes} | {axes.get_xlabel() for axes in figure.axes}
    assert {"mean speed (metres/frame)", "hidden, share of 5 draws", "hidden, mean share"} <= labels
    found = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    legends = [text.get_text() for legend in found for text in legend.get_texts()]
    assert {"hidden", "seen", "uniform"} <= set(legends)


def test_bodies_share_their_scales_and_the_legend_is_clear(make_task: Make, two: ShownClip) -> None:
    task = make_task(scores=Uniform(), operator=Identity())
    found = {"uniform": draw_masks(task, two, draws=20)}
    figures = [maps_figure(two, found, draws=20, body=body) for body in (0, 1)]
    scales = [[(shown.norm.vmin, shown.norm.vmax) for axes in figure.axes for shown in axes.images] for figure in figures]
    assert scales[0] == scales[1]
    FigureCanvasAgg(figures[0])
    figures[0].draw_without_rendering()
    (legend,) = figures[0].legends
    profiles = next(axes for axes in figures[0].axes if axes.get_xlabel() == "hidden, mean share")
    assert legend.get_window_extent().y1 <= profiles.xaxis.label.get_window_extent().y0
