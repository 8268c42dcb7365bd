"""The paper's tables: published figures and one's own evaluations side by side."""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rich.console import Group, RenderableType
from rich.table import Table
from tabulate import tabulate

from masksem_graph.compose import REQUIRES
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.report import names
from masksem_graph.report.evaluation import read_results
from masksem_graph.report.published import TRANSFER, PublishedRow, PublishedTables

Style = Literal["I", "II", "III", "IV", "all"]
STYLES: tuple[Style, ...] = get_args(Style)

TITLES = {
    "I": "Linear evaluation: top-1 accuracy (%)",
    "II": "Fine-tuning: top-1 accuracy (%)",
    "III": "Semi-supervised: top-1 accuracy (%)",
    "IV": "Transfer: top-1 accuracy (%)",
    "all": "All protocols: top-1 accuracy (%)",
}
PROTOCOLS = {"I": "linear", "II": "finetune", "III": "semi_.*", "IV": TRANSFER, "all": ".*"}
"""Style -> the protocols in it, as a regular expression."""

Column = tuple[str, str]
"""Benchmark and protocol."""


@dataclass(frozen=True)
class TableRow:
    """A line of a table.

    Args:
        label: method, or what one's own encoder is.
        cells: texts by column.
        ours: whether it was computed here.
        notes: numbers of the footnotes that belong to it.
    """

    label: str
    cells: dict[Column, str]
    ours: bool
    notes: tuple[int, ...] = ()

    def texts(self, columns: Sequence[Column], escape: Callable[[str], str] = str) -> list[str]:
        """Label and cells, a dash where there is none."""
        notes = f" [{', '.join(map(str, self.notes))}]" if self.notes else ""
        return [escape(self.label) + notes, *(escape(self.cells.get(column, "-")) for column in columns)]


@dataclass(frozen=True)
class ResultTable:
    """A table that is yet to be drawn.

    Args:
        title: over it.
        columns: in order, with their headings.
        rows: published ones first.
        notes: the footnotes.
    """

    title: str
    columns: dict[Column, str]
    rows: list[TableRow]
    notes: list[str]

    def terminal(self) -> RenderableType:
        """For rich; one's own rows stand out."""
        drawn = Table(title=names.cell(self.title), title_justify="left")
        drawn.add_column("encoder", overflow="fold", min_width=26)
        for heading in self.columns.values():
            drawn.add_column(names.cell(heading), justify="right")
        for before, row in zip([None, *self.rows], self.rows, strict=False):
            if before is not None and row.ours and not before.ours:
                drawn.add_section()
            drawn.add_row(*map(names.cell, row.texts(list(self.columns))), style="bold" if row.ours else None)
        return Group(drawn, *(names.cell(f"[{i}] {note}") for i, note in enumerate(self.notes, 1)))

    def markdown(self) -> str:
        """A pipe table under its title."""
        notes = "".join(f"[{i}] {names.markdown(note)}  \n" for i, note in enumerate(self.notes, 1))
        return (
            f"**{names.markdown(self.title)}**\n\n{self._tabulate('github', names.markdown, '**', '**')}\n\n{notes}".rstrip()
            + "\n"
        )

    def latex(self) -> str:
        """A table float for booktabs."""
        notes = "".join(f" [{i}]~{names.latex(note)}." for i, note in enumerate(self.notes, 1))
        begin, _, head, _, *rows, _, end = self._tabulate("latex_raw", names.latex, "\\textbf{", "}").splitlines()
        theirs = sum(not row.ours for row in self.rows)
        blocks = "\n\\midrule\n".join("\n".join(block) for block in ([head], rows[:theirs], rows[theirs:]) if block)
        body = f"{begin}\n\\toprule\n{blocks}\n\\bottomrule\n{end}"
        return f"\\begin{{table}}\n\\centering\n\\caption{{{names.latex(self.title)}.{notes}}}\n{body}\n\\end{{table}}\n"

    def csv(self) -> str:
        """A line a row, under the headings; without the footnotes."""
        out = io.StringIO()
        rows = ([names.line(row.label), *row.texts(list(self.columns), names.line)[1:]] for row in self.rows)
        csv.writer(out, lineterminator="\n").writerows([["encoder", *map(names.line, self.columns.values())], *rows])
        return out.getvalue()

    def _tabulate(self, format: str, escape: Callable[[str], str], begin: str, end: str) -> str:
        """The table alone, one's own rows set in bold."""
        columns = list(self.columns)
        rows = [[f"{begin}{text}{end}" if row.ours else text for text in row.texts(columns, escape)] for row in self.rows]
        align = ("left", *("right" for _ in self.columns))
        headers = ["encoder", *map(escape, self.columns.values())]
        return tabulate(rows, headers, tablefmt=format, colalign=align, disable_numparse=True)


