"""A frame as a line of JSON, and an answer as one."""

from typing import Any

from masksem_graph.data.keypoints import bodies_of_line, is_number, read_json_line
from masksem_graph.errors import InputError, shown
from masksem_graph.live.person import Person
from masksem_graph.live.recogniser import Answer


def parse_line(line: bytes) -> tuple[float, list[Person]]:
    """The time of a frame, and who is seen, as `bodies_of_line` reads it; an `InputError` where this is no frame."""
    fields = read_json_line("frame", line)
    time = fields.get("t")
    if time is None or not is_number(time):
        raise InputError(f"frame: t: found {shown(time)}, expected seconds")
    return float(time), [Person(*body) for body in bodies_of_line("frame", fields)]


def told(answer: Answer, *, top: int, latency: float) -> dict[str, Any]:
    """An answer as plain data, with so many classes; ``latency`` is in seconds from the arrival of the window's last frame."""
    return {
        "t": round(answer.time, 6),
        "label": answer.label,
        **({"reason": answer.reason} if answer.reason else {}),
        "top": [{"class": name, "probability": round(share, 6)} for name, share in answer.top(top)],
        "bodies": list(answer.bodies),
        "latency_ms": round(1000 * latency, 3),
    }
