"""Saliency in pictures: the task's own scores, smoothed as they are for masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from masksem_graph.errors import InputError
from masksem_graph.masking import Motion
from masksem_graph.operators import Adjacency, PartAverage
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.operators import SIDE_BY_SIDE
from masksem_graph.pictures.saliency import raw_saliency, saliency, saliency_figure
from masksem_graph.pictures.smoothing import before_and_after, smoothed
from masksem_graph.pictures.tasks import semantic
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
    features = task.teacher.features(two.batch.coordinates)
    reference = task.teacher.features(task.reference[None])
    eta = gradcam(features, reference, two.batch.sequence, 1).view(2, 6, 5)
    torch.testing.assert_close(raw_saliency(task, two), eta)
    after = Adjacency(topology=TINY, segments=6)(eta).numpy()
    np.testing.assert_allclose(saliency(task, two), after / after.max(), rtol=1e-5)


def test_a_task_without_semantic_scores_gets_grad_cam(make_task: Make, one: ShownClip) -> None:
    task = make_task(scores=Motion())
    given = torch.randn(task.reference.shape)
    other = semantic(task, lambda: given)
    assert torch.equal(other.reference, given) and other.student is task.student and other.teacher is not None
    assert raw_saliency(other, one).isfinite().all()
    own = make_task()
    assert semantic(own, no_reference) is own


def test_released_scores_are_clipped_after_smoothing(make_task: Make, one: ShownClip) -> None:
    task = make_task(scores=ReleasedGradCam(), operator=PartAverage)
    values = before_and_after(task, raw_saliency(task, one))
    assert list(values) == ["none", "PartAverage"]
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
