"""What a page consists of, and how numbers are written on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from masksem_graph.report.page.pictures import Picture

MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Fact:
    """A figure that stands at the head of a page.

    Args:
        label: what it is.
        value: its text.
        note: beneath it, smaller.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        title: heads it.
        kind: ``text`` is set left, a ``number`` right, a ``share`` (per cent) right and over a bar of its length.
    """

    title: str
    kind: str = "number"


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        columns: in order; the first one heads the rows.
        rows: a text for each column. In a column of shares it is what `number` returns.
        headed: whether the columns' titles are shown.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    headed: bool = True


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading.

    Args:
        id: its anchor.
        title: its heading.
        text: a sentence or two on it.
        table, pictures, code: what it shows.
        folded: closed until the reader opens it.
    """

    id: str
    title: str
    text: str = ""
    table: Table | None = None
    pictures: Sequence[Picture] = ()
    code: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """All of a page.

    Args:
        kind: ``run`` or ``evaluation``.
        title: method, data, model.
        summary: what it is, in a line.
        facts: the key figures.
        notes: what the reader has to know of what could not be read.
        sections: the rest, in order.
    """

    kind: str
    title: str
    summary: str
    facts: Sequence[Fact] = ()
    notes: Sequence[str] = ()
    sections: Sequence[Section] = field(default_factory=list)


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
