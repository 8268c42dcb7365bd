"""The page of a run."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from masksem_graph.errors import InputError
from masksem_graph.files import read_yaml
from masksem_graph.report.figures import NEIGHBOURS
from masksem_graph.report.page.content import Column, Fact, Page, Section, Table
from masksem_graph.report.page.inside import evaluations_section, find_evaluations
from masksem_graph.report.page.names import data_name, part_name
from masksem_graph.report.page.pictures import find_pictures, of_kind
from masksem_graph.report.page.provenance import machine_facts, provenance_section
from masksem_graph.report.page.texts import MISSING, at, duration, number, percent, text, whole
from masksem_graph.training.metrics import read_metrics
from masksem_graph.training.provenance import PROVENANCE

METRICS = "metrics.csv"
NO_LOSS = ("epoch", "loss", "gradient_norm", "lr", "seconds", "sequences_per_second")


def run_page(folder: Path) -> Page:
    """What is on the page of a run: everything that its folder holds; what cannot be read becomes a note."""
    notes: list[str] = []
    config = _yaml(folder / "config.yaml", notes)
    data = data_name(_yaml(folder / "data.yaml", notes)) or data_name(at(config, "data"))
    starts = _yaml(folder / PROVENANCE, notes)
    starts = [start for start in starts if isinstance(start, dict)] if isinstance(starts, list) else []
    rows = metrics(folder, notes)
    if rows and isinstance(epochs := at(config, "epochs"), int) and rows[-1]["epoch"] < epochs:
        notes.append(f"Not finished: {whole(rows[-1]['epoch'])} of {epochs} epochs so far.")
    found, left_out = find_evaluations(folder)
    pictures, bad_pictures = find_pictures(folder)
    sections = [
        evaluations_section(folder, found),
        Section("curves", "Curves", pictures=of_kind(pictures, "curves")),
        Section("pictures", "Pictures", pictures=[picture for picture in pictures if not of_kind([picture], "curves")]),
        _epochs_section(rows),
        Section("configuration", "Configuration", text="config.yaml, as written.", code=_config_text(folder), folded=True),
        provenance_section(starts, {"Seed": text(at(config, "seed"))}),
    ]
    return Page(
        kind="run",
        title=_title(config, data) or folder.resolve().name,
        summary=_summary(config, data),
        facts=_facts(config, rows, starts),
        notes=[*notes, *left_out, *bad_pictures],
        sections=[section for section in sections if section.table or section.pictures or section.code],
    )


def metrics(folder: Path, notes: list[str]) -> list[dict[str, float]]:
    """The rows of ``metrics.csv``; none, and a note, where it is missing or damaged."""
    try:
        rows = read_metrics(folder)
    except FileNotFoundError:
        notes.append(f"{METRICS}: not there, so there are no curves.")
        return []
    except (OSError, ValueError, TypeError, csv.Error) as error:
        notes.append(f"{METRICS}: cannot be read: {' '.join(str(error).split())}")
        return []
    if any("epoch" not in row or "loss" not in row for row in rows):
        notes.append(f"{METRICS}: cannot be read: a row without epoch or loss")
        return []
    return rows


def _yaml(path: Path, notes: list[str]) -> Any:
    if not path.exists():
        return None
    try:
        return read_yaml(path)
    except InputError as error:
        notes.append(path.name + str(error).removeprefix(str(path)))
        return None


def _config_text(folder: Path) -> str:
    path = folder / "config.yaml"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _title(config: Any, data: str | None) -> str:
    method, model = part_name("method", config), part_name("model", config)
    named = " on ".join(part for part in (method, data) if part)
    return ", ".join([*([named] if named else []), *([f"model {model}"] if model else [])])


def _summary(config: Any, data: str | None) -> str:
    if at(config, "method") is None:
        return "An encoder whose configuration does not say how it was trained."
    method, model = part_name("method", config), part_name("model", config)
    masked = at(config, "method", "mask_ratio")
    said = f"Self-supervised pre-training by {method} on {data or 'unnamed data'}"
    if number(masked) != MISSING:
        said += f", {100 * masked:g} % of the nodes hidden"
    return f"{said}; encoder {model}, width {text(at(config, 'model', 'width'))}."


def _facts(config: Any, rows: Sequence[dict[str, float]], starts: Sequence[dict[str, Any]]) -> list[Fact]:
    facts = []
    if rows:
        last, seconds = rows[-1], sum(row.get("seconds", 0.0) for row in rows)
        losses = ", ".join(f"{name} {number(value, 3)}" for name, value in last.items() if _is_loss(name))
        facts += [
            Fact("Epochs", f"{whole(last['epoch'])} of {text(at(config, 'epochs'))}"),
            Fact("Loss, last epoch", number(last["loss"], 3), losses),
            *_neighbours(rows),
            Fact("Training time", duration(seconds), f"{whole(last.get('sequences_per_second'))} clips/s"),
        ]
    return [*facts, Fact("Seed", text(at(config, "seed"))), *machine_facts(starts)]


def _neighbours(rows: Sequence[dict[str, float]]) -> list[Fact]:
    """The last check by nearest neighbours; nothing where there was none."""
    for row in reversed(rows):
        found = {name: match.groups() for name in row if (match := NEIGHBOURS.match(name))}
        if near := {f"{data_set}, {k}" if data_set else k: row[name] for name, (data_set, k) in found.items()}:
            (k, value), *others = near.items()
            notes = [*(f"{k} nearest: {percent(value)}" for k, value in others), f"epoch {whole(row['epoch'])}"]
            return [Fact(f"k-NN, {k} nearest", percent(value), ", ".join(notes))]
    return []


def _is_loss(name: str) -> bool:
    return name not in NO_LOSS and not name.startswith(("knn_", "share_"))


def _epochs_section(rows: Sequence[dict[str, float]]) -> Section:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [Column(name.replace("_", " ")) for name in names]
    texts = [[f"{row[name]:g}" if name in row else "" for name in names] for row in rows]
    table = Table(columns, texts) if rows else None
    return Section("epochs", "Every epoch", text=f"{METRICS}, as written.", table=table, folded=True)
