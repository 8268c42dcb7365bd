"""The paper's tables: published figures and one's own evaluations side by side."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from masksem_graph.errors import InputError
from masksem_graph.files import read_yaml, shipped
from masksem_graph.report.evaluation import read_results
from masksem_graph.report.published import TRANSFER, Published

Style = Literal["I", "II", "III", "IV", "all"]

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
        notes: numbers of the footnotes with its sources.
    """

    label: str
    cells: dict[Column, str]
    ours: bool
    notes: list[int] = field(default_factory=list)


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
    style: Style, results: Sequence[dict[str, Any]], published: Published, benchmarks: Sequence[str] = ()
) -> ResultTable:
    """Put published rows and one's own results of a style's protocols into one table.

    Args:
        style: which of the paper's tables; ``all`` has one's own rows alone, with every protocol.
        results: of evaluations; those of other protocols are left out.
        published: the figures to compare with.
        benchmarks: the only ones to show; all where empty.
    """
    wanted = re.compile(PROTOCOLS[style])
    theirs = list(_published_cells(wanted, published)) if style != "all" else []
    ours = [(_label(r), column, r) for r in results if (column := _column(r, published)) and wanted.fullmatch(column[1])]
    found = {cell[1] for cell in theirs} | {cell[1] for cell in ours}
    seen = {column for column in found if not benchmarks or set(column[0].split(">")) & set(benchmarks)}
    columns = sorted(seen, key=lambda column: _order(column, published))
    sources = list(dict.fromkeys(source for _, column, _, source in theirs if column in seen))
    rows = [*_published_rows(theirs, columns, sources), *_own_rows(ours, columns)]
    if not rows:
        raise InputError(f"--style {style}: none of the given evaluations belongs into it, and no published figure is known")
    headings = {column: _heading(column, published, style) for column in columns}
    return ResultTable(TITLES[style], headings, rows, sources)


def _published_cells(wanted: re.Pattern[str], published: Published) -> Iterator[tuple[str, Column, float, str]]:
    for protocol, rows in published.rows.items():
        for row in rows if wanted.fullmatch(protocol) else ():
            for benchmark, value in row.top1.items():
                yield row.method, (benchmark, protocol), value, row.source


def _published_rows(
    cells: Sequence[tuple[str, Column, float, str]], columns: Sequence[Column], sources: Sequence[str]
) -> Iterator[TableRow]:
    for method in dict.fromkeys(method for method, column, *_ in cells if column in columns):
        mine = [(column, value, source) for name, column, value, source in cells if name == method and column in columns]
        notes = sorted({1 + sources.index(source) for _, _, source in mine})
        yield TableRow(method, {column: f"{value:.1f}" for column, value, _ in mine}, ours=False, notes=notes)


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
    run = result["pretraining"] or result.get("config") or {}
    weights = result.get("checkpoint") if result["untrained"] and "model" not in run else None
    return run.get("model"), run.get("method"), run.get("init_from"), run.get("converted"), result["pretrained_on"], weights


def _cell(results: Sequence[dict[str, Any]]) -> str:
    """One evaluation's figure with the deviation of its runs, or the mean of several evaluations with theirs."""
    values = [result["top1"] for result in results]
    deviation = results[0]["std"] if len(results) == 1 else statistics.stdev(values)
    return f"{statistics.fmean(values):.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")


def _column(result: dict[str, Any], published: Published) -> Column:
    benchmark = published.benchmark(result["data_set"], result["split"])
    before = result["pretrained_on"]
    if result["protocol"] == TRANSFER and before is not None:
        benchmark = f"{published.benchmark(before, before['split'])}>{benchmark}"
    return benchmark, result["protocol"]


def _order(column: Column, published: Published) -> tuple[Any, ...]:
    known = list(published.benchmarks)
    places = tuple(known.index(part) if part in known else len(known) for part in reversed(column[0].split(">")))
    protocol, _, part = column[1].partition("_")
    number, per_class, _ = part.partition("_per_class")
    return places, column[0], protocol, bool(per_class), float(number or 0)


def _heading(column: Column, published: Published, style: Style) -> str:
    benchmark, protocol = column
    title = published.title(benchmark)
    if style == "all":
        return f"{title}, {protocol_title(protocol)}"
    return f"{title}, {protocol_title(protocol).removeprefix('fine-tuned on ')}" if style == "III" else title


def protocol_title(protocol: str) -> str:
    """A protocol's name in words: ``semi_10`` -> ``fine-tuned on 10 %``."""
    base, _, part = protocol.partition("_")
    words = {"linear": "linear", "knn": "k-NN", "finetune": "fine-tuned", "semi": "fine-tuned"}.get(base, base)
    if not part:
        return words
    number, per_class, _ = part.partition("_per_class")
    return f"{words} on {number} per class" if per_class else f"{words} on {part} %"


def _label(result: dict[str, Any]) -> str:
    """What an encoder of one's own is: method, scale, epochs, stream."""
    run = result["pretraining"]
    if run is None or "method" not in run:
        start = "untrained" if result["protocol"] in ("linear", "knn") else "from scratch"
        name = [start if result["untrained"] else "converted" if run and "converted" in run else "untold"]
    else:
        name = [preset("method", run["method"]), f"{run['epochs']} epochs"]
    model = (run or result.get("config") or {}).get("model")
    stream = [] if result["stream"] == "joint" else [result["stream"]]
    return ", ".join(["ours: " + name[0], *([preset("model", model)] if model else []), *name[1:], *stream])


def preset(kind: Literal["method", "model"], fields: dict[str, Any]) -> str:
    """The shipped configuration that says the same as ``fields``, or else its main part's class or its width."""
    for path in sorted((shipped("configs") / kind).glob("*.yaml")):
        if _says(read_yaml(path)[kind], fields):
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


STYLES: tuple[Style, ...] = get_args(Style)
