"""Bodies keep their names."""

from __future__ import annotations

import numpy as np

from masksem_graph.data.tracks import Tracks

POSE = np.array([[0, 0, 0], [0, 1.7, 0], [0.4, 1, 0]], np.float32)


def body(x: float, *, lost: int | None = None) -> np.ndarray:
    out = POSE + np.array([x, 0, 3], np.float32)
    if lost is not None:
        out[lost] = np.nan
    return out


def test_two_who_walk_past_each_other_in_any_order() -> None:
    tracks, random = Tracks(), np.random.default_rng(0)
    places = {1: -1.0, 2: 1.0}
    for frame in range(60):
        places = {1: places[1] + 0.04, 2: places[2] - 0.04}
        apart = {1: np.array([0, 0, 0], np.float32), 2: np.array([0, 0, 0.5], np.float32)}
        order = [1, 2] if frame == 0 else random.permutation([1, 2]).tolist()
        found = tracks.name(frame / 30, [None, None], [body(places[who]) + apart[who] for who in order], 3)
        assert found == [(False, who) for who in order]


def test_who_leaves_and_comes_back() -> None:
    tracks = Tracks()
    assert tracks.name(0.0, [None, None], [body(0), body(3)], 3) == [(False, 1), (False, 2)]
    assert tracks.name(0.1, [None], [body(3.05)], 3) == [(False, 2)]
    assert tracks.name(0.2, [], [], 3) == []
    assert tracks.name(0.3, [None, None], [body(3.1), body(0.2)], 3) == [(False, 2), (False, 1)]
    tracks.forget(0.4)
    assert tracks.name(0.5, [None], [body(0.2)], 3) == [(False, 3)]


def test_who_walks_past_where_somebody_left_is_not_that_person() -> None:
    tracks = Tracks()
    tracks.name(0.0, [None, None], [body(0), body(0.5)], 3)
    for i in range(1, 11):
        assert tracks.name(i / 10, [None], [body(0.5 - 0.05 * i)], 3) == [(False, 2)]


def test_who_is_further_away_than_a_body_is_tall_is_another() -> None:
    tracks = Tracks()
    tracks.name(0.0, [None], [body(0)], 3)
    assert tracks.name(0.1, [None], [body(1.6)], 3) == [(False, 1)]
    assert tracks.name(0.2, [None], [body(3.4)], 3) == [(False, 2)]


def test_the_senders_names_stay() -> None:
    tracks = Tracks()
    assert tracks.name(0.0, ["ann", None], [body(0), body(2)], 3) == [(True, "ann"), (False, 1)]
    assert tracks.name(0.1, [None, "ann"], [body(2), body(9)], 3) == [(False, 1), (True, "ann")]
    assert tracks.name(0.2, [1, None], [body(0), body(2)], 3) == [(True, 1), (False, 1)]


def test_joints_that_are_not_seen_do_not_count() -> None:
    tracks = Tracks()
    tracks.name(0.0, [None, None], [body(0, lost=0), body(1.0)], 3)
    assert tracks.name(0.1, [None, None], [body(1.0, lost=1), body(0, lost=2)], 3) == [(False, 2), (False, 1)]
