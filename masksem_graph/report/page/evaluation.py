"""The page of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.report.evaluation import read_results
from masksem_graph.report.page.content import Column, Fact, Page, Section, Table
from masksem_graph.report.page.inside import COLUMNS, evaluations_section, find_evaluations, result_cells, top1
from masksem_graph.report.page.names import data_name, run_name, tested_on
from masksem_graph.report.page.pictures import find_pictures, of_kind
from masksem_graph.report.page.provenance import machine_facts, provenance_section
from masksem_graph.report.page.texts import MISSING, duration, interval, joined, number, percent, text, whole
from masksem_graph.report.tables import protocol_title

LONG = 30  # rows of a table that is folded
SHOWN = {"top1", "top5", "mean_class_accuracy", "mean", "std", "train_clips", "labelled_clips", "test_clips", "wall_seconds"}
MACHINE = {"processes", "threads"}
CLASS_COLUMNS = (
    Column("class", "text"),
    Column("test clips"),
    Column("recall %", "share"),
    Column("most often taken for", "text"),
)


def evaluation_page(folder: Path) -> Page:
    """What is on the page of an evaluation.

    Raises:
        InputError: the folder's ``results.json`` cannot be read.
    """
    results = read_results(folder)
    found, left_out = find_evaluations(folder)
    pictures, bad_pictures = find_pictures(folder)
    protocol = protocol_title(text(results.get("protocol")))
    data = tested_on(results)
    name = _encoder(results)
    sections = [
        _results_section(folder, results),
        _seeds_section(results),
        Section("further", "Further figures", table=_further(results)),
        Section("confusion", "Confusion", pictures=of_kind(pictures, "confusion")),
        _classes_section(results),
        evaluations_section(folder, found),
        Section("pictures", "Pictures", pictures=[picture for picture in pictures if not of_kind([picture], "confusion")]),
        _yaml_section("configuration", "Configuration of the evaluation", results.get("config")),
        _yaml_section("pretraining", "Configuration of the pre-training", results.get("pretraining")),
        provenance_section([results], _origin(results)),
    ]
    return Page(
        kind="evaluation",
        title=f"{protocol[:1].upper()}{protocol[1:]} on {data}: {name}",
        summary=_summary(results, data),
        facts=_facts(results),
        notes=[*left_out, *bad_pictures],
        sections=[section for section in sections if section.table or section.pictures or section.code],
    )


def _encoder(results: dict[str, Any]) -> str:
    if isinstance(fused := results.get("fused"), list):
        return f"{len(fused)} streams added up"
    name = run_name(results.get("pretraining")) or run_name(results.get("config"))
    if results.get("untrained"):
        return f"untrained {name}" if name else "untrained encoder"
    return name or "encoder"


def _summary(results: dict[str, Any], data: str) -> str:
    known = whole(results.get("labelled_clips"))
    what = "An encoder with freshly drawn weights" if results.get("untrained") else "An encoder pre-trained without labels"
    if "fused" in results:
        what = "The added class scores of several streams"
    trained = f"{known} labelled training clips, " if known != MISSING else ""
    return f"{what}, tested on {data}: {trained}{whole(results.get('test_clips'))} test clips."


def _facts(results: dict[str, Any]) -> list[Fact]:
    seeds = results.get("seeds")
    return [
        Fact("Top-1", percent(results.get("top1")), f"95 % interval: {interval(results.get('top1_interval'))}"),
        Fact("Top-5", percent(results.get("top5"))),
        Fact("Mean over classes", percent(results.get("mean_class_accuracy"))),
        Fact("Wall time", duration(results.get("wall_seconds"))),
        Fact("Seeds" if isinstance(seeds, list) and len(seeds) > 1 else "Seed", _listed(seeds)),
        *machine_facts([results]),
    ]


def _results_section(folder: Path, results: dict[str, Any]) -> Section:
    meaning = results.get("top1_interval_is")
    table = Table(COLUMNS[1:], [result_cells(results, of=folder)])
    return Section("results", "Results", text=f"The interval is: {meaning}." if meaning else "", table=table)


def _seeds_section(results: dict[str, Any]) -> Section:
    """Each run's figure, where there are several."""
    seeds, found = results.get("seeds"), results.get("top1_by_seed")
    if not (isinstance(seeds, list) and isinstance(found, list)) or len(seeds) < 2:
        return Section("runs", "Each run")
    seconds = results.get("seconds_by_seed")
    times = seconds if isinstance(seconds, list) else [None] * len(seeds)
    rows = [[text(seed), number(value), duration(time)] for seed, value, time in zip(seeds, found, times, strict=False)]
    table = Table([Column("seed"), Column("top-1 %"), Column("time")], [*rows, ["mean ± deviation", top1(results), ""]])
    return Section("runs", "Each run", table=table)


def _further(results: dict[str, Any]) -> Table | None:
    """Every other single number that the protocol found."""
    rows = [
        [name.replace("_", " "), f"{value:.4g}"]
        for name, value in results.items()
        if name not in SHOWN | MACHINE and number(value) != MISSING
    ]
    return Table([Column("", "text"), Column("")], rows, headed=False) if rows else None


def _classes_section(results: dict[str, Any]) -> Section:
    """Recall of each class, and what its clips are taken for."""
    recall, confusion = results.get("per_class_recall"), results.get("confusion")
    if not isinstance(recall, dict):
        return Section("classes", "Classes")
    seeds = results.get("seeds")
    runs = max(1, len(seeds)) if isinstance(seeds, list) else 1
    counts = confusion if _fits(confusion, len(recall)) else None
    rows = []
    for i, (name, value) in enumerate(recall.items()):
        clips = whole(sum(counts[i]) / runs) if counts else MISSING
        rows.append([name, clips, number(value), _taken_for(counts[i], i, list(recall)) if counts else MISSING])
    return Section("classes", "Classes", table=Table(CLASS_COLUMNS, rows), folded=len(rows) > LONG)


def _fits(confusion: Any, classes: int) -> bool:
    """Whether it is a square of numbers."""
    if not isinstance(confusion, list) or len(confusion) != classes:
        return False
    return all(
        isinstance(row, list) and len(row) == classes and all(number(count) != MISSING for count in row) for row in confusion
    )


def _taken_for(row: Sequence[float], true: int, classes: Sequence[str]) -> str:
    wrong = [(count, -j) for j, count in enumerate(row) if j != true and count > 0]
    if not wrong:
        return ""
    count, j = max(wrong)
    return f"{classes[-j]} ({100 * count / sum(row):.0f} %)"


def _yaml_section(id: str, title: str, fields: Any) -> Section:
    code = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True) if isinstance(fields, dict) else ""
    return Section(id, title, code=code, folded=True)


def _origin(results: dict[str, Any]) -> dict[str, str]:
    rows = {"Checkpoint": text(results.get("checkpoint"))}
    if isinstance(fused := results.get("fused"), list):
        rows = {"Added up": joined(fused), "Weights": _listed(results.get("weights"))}
    before = results.get("pretrained_on")
    return rows | {"Pre-trained on": text(data_name(before)), "Seeds": _listed(results.get("seeds"))}


def _listed(values: Any) -> str:
    return joined(values) if isinstance(values, list) else MISSING
