"""A clip as pictures show it: joints where they are, whatever the networks see, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.pictures.clip import ShownClip, show_clip
from masksem_graph.pictures.masks import speed
from masksem_graph.topology import load_topology

TINY = load_topology("tiny5")


def test_moments(one: ShownClip) -> None:
    # 24 frames as 12: the first of these lies between frames 0 and 1.
    assert (one.frames, one.segments, one.length) == (12, 6, 24)
    assert one.time(0) == pytest.approx(0.5) and one.time(11) == pytest.approx(22.5)
    timed = replace(one, rate=12.0)
    assert timed.time(-0.5) == 0 and timed.time(11.5) == pytest.approx(2.0), "from the start to the end, in seconds"
    assert (one.clock, timed.clock) == ("frame of the clip", "time (s)")
    assert one.title == "one: go_right"


def test_speed_by_hand(one: ShownClip) -> None:
    expected = np.tile(0.01 * np.arange(5), (6, 1))
    np.testing.assert_allclose(speed(one, one.coordinates)[0], expected, atol=1e-6)
    np.testing.assert_allclose(speed(replace(one, rate=30.0), one.coordinates)[0], 30 * expected, atol=1e-5)


def test_the_body_is_drawn_whatever_the_stream(source: SkeletonLoader, one: ShownClip) -> None:
    bones = SkeletonLoader(source.store, frames=source.frames, segment=source.segment, stream="bone")
    shown = show_clip(bones, 0, topology=TINY)
    np.testing.assert_array_equal(shown.coordinates, one.coordinates)
    assert not np.allclose(shown.batch.frames.numpy(), one.batch.frames.numpy())


def test_context_joints_are_left_out(source: SkeletonLoader, one: ShownClip) -> None:
    limbs = load_topology("tiny5_limbs")
    own = SkeletonLoader(source.store, frames=source.frames, segment=source.segment, topology=limbs)
    shown = show_clip(own, 0, topology=limbs)
    columns = [TINY.index[joint] for joint in limbs.joints]
    np.testing.assert_array_equal(shown.coordinates, one.coordinates[:, :, columns])


def test_an_image_runs_downwards(one: ShownClip) -> None:
    image = replace(one, topology=replace(TINY, units="pixels"))
    np.testing.assert_array_equal(image.places[..., 1], -one.places[..., 1])
    np.testing.assert_array_equal(image.places[..., 0], one.places[..., 0])


def test_bones_of_a_compared_topology(one: ShownClip) -> None:
    link = ("foot", "left_hand")
    other = replace(TINY, name="other", bones=(*TINY.bones, link))
    assert one.bones is one.topology and one.links == set()
    compared = replace(one, compared=other)
    assert compared.bones is other and compared.links == {frozenset(link)}
