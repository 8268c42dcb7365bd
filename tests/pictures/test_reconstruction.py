"""Reconstructions: the truth is the target's, predictions stand at hidden nodes, the error is the loss's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.errors import InputError
from masksem_graph.methods.ha_cm import InPoincareBall
from masksem_graph.pictures.clip import ShownClip, show_clip
from masksem_graph.pictures.reconstruction import moving_joints, reconstruct, reconstruction_pictures
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.targets import Coordinates, VelocityAcceleration
from masksem_graph.tasks.pretrain import Pretrain, RandomNumbers
from masksem_graph.topology import load_topology

Make = Callable[..., Pretrain]


def test_truth_in_the_clips_own_units(make_task: Make, one: ShownClip) -> None:
    velocity, acceleration = reconstruct(make_task(), one)
    assert (velocity.name, velocity.unit, acceleration.unit) == ("velocity", "metres/frame", "metres/frame²")
    # Joint v moves v cm a frame along x, but for the first and the last resized frame, where there is no next.
    np.testing.assert_allclose(velocity.true[0, 1:-1, :, 0], np.tile(0.01 * np.arange(5), (10, 1)), atol=1e-5)
    np.testing.assert_allclose(velocity.true[0, :, :, 1:], 0, atol=1e-6)
    (fast, _) = reconstruct(make_task(), replace(one, rate=30.0))
    assert fast.unit == "metres/s"
    np.testing.assert_allclose(fast.true, 30 * velocity.true, atol=1e-5)


def test_differences_taken_before_the_resize(make_task: Make, source: SkeletonLoader) -> None:
    own = SkeletonLoader(source.store, frames=source.frames, segment=source.segment, derivatives=True)
    clip = show_clip(own, 0, topology=load_topology("tiny5"))
    task = make_task(target=VelocityAcceleration(differentiate="before_resize"))
    np.testing.assert_allclose(reconstruct(task, clip)[0].true[0, :-1, 3, 0], 0.03, atol=1e-5)


def test_predictions_stand_at_hidden_nodes(make_task: Make, two: ShownClip) -> None:
    for target in reconstruct(make_task(mask_ratio=0.7), two):
        assert target.hidden.sum((1, 2)).tolist() == [21, 21]
        at_frames = target.hidden.repeat(2, axis=1)
        np.testing.assert_array_equal(np.isfinite(target.predicted).all(-1), at_frames)
        assert target.shared


@torch.no_grad()
def test_the_error_is_that_of_the_loss(make_task: Make, two: ShownClip) -> None:
    task = make_task(heads="separate", weighting="uniform")
    uniform = torch.rand(2, 30, generator=keyed_generator(0, Purpose.PICTURE_MASKS))
    parts = task(two.batch, RandomNumbers(uniform))
    for target in reconstruct(task, two, seed=0):
        assert target.error == pytest.approx(float(parts[target.name]), rel=1e-5) and not target.shared
        assert 0 < target.nothing <= 5 / 6 + 1e-6, "unbiased variance of 6 numbers: (n - 1) / n"


def test_a_decoder_that_says_zero_draws_the_true_mean(make_task: Make, two: ShownClip) -> None:
    task = make_task()
    torch.nn.init.zeros_(task.decoder.predict["shared"].weight)
    (velocity, _) = reconstruct(task, two)
    assert velocity.error == pytest.approx(velocity.nothing)
    by_node = velocity.true.reshape(2, 6, 2, 5, 3).mean((2, 4))
    said = velocity.predicted.reshape(2, 6, 2, 5, 3)[:, :, 0, :, 0]
    np.testing.assert_allclose(said[velocity.hidden], by_node[velocity.hidden], atol=1e-6)
    (standardised, _) = reconstruct(task, two, standardised=True)
    assert standardised.unit == "standardised" and np.nanmax(np.abs(standardised.predicted)) == 0


def test_other_targets(make_task: Make, one: ShownClip) -> None:
    (places,) = reconstruct(make_task(target=Coordinates()), one)
    assert (places.name, places.unit, places.shared) == ("coordinates", "metres", False)
    np.testing.assert_allclose(places.true, one.coordinates, atol=1e-6)
    ball = InPoincareBall(target=VelocityAcceleration(beta=0.0))
    assert reconstruct(make_task(target=ball), one)[0].unit == "in the Poincaré ball"


def test_which_joints(make_task: Make, one: ShownClip, two: ShownClip) -> None:
    assert moving_joints(one) == ["foot", "right_hand", "left_hand", "head"]
    found = reconstruct(make_task(), one)
    (picture, _) = reconstruction_pictures(one, found, ["head", "foot"])
    assert [axes.get_ylabel() for axes in picture.figure.axes[::3]] == ["head\n(metres/frame)", "foot\n(metres/frame)"]
    names = [p.name for p in reconstruction_pictures(two, reconstruct(make_task(), two), ["hip"])]
    assert names == [f"reconstruction_{target}_body{b}" for b in (1, 2) for target in ("velocity", "acceleration")]
    with pytest.raises(InputError, match="--joints: tiny5 has no joint called 'tail'"):
        reconstruction_pictures(one, found, ["tail"])


def test_rows_share_a_scale_unless_told_otherwise(make_task: Make, one: ShownClip) -> None:
    found = reconstruct(make_task(), one)[:1]
    limits = []
    for shared in (True, False):
        (picture,) = reconstruction_pictures(one, found, ["head", "foot"], shared=shared)
        limits.append({axes.get_ylim() for axes in picture.figure.axes[:6]})
        assert ("one scale for all joints" in picture.figure.get_suptitle()) == shared
    assert (len(limits[0]), len(limits[1])) == (1, 2)
