"""Values as texts for the templates; what is not there is a dash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MISSING = "\N{EN DASH}"


def number(value: Any, digits: int = 1) -> str:
    """A figure with so many decimals; anything but a finite number is `MISSING`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:  # NaN neither
        return MISSING
    return f"{value:.{digits}f}"


def duration(seconds: Any) -> str:
    """``5.2 s``, ``58 s``, ``3 min 31 s``, ``2 h 5 min``."""
    if number(seconds) == MISSING:
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def joined(values: Any) -> str:
    """Values that differ, in order, as one text."""
    if not isinstance(values, Iterable) or isinstance(values, str | dict):
        return MISSING if values in (None, "") or not isinstance(values, str | int | float) else str(values)
    return ", ".join(dict.fromkeys(MISSING if value in (None, "") else str(value) for value in values)) or MISSING


def short(commit: Any) -> str:
    """A commit in ten letters, and whether files differed from it."""
    if not commit:
        return "unknown (an installed wheel, or no git)"
    name, dirty, _ = str(commit).partition("-dirty")
    return name[:10] + dirty


def at(fields: Any, *path: str) -> Any:
    """What lies below ``path`` in nested mappings; None where something on the way is missing or no mapping."""
    for name in path:
        fields = fields.get(name) if isinstance(fields, dict) else None
    return fields