FORMATS: dict[str, Callable[[ResultTable], str]] = {
    "markdown": ResultTable.markdown,
    "latex": ResultTable.latex,
    "csv": ResultTable.csv,
}


def collect(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The results of evaluations: of the folders themselves, or of all below them.

    Raises:
        InputError: a folder holds none.
    """
    found: dict[Path, dict[str, Any]] = {}
    for path in paths:
        below = [path] if (path / "results.json").is_file() else sorted(file.parent for file in path.rglob("results.json"))
        if not below:
            raise InputError(f"{path}: expected the folder of an evaluation, or of a run with evaluations in it; found none")
        found |= {folder.resolve(): read_results(folder) for folder in below}
    return list(found.values())


def build_table(
    style: Style, results: Sequence[dict[str, Any]], published: PublishedTables, benchmarks: Sequence[str] = ()
) -> ResultTable:
    """Put published rows and one's own results of a style's protocols into one table.

    Args:
        style: which of the paper's tables; ``all`` has one's own rows alone, with every protocol.
        results: of evaluations; those of other protocols are left out.
        published: the figures to compare with.
        benchmarks: the only ones to show; all where empty.
    """
    wanted = re.compile(PROTOCOLS[style])
    theirs = _published_cells(wanted, published) if style != "all" else []
    ours = [(_label(r), _column(r, published), r) for r in results if wanted.fullmatch(r["protocol"])]
    found = {cell[1] for cell in theirs} | {cell[1] for cell in ours}
    seen = {column for column in found if not benchmarks or set(column[0].split(">")) & set(benchmarks)}
    columns = sorted(seen, key=lambda column: _order(column, published))
    rows, notes = _published_rows(theirs, columns)
    rows += _own_rows(ours, columns)
    if not rows:
        raise InputError(f"--style {style}: none of the given evaluations belongs into it, and no published figure is known")
    headings = {column: _heading(column, published, style) for column in columns}
    return ResultTable(TITLES[style], headings, rows, notes)


def _published_cells(wanted: re.Pattern[str], published: PublishedTables) -> list[tuple[PublishedRow, Column, float]]:
    found = [(protocol, row) for protocol, rows in published.rows.items() if wanted.fullmatch(protocol) for row in rows]
    return [(row, (benchmark, protocol), value) for protocol, row in found for benchmark, value in row.top1.items()]


def _published_rows(
    cells: Sequence[tuple[PublishedRow, Column, float]], columns: Sequence[Column]
) -> tuple[list[TableRow], list[str]]:
    """A row a method, and the footnotes: sources, and how the figures came about where that is known."""
    cells = [found for found in cells if found[1] in columns]
    notes = list(dict.fromkeys(row.footnote for row, *_ in cells))
    rows = []
    for method in dict.fromkeys(row.method for row, *_ in cells):
        mine = [found for found in cells if found[0].method == method]
        numbers = tuple(sorted({1 + notes.index(row.footnote) for row, *_ in mine}))
        rows.append(TableRow(method, {column: f"{value:.1f}" for _, column, value in mine}, ours=False, notes=numbers))
    return rows, notes


def _own_rows(ours: Sequence[tuple[str, Column, dict[str, Any]]], columns: Sequence[Column]) -> Iterator[TableRow]:
    rows: dict[str, list[dict[Column, list[dict[str, Any]]]]] = defaultdict(list)
    for label, column, result in ours:
        if column in columns:
            alike = (row for row in rows[label] if column not in row or _encoder(row[column][0]) == _encoder(result))
            if (row := next(alike, None)) is None:
                rows[label].append(row := {})
            row.setdefault(column, []).append(result)
    for label, found in rows.items():
        for number, row in enumerate(found, 1):
            name = f"{label} ({number})" if len(found) > 1 else label
            yield TableRow(name, {column: _cell(results) for column, results in row.items()}, ours=True)


def _encoder(result: dict[str, Any]) -> Any:
    """What must be the same for two evaluations to be runs of one thing, seeds aside."""
    run = result["pretraining"] or result["config"] or {}
    weights = result["checkpoint"] if result["untrained"] and "model" not in run else None
    return run.get("model"), run.get("method"), run.get("init_from"), run.get("converted"), result["pretrained_on"], weights


def _cell(results: Sequence[dict[str, Any]]) -> str:
    """One evaluation's figure with the deviation of its runs, or the mean of several evaluations with theirs."""
    values = [result["top1"] for result in results]
    deviation = results[0]["std"] if len(results) == 1 else statistics.stdev(values)
    return f"{statistics.fmean(values):.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")


