"""A frame as a line of JSON: ``{"t": seconds, "bodies": [{"id", "joints": [[x, y, z], ...], "scores"}]}``."""

from __future__ import annotations

import json
import math
from typing import Any

from masksem_graph.errors import InputError, shown
from masksem_graph.live.recogniser import Answer
from masksem_graph.live.tracks import Person


def parse_line(line: bytes) -> tuple[float, list[Person]]:
    """The time of a frame, and who is seen. ``id`` and ``scores`` may be left out; a joint that is not seen is null or NaN.

    Raises:
        InputError: anything else; the line says what was found and what was expected.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a JSON object, found {shown(line)}: {' '.join(str(error).split())[:80]}") from None
    if not isinstance(fields, dict) or not _is_number(fields.get("t")) or not isinstance(fields.get("bodies"), list):
        raise InputError(f'expected {{"t": seconds, "bodies": [...]}}, found {shown(fields)}')
    return float(fields["t"]), [_person(body, f"bodies[{i}]") for i, body in enumerate(fields["bodies"])]


def _person(body: Any, place: str) -> Person:
    if not isinstance(body, dict) or not isinstance(joints := body.get("joints"), list) or not joints:
        raise InputError(f'{place}: expected {{"joints": [[x, y, z], ...]}}, found {shown(body)}')
    name, scores = body.get("id"), body.get("scores")
    if name is not None and type(name) not in (int, str):
        raise InputError(f"{place}.id: expected a name or a whole number, found {shown(name)}")
    if scores is not None and not (isinstance(scores, list) and all(map(_is_number, scores))):
        raise InputError(f"{place}.scores: expected a number for each joint, found {shown(scores)}")
    channels = next((len(joint) for joint in joints if isinstance(joint, list)), 3)
    rows = [[math.nan] * channels if joint is None else joint for joint in joints]
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != channels or not all(x is None or _is_number(x) for x in row):
            raise InputError(f"{place}.joints[{i}]: expected {channels} numbers or null, found {shown(row)}")
    return Person([[math.nan if x is None else x for x in row] for row in rows], scores, name)


def _is_number(value: Any) -> bool:
    # JSON's true and false are no numbers, and a whole number may have a million digits.
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def told(answer: Answer, *, top: int, latency: float) -> dict[str, Any]:
    """An answer as plain data.

    Args:
        answer: of a window.
        top: how many classes.
        latency: seconds from the arrival of the window's last frame.
    """
    return {
        "t": round(answer.time, 6),
        "label": answer.label,
        **({"reason": answer.reason} if answer.reason else {}),
        "top": [{"class": name, "probability": round(share, 6)} for name, share in answer.top(top)],
        "bodies": list(answer.bodies),
        "latency_ms": round(1000 * latency, 3),
    }
