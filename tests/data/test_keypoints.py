"""People in frames become bodies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksem_graph.data.keypoints import Person, bodies_of, people_of_line, ranked, read_json_line, read_json_lines
from masksem_graph.data.readers.folder import FolderReader
from masksem_graph.errors import InputError


def person(x: float, *, who: Any = None, score: float = 1.0) -> Person:
    """Three joints in a row, one apart."""
    return Person(np.array([(x, 1, score), (x, 2, score), (x, 3, score)], float), who)


def test_a_body_that_leaves_comes_back_as_itself_or_as_somebody_new() -> None:
    soon = bodies_of("here", {0: [person(10)], 20: [person(10.5)]}, 3, 2)
    late = bodies_of("here", {0: [person(10)], 40: [person(10.5)]}, 3, 2)
    assert (soon.shape, late.shape) == ((1, 21, 3, 3), (2, 41, 3, 3))
    assert np.flatnonzero(soon[0].any((1, 2))).tolist() == [0, 20]


def test_people_are_matched_all_together() -> None:
    """The first is nearer to where the second was, and has to leave it that place."""
    frames = {0: [person(10), person(10.8)], 1: [person(10.7), person(11.4)]}
    first, second = bodies_of("here", frames, 3, 2)
    np.testing.assert_allclose([first[:, 0, 0], second[:, 0, 0]], [[10, 10.7], [10.8, 11.4]], rtol=1e-6)


def test_the_surest_are_kept_and_the_unsure_are_not_found() -> None:
    frames = {i: [person(10, score=0.3), person(50, score=0.9), person(90, score=0.5)] for i in range(3)}
    kept = bodies_of("here", frames, 3, 2, most=2, least_score=0.4)
    assert kept[:, 0, 0, 0].tolist() == [50, 90]
    assert bodies_of("here", frames, 3, 2, least_score=0.4)[2].any() == np.False_, "nobody, so absent"


def test_who_has_no_id_where_others_have_is_left_out() -> None:
    frames = {0: [person(10, who=7), person(50)], 1: [person(50, who=7)]}
    assert bodies_of("here", frames, 3, 2)[:, :, 0, 0].tolist() == [[10, 50]]


def test_nobody_and_too_much() -> None:
    for frames in ({}, {0: [], 1: []}):
        with pytest.raises(InputError, match="here: found nobody in"):
            bodies_of("here", frames, 3, 2)
    with pytest.raises(InputError, match="here: found 1,000,000,001 frames"):
        bodies_of("here", {0: [person(1)], 10**9: [person(1)]}, 3, 2)
    with pytest.raises(InputError, match=r"here: frame 5: found two bodies with the same id"):
        bodies_of("here", {5: [person(1, who=1), person(2, who=1)]}, 3, 2)


@given(st.lists(st.integers(0, 18), min_size=1, max_size=30, unique=True), st.integers(1, 9), st.integers(0, 100))
def test_ranks_are_steps_from_the_first(numbers: list[int], step: int, first: int) -> None:
    numbers = sorted({0, 1, *numbers})
    assert ranked("here", [first + step * number for number in numbers]) == numbers


def test_lines_of_bodies(tmp_path: Path) -> None:
    joints = [[1, 2, 3], None, [0, 0, 0], [4, None, 6], [7, 8, 9]]
    line = {
        "t": 0.5,
        "bodies": [{"id": "a", "joints": joints, "scores": [0.5, 1, 1, 1, 0]}, {"joints": [[1, 1, 1]] * 5, "id": 3}],
    }
    first, second = people_of_line("here", line, 5, 3)
    assert (first.identity, second.identity, second.points[:, 3].tolist()) == ("a", 3, [1] * 5)
    frames = bodies_of("here", {0: [first, second]}, 5, 3)
    np.testing.assert_array_equal(np.isnan(frames[1]).any(-1)[0], [False, True, False, True, True])
    np.testing.assert_array_equal(frames[1, 0, 0], [1, 2, 3])
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n\n" + json.dumps({"t": 1, "bodies": []}) + "\n")
    (tmp_path / "clips.csv").write_text("file,label\na.jsonl,\n")
    (tmp_path / "dataset.yaml").write_text("topology: tiny5\n")
    reader = FolderReader()
    (row,) = reader.sources(tmp_path)
    clip = reader.read(row)
    assert (clip.name, len(clip.bodies), [len(body.frames) for body in clip.bodies]) == ("a", 2, [2, 2])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"joints": [[1, 2, 3]] * 4}, "here: bodies[0].joints: found 4 joints, expected 5 joints"),
        ({"joints": [[1, 2]] * 5}, "here: bodies[0].joints[0]: found [1, 2], expected 3 numbers, or null"),
        ({"joints": [[1, 2, True]] * 5}, "bodies[0].joints[0]: found [1, 2, True]"),
        ({"joints": [[1, 2, 3]] * 5, "scores": [1] * 4}, "bodies[0].scores: found 4 joints"),
        ({"joints": [[1, 2, 3]] * 5, "scores": 1}, "bodies[0].scores: found 1, expected 5 joints"),
        ({"joints": [[1, 2, 3]] * 5, "id": [1]}, "bodies[0].id: found [1], expected a number or a text"),
        ([], "here: bodies: found [[]], expected a list of objects"),
    ],
)
def test_bad_lines_of_bodies(body: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        people_of_line("here", {"bodies": [body]}, 5, 3)
    assert message in str(error.value)


def test_lines_that_are_none(tmp_path: Path) -> None:
    for text in ("{", "[]", "3", "[" * 100_000):
        with pytest.raises(InputError, match="here: "):
            read_json_line("here", text)
    (tmp_path / "a.jsonl").write_text('{"t": 1}\n{"t": 0.9}\n')
    with pytest.raises(InputError, match=r"line 2: t: found 0\.9, expected seconds that rise"):
        read_json_lines(tmp_path / "a.jsonl")
