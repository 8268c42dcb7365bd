"""Lines of JSON: what is a frame, and what is refused in one line."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from masksem_graph.errors import InputError
from masksem_graph.live.lines import parse_line, told
from masksem_graph.live.recogniser import Answer


def test_a_frame() -> None:
    time, (ann, other) = parse_line(
        b'{"t": 3, "camera": 1, "bodies": [{"id": "ann", "joints": [[1, 2.5, -3], null], "scores": [1, 0.5]},'
        b' {"joints": [[1, NaN, null], [4, 5, 6]]}]}\n'
    )
    assert (time, ann.id, other.id, other.scores) == (3.0, "ann", None, None)
    np.testing.assert_array_equal(ann.scores, [1, 0.5])
    np.testing.assert_array_equal(ann.joints, [[1, 2.5, -3], [math.nan] * 3])
    np.testing.assert_array_equal(other.joints, [[1, math.nan, math.nan], [4, 5, 6]])
    assert parse_line(b'{"t": 1.5, "bodies": []}') == (1.5, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "not whole JSON"),
        (b'{"t": 1, "bodies": [', "not whole JSON"),
        (b"\xff\xfe", "not whole JSON"),
        (b"[" * 100_000, "not whole JSON"),
        (b"[1]", r"found \[1\], expected an object"),
        (b'{"bodies": []}', "t: found None, expected seconds"),
        (b'{"t": true, "bodies": []}', "t: found True, expected seconds"),
        (b'{"t": "1", "bodies": []}', "t: found '1', expected seconds"),
        (b'{"t": %s, "bodies": []}' % (b"9" * 400), "t: found 9+"),
        (b'{"t": 1, "bodies": {}}', "bodies: found {}, expected a list of objects"),
        (b'{"t": 1, "bodies": [[[1, 2, 3]]]}', r"bodies: found \[\[\[1, 2, 3\]\]\], expected a list of objects"),
        (b'{"t": 1, "bodies": [{"joints": []}]}', r"bodies\[0\].joints: found 0 joints, expected a list of joints"),
        (
            b'{"t": 1, "bodies": [{"joints": [[1, 2, 3]], "id": 1.5}]}',
            r"bodies\[0\].id: found 1.5, expected a number or a text",
        ),
        (b'{"t": 1, "bodies": [{"joints": [[1, 2, 3]], "scores": [true]}]}', r"bodies\[0\].scores\[0\]: found \[True\]"),
        (
            b'{"t": 1, "bodies": [{"joints": [[1, 2, 3]], "scores": [1, 1]}]}',
            r"bodies\[0\].scores: found 2 joints, expected 1",
        ),
        (b'{"t": 1, "bodies": [{"joints": [[1, 2, 3], [1, 2]]}]}', r"bodies\[0\].joints\[1\]: found \[1, 2\], expected"),
        (b'{"t": 1, "bodies": [{"joints": [[1, 2, "3"]]}]}', r"bodies\[0\].joints\[0\]: found \[1, 2, '3'\], expected"),
        (
            b'{"t": 1, "bodies": [{"joints": [1, 2, 3]}]}',
            r"bodies\[0\].joints\[0\]: found 1, expected 3 or 2 numbers, or null",
        ),
    ],
)
def test_what_is_no_frame(line: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_line(line)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_an_answer() -> None:
    answer = Answer(1.5, ("sit", "stand"), "stand", None, np.array([0.25, 0.75], np.float32), (1, "ann"))
    assert json.loads(json.dumps(told(answer, top=1, latency=0.0123))) == {
        "t": 1.5,
        "label": "stand",
        "top": [{"class": "stand", "probability": 0.75}],
        "bodies": [1, "ann"],
        "latency_ms": 12.3,
    }
    none = told(Answer(1.5, ("sit", "stand"), reason="nobody is seen"), top=5, latency=0)
    assert (none["label"], none["reason"], none["top"]) == (None, "nobody is seen", [])
