"""Saliency in pictures: the task's own scores, smoothed as they are for masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from masksem_graph.errors import InputError
from masksem_graph.masking import Motion
from masksem_graph.operators import Adjacency, PartAverage
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.operators import SIDE_BY_SIDE
from masksem_graph.pictures.saliency import (
    before_and_after,
    raw_saliency,
    saliency,
    saliency_figure,
    saliency_pictures,
    smoothed,
    smoothing_pictures,
)
from masksem_graph.pictures.tasks import operator_name, semantic
from masksem_graph.report.skeleton import LINK
from masksem_graph.saliency import ReleasedGradCam, gradcam
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.topology import load_topology

TINY = load_topology("tiny5")
Make = Callable[..., Pretrain]


def no_reference() -> torch.Tensor:
    raise AssertionError("the task has one")


@torch.no_grad()
def test_the_scores_of_the_task(make_task: Make, two: ShownClip) -> None:
    task = make_task()
    assert task.teacher is not None
    features = task.teacher.features(two.batch.frames)
    reference = task.teacher.features(task.reference()[None])
    eta = gradcam(features, reference, two.batch.sequence, 1).view(2, 6, 5)
    torch.testing.assert_close(raw_saliency(task, two), eta)
    after = Adjacency()(eta, two.batch).numpy()
    np.testing.assert_allclose(saliency(task, two), after / after.max(), rtol=1e-5)


def test_a_task_without_semantic_scores_gets_grad_cam(make_task: Make, one: ShownClip) -> None:
    task = make_task(scores=Motion())
    given = torch.randn(task.reference().shape)
    other = semantic(task, lambda: given)
    assert torch.equal(other.reference(), given) and other.student is task.student and other.teacher is not None
    assert raw_saliency(other, one).isfinite().all()
    own = make_task()
    assert semantic(own, no_reference) is own


def test_released_scores_are_clipped_after_smoothing(make_task: Make, one: ShownClip) -> None:
    task = make_task(scores=ReleasedGradCam(), operator=PartAverage())
    values = before_and_after(task, raw_saliency(task, one), one)
    assert list(values) == ["none", "PartAverage"] and operator_name(task.operator) == "PartAverage"
    assert all(found.max() <= 1 for found in values.values())


def test_operators_of_a_topology_that_lists_joints_otherwise() -> None:
    eta = torch.rand(1, 6, 5)
    turned = replace(TINY, joints=TINY.joints[::-1], inputs=())
    found = [smoothed(eta, TINY.joints, topology, SIDE_BY_SIDE, lambda x: x) for topology in (TINY, turned)]
    for name in SIDE_BY_SIDE:
        np.testing.assert_allclose(found[0][name], found[1][name], atol=1e-6)
    np.testing.assert_allclose(found[0]["none"][0], (eta[0] / eta.max()).numpy(), rtol=1e-6)


def test_a_topology_that_does_not_fit(one: ShownClip) -> None:
    with pytest.raises(InputError, match="--topology: kinect20 does not fit the run: 'foot' is a joint of only one of them"):
        smoothed(torch.rand(1, 6, 5), TINY.joints, load_topology("kinect20"), SIDE_BY_SIDE, lambda x: x)


def test_a_map_for_each_body_with_names_and_units(two: ShownClip) -> None:
    values = np.random.default_rng(0).random((2, 6, 5))
    figure = saliency_figure(two, values)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 2
    for body, axes in enumerate(maps):
        np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), values[body].T, "tiny5 is in part order")
        assert [text.get_text() for text in axes.get_yticklabels()] == ["hip", "head", "left hand", "right hand", "foot"]
        assert axes.get_xlabel() == "segment (4.0 frames each)" and axes.get_ylabel() == f"body {body + 1}"
        assert axes.child_axes[0].get_xlabel() == "frame of the clip"
    assert "share of the clip's largest" in figure.axes[-1].get_ylabel()


def test_a_strip_says_that_segments_are_left_out(two: ShownClip) -> None:
    for width, told in ((0.1, set()), (9, {"3 of 6 segments are drawn"})):
        clip = replace(two, coordinates=(two.coordinates * (width, 1, 1)).astype(np.float32))
        strip = saliency_figure(clip, np.zeros((2, 6, 5))).axes[0]
        texts = [text.get_text() for text in strip.texts]
        assert sum(text.startswith("segment ") for text in texts) == (3 if told else 6)
        assert {text for text in texts if "of" in text} == told


def test_the_operator_is_named(make_task: Make, one: ShownClip) -> None:
    task = make_task(operator=Adjacency(hops=2))
    still, moving = saliency_pictures(one, saliency(task, one), smoothing=operator_name(task.operator))
    assert still.figure.axes[0].get_title() == "one: go_right\nsmoothed by Adjacency, hops 2"
    assert "smoothed by Adjacency, hops 2" in [axes.get_title() for axes in moving.figure.axes]


def test_rows_share_a_scale_where_asked() -> None:
    eta = torch.rand(1, 6, 5)
    own, shared = (smoothed(eta, TINY.joints, TINY, SIDE_BY_SIDE, lambda x: x, shared=how) for how in (False, True))
    assert all(values.max() == pytest.approx(1) for values in own.values())
    assert max(values.max() for values in shared.values()) == pytest.approx(1)
    assert shared["body parts"].max() < shared["none"].max()
    factor = shared["none"].max()
    np.testing.assert_allclose(shared["none"], own["none"] * factor, rtol=1e-5)


def test_both_bodies_and_the_named_topology_are_shown(two: ShownClip) -> None:
    link = ("foot", "left_hand")
    other = replace(TINY, name="other$", bones=(*TINY.bones, link))
    values = {"none": np.ones((2, 6, 5)), "heat": np.ones((2, 6, 5))}
    still, moving = smoothing_pictures(two, values, topology=other)
    maps = [axes for axes in still.figure.axes if axes.images]
    assert len(maps) == 4 and [axes.get_title() for axes in maps[:2]] == ["body 1", "body 2"]
    assert "other\\$: 5 joints, 5 bones, 1 of them not in the run's" in still.figure.get_suptitle()
    strip = next(axes for axes in still.figure.axes if any(text.get_text() == "body 2" for text in axes.texts))
    blue = [c for c in strip.collections if isinstance(c, LineCollection) and to_hex(c.get_color()[0]) == LINK.lower()]
    assert blue and all(len(c.get_segments()) == 1 for c in blue)
    assert moving.motion is not None
    for frame in moving.motion.frames[:2]:
        moving.motion.update(frame)
        assert [text.get_text() for text in moving.figure.axes[0].texts] == ["body 1", "body 2"]
