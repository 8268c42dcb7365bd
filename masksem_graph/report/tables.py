"""The paper's tables: published figures and one's own evaluations side by side."""

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from rich.console import Group, RenderableType
from rich.table import Table
from tabulate import tabulate

from masksem_graph.compose import REQUIRES
from masksem_graph.console import counted
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.report import names
from masksem_graph.report.evaluation import read_results
from masksem_graph.report.published import TRANSFER, PublishedTables

Style = Literal["I", "II", "III", "IV", "all"]
STYLES: tuple[Style, ...] = get_args(Style)
PROTOCOLS = {
    "I": ("Linear evaluation", "linear"),
    "II": ("Fine-tuning", "finetune"),
    "III": ("Semi-supervised", "semi_.*"),
    "IV": ("Transfer", TRANSFER),
    "all": ("All protocols", ".*"),
}
"""Style -> its title, and the protocols in it, as a regular expression."""
Column = tuple[str, str]
"""Benchmark and protocol."""
Escape = Callable[[str], str]


class TableRow(NamedTuple):
    """A line: an encoder, its texts by column, whether it was evaluated here, and the numbers of its footnotes."""

    label: str
    cells: dict[Column, str]
    ours: bool
    notes: tuple[int, ...] = ()

    def texts(self, columns: Sequence[Column], escape: Escape) -> list[str]:
        """Label and cells, a dash where there is none."""
        notes = f" [{', '.join(map(str, self.notes))}]" if self.notes else ""
        return [escape(self.label) + notes, *(escape(self.cells.get(column, "-")) for column in columns)]


class ResultTable(NamedTuple):
    """A table that is yet to be drawn: columns in order with their headings, rows with published ones first, footnotes."""

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
        theirs = sum(not row.ours for row in self.rows)
        for i, row in enumerate(self.rows, 1):
            cells = map(names.cell, row.texts(list(self.columns), str))
            drawn.add_row(*cells, style="bold" if row.ours else None, end_section=i == theirs)
        return Group(drawn, *(names.cell(f"[{i}] {note}") for i, note in enumerate(self.notes, 1)))

    def markdown(self) -> str:
        """A pipe table under its title."""
        notes = "".join(f"[{i}] {names.markdown(note)}  \n" for i, note in enumerate(self.notes, 1))
        body = self._tabulate("github", names.markdown, "**{}**")
        return f"**{names.markdown(self.title)}**\n\n{body}\n\n{notes}".rstrip() + "\n"

    def latex(self) -> str:
        """A table float for booktabs."""
        notes = "".join(f" [{i}]~{names.latex(note)}." for i, note in enumerate(self.notes, 1))
        begin, _, head, _, *rows, _, end = self._tabulate("latex_raw", names.latex, "\\textbf{{{}}}").splitlines()
        theirs = sum(not row.ours for row in self.rows)
        blocks = "\n\\midrule\n".join("\n".join(block) for block in ([head], rows[:theirs], rows[theirs:]) if block)
        body = f"{begin}\n\\toprule\n{blocks}\n\\bottomrule\n{end}"
        return f"\\begin{{table}}\n\\centering\n\\caption{{{names.latex(self.title)}.{notes}}}\n{body}\n\\end{{table}}\n"

    def _tabulate(self, format: str, escape: Escape, bold: str) -> str:
        """The table alone, one's own rows set in bold."""
        texts = [(row.ours, row.texts(list(self.columns), escape)) for row in self.rows]
        rows = [[bold.format(text) for text in row] if ours else row for ours, row in texts]
        heads, align = ["encoder", *map(escape, self.columns.values())], ["left", *("right" for _ in self.columns)]
        return tabulate(rows, heads, tablefmt=format, colalign=align, disable_numparse=True)


FORMATS: dict[str, Callable[[ResultTable], str]] = {"markdown": ResultTable.markdown, "latex": ResultTable.latex}


