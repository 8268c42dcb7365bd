"""The evaluations that lie inside a folder, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from masksem_graph.errors import InputError
from masksem_graph.files import digest
from masksem_graph.report.evaluation import SCORES, encoder_name, read_results
from masksem_graph.report.page.content import Column, Section, Table
from masksem_graph.report.page.names import tested_on
from masksem_graph.report.page.texts import at, duration, interval, number, text, whole
from masksem_graph.report.tables import protocol_title

RESULTS = "results.json"
TRACES = (RESULTS, SCORES, "labelled.csv", "head.yaml")
"""What only an evaluation's folder holds; without the results it is one that did not finish."""

COLUMNS = (
    Column("folder", "text"),
    Column("protocol", "text"),
    Column("data", "text"),
    Column("encoder", "text"),
    Column("top-1 %"),
    Column("95 % interval"),
    Column("top-5 %"),
    Column("class mean %"),
    Column("test clips"),
    Column("time"),
)

Evaluations = list[tuple[Path, dict[str, Any]]]


def find_evaluations(folder: Path) -> tuple[Evaluations, list[str]]:
    """The evaluations in the sub-folders of a folder.

    Returns:
        folder and results of each, and a note on each one that is half-written or damaged.
    """
    places = {path.parent for name in TRACES for path in folder.rglob(name)} - {folder}
    found: Evaluations = []
    notes = []
    for place in sorted(places):
        inside = place.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        if not (place / RESULTS).is_file():
            notes.append(f"{inside.as_posix()}: an evaluation without {RESULTS}, so not finished; left out")
            continue
        try:
            found.append((place, read_results(place)))
        except InputError as error:
            notes.append(f"{inside.as_posix()}/{RESULTS}{str(error).removeprefix(str(place / RESULTS))}; left out")
    return found, notes


def evaluations_section(folder: Path, evaluations: Evaluations) -> Section:
    """A row for each of the evaluations inside ``folder``."""
    rows = [[place.relative_to(folder).as_posix(), *result_cells(results, of=folder)] for place, results in evaluations]
    table = Table(COLUMNS, rows) if rows else None
    return Section("evaluations", "Evaluations", text="Those in this folder. The interval is over test clips.", table=table)


def result_cells(results: dict[str, Any], *, of: Path) -> Sequence[str]:
    """The texts of an evaluation for `COLUMNS`, less the folder's."""
    return (
        protocol_title(text(results.get("protocol"))),
        tested_on(results),
        _encoder(results, of),
        top1(results),
        interval(results.get("top1_interval")),
        number(results.get("top5")),
        number(results.get("mean_class_accuracy")),
        whole(results.get("test_clips")),
        duration(results.get("wall_seconds")),
    )


def top1(results: dict[str, Any]) -> str:
    """Top-1 accuracy, with the deviation of the runs where there are several."""
    value, seeds = number(results.get("top1")), results.get("seeds")
    runs = len(seeds) if isinstance(seeds, list) else 1
    return f"{value} ± {number(results.get('std'))} ({runs} runs)" if runs > 1 else value


def _encoder(results: dict[str, Any], folder: Path) -> str:
    checkpoint = at(results, "checkpoint")
    if "fused" not in results and not results.get("untrained") and checkpoint == str(folder.resolve()):
        used, now = results.get("encoder_sha256"), folder / "encoder.safetensors"
        return "this one" if used is None or not now.is_file() or used == digest(now) else "an earlier state of this one"
    try:
        return encoder_name(results)
    except (KeyError, TypeError):
        return text(checkpoint)
