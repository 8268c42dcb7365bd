"""Values of files that nobody vouches for, as texts: what is missing or of the wrong kind becomes a dash."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

MISSING = "\N{EN DASH}"


def number(value: Any, digits: int = 1) -> str:
    """A figure with so many decimals; anything but a finite number is `MISSING`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}f}"


def whole(value: Any) -> str:
    """A count; anything but a finite number is `MISSING`."""
    return number(value, 0)


def percent(value: Any) -> str:
    """A share with its unit."""
    text = number(value)
    return text if text == MISSING else f"{text} %"


def interval(values: Any) -> str:
    """``49.7 to 59.7``."""
    if not isinstance(values, list | tuple) or len(values) != 2:
        return MISSING
    return " to ".join(number(value) for value in values)


def duration(seconds: Any) -> str:
    """``58 s``, ``3 min 31 s``, ``2 h 5 min``."""
    if number(seconds) == MISSING:
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def text(value: Any) -> str:
    """A name or a path; `MISSING` where there is none."""
    return MISSING if value is None or value == "" else str(value)


def at(fields: Any, *path: str) -> Any:
    """What lies below ``path`` in nested mappings; None where something on the way is missing or no mapping."""
    for name in path:
        fields = fields.get(name) if isinstance(fields, dict) else None
    return fields


def joined(values: Sequence[Any], show: Callable[[Any], str] = text) -> str:
    """Values that differ, in order, as one text."""
    return ", ".join(dict.fromkeys(show(value) for value in values)) or MISSING
