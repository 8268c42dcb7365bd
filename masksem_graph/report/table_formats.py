"""A table in the terminal, as Markdown, and as LaTeX."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from masksem_graph.report.tables import ResultTable, TableRow

MISSING = "-"
SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "±": "$\\pm$",
}


def terminal(table: ResultTable) -> RenderableType:
    """For rich; one's own rows stand out."""
    drawn = Table(title=table.title, title_justify="left")
    drawn.add_column("encoder", overflow="fold", min_width=26)
    for heading in table.columns.values():
        drawn.add_column(heading, justify="right")
    for before, row in zip([None, *table.rows], table.rows, strict=False):
        if before is not None and row.ours and not before.ours:
            drawn.add_section()
        drawn.add_row(_label(row), *_cells(table, row), style="bold" if row.ours else None)
    return Group(drawn, *(Text(f"[{i}] {note}") for i, note in enumerate(table.notes, 1)))


def markdown(table: ResultTable) -> str:
    """A pipe table under its title."""
    lines = [
        f"**{table.title}**",
        "",
        _pipes("encoder", *table.columns.values()),
        _pipes("---", *("---:" for _ in table.columns)),
        *(
            _pipes(*([f"**{cell}**" if row.ours else cell for cell in (_label(row), *_cells(table, row))]))
            for row in table.rows
        ),
        "",
        *(f"[{i}] {note}  " for i, note in enumerate(table.notes, 1)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def latex(table: ResultTable) -> str:
    """A table float for booktabs."""
    head = " & ".join(["Encoder", *map(_escape, table.columns.values())])
    theirs, ours = ([row for row in table.rows if row.ours is mine] for mine in (False, True))
    blocks = [[_line(table, row) for row in rows] for rows in (theirs, ours) if rows]
    body = "\n\\midrule\n".join("\n".join(block) for block in blocks)
    notes = " ".join(f"[{i}]~{_escape(note)}." for i, note in enumerate(table.notes, 1))
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{_escape(table.title)}." + (f" {notes}" if notes else "") + "}",
            f"\\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            "\\toprule",
            f"{head} \\\\",
            "\\midrule",
            body,
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
            "",
        ]
    )


FORMATS = {"markdown": markdown, "latex": latex}


def _label(row: TableRow) -> str:
    return row.label + (f" [{', '.join(map(str, row.notes))}]" if row.notes else "")


def _cells(table: ResultTable, row: TableRow) -> list[str]:
    return [row.cells.get(column, MISSING) for column in table.columns]


def _pipes(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _line(table: ResultTable, row: TableRow) -> str:
    cells = [_escape(cell) for cell in (_label(row), *_cells(table, row))]
    return " & ".join(f"\\textbf{{{cell}}}" if row.ours else cell for cell in cells) + " \\\\"


def _escape(text: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in text)
