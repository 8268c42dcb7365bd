"""Cleaning and centring, on bodies made for each rule."""

from __future__ import annotations

import numpy as np
import pytest

from masksem_graph.data.cleaning import Track, centred, clean_tracks, motion, noisy_frames, present_only, trimmed
from masksem_graph.data.clip import Body, Clip
from masksem_graph.errors import InputError


def track(first: int, count: int, *, swing: float = 0.0, noisy: int = 0, tag: float = 1.0) -> Track:
    """A person 0.4 m wide and 1.7 m high who sways by ``swing``; in the first ``noisy`` frames 2 m wide."""
    joints = np.zeros((count, 25, 3), np.float32)
    joints[:, :, 0] = np.linspace(-0.2, 0.2, 25)
    joints[:noisy, :, 0] *= 5
    joints[:, :, 1] = np.linspace(0, 1.7, 25)
    joints[:, :, 2] = tag + swing * np.linspace(-1, 1, count)[:, None]
    return Track(joints, first + np.arange(count))


def tags(bodies: tuple[Body, ...]) -> list[float]:
    """Who is in which slot: the rounded mean depth."""
    return [float(np.round(body.frames[body.present][..., 2].mean())) for body in bodies]


def test_one_body_is_kept_however_short_or_noisy() -> None:
    (body,) = clean_tracks([track(0, 3, noisy=3)], length=3, cleaning="community")
    assert body.frames.shape == (3, 25, 3)


def test_a_body_of_eleven_frames_goes() -> None:
    (body,) = clean_tracks([track(0, 30, tag=1), track(0, 11, tag=2, swing=0.4)], length=30, cleaning="community")
    assert tags((body,)) == [1]
    assert len(clean_tracks([track(0, 30, tag=1), track(0, 12, tag=2)], length=30, cleaning="community")) == 2
    with pytest.raises(InputError, match="11 frames or fewer"):
        clean_tracks([track(0, 11), track(0, 5)], length=11, cleaning="community")


def test_noisy_bodies_go_while_more_than_one_is_left() -> None:
    assert noisy_frames(track(0, 4, noisy=2).joints).tolist() == [True, True, False, False]
    kept = clean_tracks([track(0, 100, noisy=70, tag=1), track(0, 100, tag=2)], length=100, cleaning="community")
    assert tags(kept) == [2], "70 % is noisy enough"
    kept = clean_tracks([track(0, 100, noisy=69, tag=1), track(0, 100, tag=2)], length=100, cleaning="community")
    assert sorted(tags(kept)) == [1, 2], "69 % is not"
    kept = clean_tracks([track(0, 50, noisy=50, tag=1), track(0, 50, noisy=50, tag=2)], length=50, cleaning="community")
    assert tags(kept) == [2], "the last one stays"


def test_who_moves_more_is_actor_1_noisy_frames_not_counted() -> None:
    still, lively = track(0, 40, tag=1), track(0, 40, tag=3, swing=0.3)
    assert motion(lively.joints) > motion(still.joints)
    assert tags(clean_tracks([still, lively], length=40, cleaning="community")) == [3, 1]
    wide = track(0, 40, noisy=20, tag=1)
    assert motion(wide.joints) > motion(lively.joints)
    assert tags(clean_tracks([wide, lively], length=40, cleaning="community")) == [3, 1]


def test_slots_are_filled_where_at_most_one_frame_is_shared() -> None:
    first, second = track(0, 20, swing=0.4, tag=1), track(19, 20, swing=0.3, tag=3)
    (body,) = clean_tracks([first, second], length=39, cleaning="community")
    assert body.frames[18, 0, 2] < 2 < body.frames[19, 0, 2] + 0.5, "the later body overwrites the shared frame"
    assert len(clean_tracks([first, track(18, 20, swing=0.3, tag=3)], length=38, cleaning="community")) == 2
    three = [track(0, 20, swing=s, tag=t) for s, t in ((0.4, 1), (0.3, 3), (0.2, 5))]
    assert tags(clean_tracks(three, length=20, cleaning="community")) == [1, 3], "a third at the same time is left out"


def test_gaps_close_up_or_stay() -> None:
    back = track(0, 20, tag=2)
    back = Track(back.joints, np.r_[0:10, 15:25])
    tracks = [track(0, 25, swing=0.5, tag=1), back]
    assert clean_tracks(tracks, length=25, cleaning="community")[1].present.tolist() == [True] * 20
    assert clean_tracks(tracks, length=25, cleaning="recorded")[1].present.tolist() == [True] * 10 + [False] * 5 + [True] * 10


def test_frames_of_dropped_bodies_are_dropped() -> None:
    bodies = clean_tracks([track(0, 15, tag=1), track(15, 5, tag=9), track(20, 15, tag=1)], length=35, cleaning="community")
    assert [(b.start, len(b.frames)) for b in bodies] == [(0, 30)]


def test_trimmed() -> None:
    frames = np.ones((5, 2, 3), np.float32)
    body = trimmed(frames, np.array([False, True, False, True, False]), start=10)
    assert body is not None
    assert (body.start, body.present.tolist(), body.frames[:, 0, 0].tolist()) == (11, [True, False, True], [1, 0, 1])
    assert trimmed(frames, np.zeros(5, bool)) is None


def test_zero_frames_are_not_present_and_the_origin_is_actor_1s() -> None:
    frames = np.arange(1, 25, dtype=np.float32).reshape(4, 2, 3)
    frames[[0, 2]] = 0
    first = Body(start=0, frames=frames, present=np.ones(4, bool))
    second = Body(start=1, frames=frames[[1]] + 100, present=np.ones(1, bool))
    empty = Body(start=0, frames=np.zeros((4, 2, 3), np.float32), present=np.ones(4, bool))
    clip = centred(present_only(Clip(name="c", label=0, bodies=(first, second, empty))), joint=1)
    assert [(b.start, b.present.tolist()) for b in clip.bodies] == [(1, [True, False, True]), (1, [True])]
    np.testing.assert_array_equal(clip.bodies[0].frames[:, 1], [[0, 0, 0], [0, 0, 0], [12, 12, 12]])
    np.testing.assert_array_equal(clip.bodies[1].frames[0, 1], [100, 100, 100])
