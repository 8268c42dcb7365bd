"""Uneven frames on an even clock."""

from __future__ import annotations

import numpy as np
import pytest

from masksem_graph.live.window import DENSEST, Frame, Window

BODY = (False, 1)
WAY = np.array([[[1.0, -2.0, 0.5]], [[0.0, 3.0, 4.0]]], np.float32)[:, 0]
"""Where two joints go in a second."""


def filled(times: list[float], *, ticks: int = 30, lost: tuple[float, float] = (9e9, 9e9), bodies: int = 2) -> np.ndarray:
    """The clip of a body whose joints move along `WAY`, not seen in a span of time."""
    window = Window(fps=30, ticks=ticks, gap=0.5, dimensions=3)
    for time in times:
        seen = [] if lost[0] <= time < lost[1] else [(WAY * time).astype(np.float32)]
        window.add(Frame(time, dict(zip(window.tracks.name(time, [None] * len(seen), seen, 3), seen, strict=True))))
    clip, keys = window.clip(bodies)
    assert keys == [BODY] and clip.length == ticks
    return clip.bodies[0].frames


def at(ticks: range) -> np.ndarray:
    return WAY * np.array(ticks)[:, None, None] / 30


@pytest.mark.parametrize("rate", [7.3, 10, 24, 29.97, 30, 50, 119])
def test_even_senders_of_other_rates(rate: float) -> None:
    times = [i / rate for i in range(int(4 * rate))]
    last = int(times[-1] * 30 + 1e-3)
    np.testing.assert_allclose(filled(times), at(range(last - 29, last + 1)), atol=1e-5)


def test_an_uneven_sender() -> None:
    times = [0.0, *np.random.default_rng(0).uniform(0.005, 0.3, 40).cumsum()]
    last = int(times[-1] * 30)
    np.testing.assert_allclose(filled(times), at(range(last - 29, last + 1)), atol=1e-5)


def test_frames_at_ticks_are_not_touched() -> None:
    times = [i / 30 for i in range(30)]
    assert np.array_equal(filled(times), np.stack([(WAY * time).astype(np.float32) for time in times]))


def test_a_gap_is_not_bridged() -> None:
    frames = filled([*np.arange(31) / 30, 1.9, 2.0])
    seen = ~np.isnan(frames).any((1, 2))
    # Ticks 31 to 60. The frame at 1.0 s stands until 1.25 s, the one at 1.9 s from 1.65 s on.
    assert [31 + i for i in np.flatnonzero(seen)] == [*range(31, 38), *range(50, 61)]
    np.testing.assert_array_equal(frames[0], WAY)
    np.testing.assert_allclose(frames[-2:], at(range(59, 61)), atol=1e-5)


def test_a_body_that_is_not_there() -> None:
    frames = filled([i / 30 for i in range(30)], lost=(0.5 - 1e-6, 0.7 - 1e-6))
    assert list(np.flatnonzero(np.isnan(frames).any((1, 2)))) == [*range(15, 21)]


def test_a_joint_that_one_of_two_frames_lacks() -> None:
    window = Window(fps=30, ticks=3, gap=0.5, dimensions=3)
    for time, lost in ((0.0, False), (0.05, True), (0.1, False)):
        body = (WAY * time).astype(np.float32)
        body[1] = np.nan if lost else body[1]
        window.add(Frame(time, {BODY: body}))
        window.tracks.known[BODY] = (time, body)
    frames = window.clip(1)[0].bodies[0].frames  # ticks 1 to 3, at 0.033, 0.067 and 0.1 s
    np.testing.assert_allclose(frames[:, 0], at(range(1, 4))[:, 0], atol=1e-6)
    assert np.isnan(frames[:2, 1]).all() and np.allclose(frames[2, 1], 0.1 * WAY[1])


def test_never_more_than_a_window() -> None:
    window = Window(fps=30, ticks=15, gap=0.5, dimensions=3)
    for i in range(3000):
        body = (WAY * 0.001 * i).astype(np.float32)
        (key,) = window.tracks.name(i / 1000, [f"tracker {i // 50}"], [body], 3)
        window.add(Frame(i / 1000, {key: body}))
        assert len(window.frames) <= DENSEST * 15 + 5 and len(window.tracks.known) <= 14
    assert window.frames[-1].time == 2.999 and window.frames[0].time <= window.time(window.last - 14)
    assert min(np.diff([frame.time for frame in window.frames])[:-1]) >= 1 / 130


def test_those_that_are_seen_longest_in_the_order_in_which_they_appeared() -> None:
    window = Window(fps=30, ticks=10, gap=0.5, dimensions=3)
    for i in range(10):
        bodies = {"b": WAY, **({"a": WAY} if i % 3 else {}), **({"c": WAY} if i else {})}
        keys = window.tracks.name(i / 30, list(bodies), list(bodies.values()), 3)
        window.add(Frame(i / 30, dict(zip(keys, bodies.values(), strict=True))))
    assert [key[1] for key in window.clip(2)[1]] == ["b", "c"]
    assert [key[1] for key in window.clip(3)[1]] == ["b", "a", "c"]
