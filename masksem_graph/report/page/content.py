"""What a page consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from masksem_graph.report.page.pictures import Picture


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
        rows: a text for each column. In a column of shares it is what `texts.number` returns.
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