def _column(result: dict[str, Any], published: PublishedTables) -> Column:
    benchmark = published.benchmark(result["data_set"], result["split"], result.get("test_clips"))
    before = result["pretrained_on"]
    if result["protocol"] == TRANSFER and before is not None:
        benchmark = f"{published.benchmark(before, before.get('split'))}>{benchmark}"
    # Figures with joints kept apart never stand in a column of those that are means over the nodes.
    pool = result.get("pool")
    return benchmark, result["protocol"] + (f", {pool} pooled" if pool not in (None, "mean") else "")


def _order(column: Column, published: PublishedTables) -> tuple[Any, ...]:
    known = list(published.benchmarks)
    places = tuple(known.index(part) if part in known else len(known) for part in reversed(column[0].split(">")))
    number = re.search(r"_([\d.]+)(_per_class)?", column[1])
    return places, column[0], column[1].partition("_")[0], bool(number and number[2]), float(number[1] if number else 0)


def _heading(column: Column, published: PublishedTables, style: Style) -> str:
    benchmark, protocol = column
    title = published.title(benchmark)
    if style == "all":
        return f"{title}, {protocol_title(protocol)}"
    pool = protocol.partition(", ")[2]
    title += f", {pool}" if pool and style != "III" else ""
    return f"{title}, {protocol_title(protocol).removeprefix('fine-tuned on ')}" if style == "III" else title


def protocol_title(protocol: str) -> str:
    """A protocol's name in words: ``semi_10`` -> ``fine-tuned on 10 %``."""
    name, comma, pool = protocol.partition(", ")
    base, _, part = name.partition("_")
    words = {"knn": "k-NN", "finetune": "fine-tuned", "semi": "fine-tuned", "ownhead": "own head"}.get(base, base)
    if part:
        number, per_class, _ = part.partition("_per_class")
        words += f" on {number} per class" if per_class else f" on {part} %"
    return words + comma + pool


def _label(result: dict[str, Any]) -> str:
    """What an encoder of one's own is: method, scale, epochs, stream."""
    run = result["pretraining"]
    if run is None or "method" not in run:
        start = "untrained" if result["protocol"] in ("linear", "knn") else "from scratch"
        name = [start if result["untrained"] else "converted" if run and "converted" in run else "untold"]
    else:
        epochs = train.get("epochs") if isinstance(train := run.get("train"), dict) else None
        name = [part_name("method", run) or "untold", *([] if epochs is None else [f"{epochs} epochs"])]
    model = part_name("model", run or result["config"])
    stream = [] if result["stream"] == "joint" else [result["stream"]]
    return ", ".join(["ours: " + name[0], *([model] if model else []), *name[1:], *stream])


def part_name(kind: Literal["method", "model"], config: Any) -> str | None:
    """The shipped configuration that a run's own is, or what comes nearest to a name; None where it says nothing."""
    try:
        return preset(kind, config[kind])
    except (KeyError, TypeError, AttributeError):
        return None


def preset(kind: Literal["method", "model"], fields: dict[str, Any]) -> str:
    """The shipped configuration that says the same as ``fields``, or else its main part's class or its width."""
    for path in sorted((shipped("configs") / kind).glob("*.yaml")):
        said = {name: value for name, value in read_yaml(path).items() if name != REQUIRES}
        if _says(said, fields):
            return path.stem
    if kind == "model":
        return f"{str(fields['backbone']['class_path']).rpartition('.')[2]} of width {fields['width']}"
    return str(fields["scores"]["class_path"]).rpartition(".")[2]


def _says(partial: Any, whole: Any) -> bool:
    """Whether ``whole`` has everything of ``partial``; a class may be named by a shorter path to it."""
    if isinstance(partial, dict):
        return isinstance(whole, dict) and all(name in whole and _says(value, whole[name]) for name, value in partial.items())
    if isinstance(partial, list):
        return isinstance(whole, list) and len(whole) == len(partial) and all(map(_says, partial, whole))
    if isinstance(partial, str) and isinstance(whole, str) and partial.startswith("masksem_graph."):
        return partial.rpartition(".")[2] == whole.rpartition(".")[2]
    return bool(partial == whole)