def collect(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The results of evaluations: of the folders themselves, or of all below them; ``InputError`` where there are none."""
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

    ``all`` has one's own rows alone, with every protocol. ``benchmarks`` are the only ones to show; all where empty.
    """
    title, protocols = PROTOCOLS[style]
    theirs = [
        (row, (benchmark, protocol), f"{value:.1f}")
        for protocol, rows in published.rows.items()
        for row in rows
        for benchmark, value in row.top1.items()
        if style != "all" and re.fullmatch(protocols, protocol)
    ]
    ours = [(_column(r, published), r) for r in results if re.fullmatch(protocols, r["protocol"])]
    found = {column for _, column, _ in theirs} | {column for column, _ in ours}
    seen = {column for column in found if not benchmarks or set(column[0].split(">")) & set(benchmarks)}
    theirs = [cell for cell in theirs if cell[1] in seen]
    notes = list(dict.fromkeys(row.footnote for row, *_ in theirs))
    rows = []
    for method in dict.fromkeys(row.method for row, *_ in theirs):
        mine = [cell for cell in theirs if cell[0].method == method]
        numbers = sorted({1 + notes.index(row.footnote) for row, *_ in mine})
        rows.append(TableRow(method, {column: value for _, column, value in mine}, ours=False, notes=tuple(numbers)))
    rows += _own_rows([cell for cell in ours if cell[0] in seen])
    if not rows:
        raise InputError(f"--style {style}: none of the given evaluations belongs into it, and no published figure is known")
    columns = sorted(seen, key=lambda column: _order(column, list(published.benchmarks)))
    headings = {column: _heading(published.title(column[0]), column[1], style) for column in columns}
    return ResultTable(f"{title}: top-1 accuracy (%)", headings, rows, notes)


def _own_rows(cells: Sequence[tuple[Column, dict[str, Any]]]) -> Iterator[TableRow]:
    """A row for all results of encoders that are called alike, and a further one where they are not the same."""
    rows: dict[str, list[dict[Column, list[dict[str, Any]]]]] = {}
    for column, result in cells:
        alike = rows.setdefault(_label(result), [])
        fitting = (row for row in alike if column not in row or _encoder(row[column][0]) == _encoder(result))
        if (row := next(fitting, None)) is None:
            alike.append(row := {})
        row.setdefault(column, []).append(result)
    for label, alike in rows.items():
        for number, row in enumerate(alike, 1):
            name = f"{label} ({number})" if len(alike) > 1 else label
            yield TableRow(name, {column: _cell(results) for column, results in row.items()}, ours=True)


def _encoder(result: dict[str, Any]) -> Any:
    """What must be the same for two evaluations to be runs of one thing, seeds aside."""
    run = result["pretraining"] or result["config"] or {}
    weights = result["checkpoint"] if result["untrained"] and "model" not in run else None
    return [*map(run.get, ("model", "method", "init_from", "converted")), result["pretrained_on"], weights]


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


def _order(column: Column, known: list[str]) -> tuple[Any, ...]:
    places = [known.index(part) if part in known else len(known) for part in reversed(column[0].split(">"))]
    number = re.search(r"_([\d.]+)(_per_class)?", column[1])
    return places, column[0], column[1].partition("_")[0], bool(number and number[2]), float(number[1] if number else 0)


def _heading(benchmark: str, protocol: str, style: Style) -> str:
    if style in ("III", "all"):
        title = protocol_title(protocol)
        return f"{benchmark}, {title.removeprefix('fine-tuned on ') if style == 'III' else title}"
    _, comma, pool = protocol.partition(", ")
    return benchmark + comma + pool


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
    run = result["pretraining"] or {}
    if "method" in run:
        epochs = train.get("epochs") if isinstance(train := run.get("train"), dict) else None
        method, length = part_name("method", run) or "untold", counted(epochs, "epoch") if isinstance(epochs, int) else None
    else:
        start = "untrained" if result["protocol"] in ("linear", "knn") else "from scratch"
        method, length = start if result["untrained"] else "converted" if "converted" in run else "untold", None
    model = part_name("model", result["pretraining"] or result["config"])
    stream = None if result["stream"] == "joint" else result["stream"]
    return ", ".join(filter(None, (f"ours: {method}", model, length, stream)))


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
        backbone = fields["backbone"]
        path = (
            backbone["init_args"]["model"] if str(backbone["class_path"]).endswith(".GraphModel") else backbone["class_path"]
        )
        return f"{str(path).rpartition('.')[2]} of width {fields['width']}"
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
