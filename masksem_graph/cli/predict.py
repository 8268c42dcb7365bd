"""Name the action in clips: the likeliest classes and their probabilities."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from masksem_graph.config import Parser
from masksem_graph.data.readers import reader_class, reader_names
from masksem_graph.errors import InputError
from masksem_graph.evaluation.classifier import load_classifier
from masksem_graph.evaluation.loose_clips import gather
from masksem_graph.report.names import cell
from masksem_graph.training.devices import DeviceConfig, launch


def main(argv: Sequence[str]) -> None:
    """Run ``predict CLIP... --checkpoint EVALUATION``; the format's reader adds its own options."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--format")
    format = first.parse_known_args(list(argv))[0].format
    parser = Parser(prog="masksem-graph predict", description=__doc__)
    parser.add_argument("clips", type=str, nargs="+", help="files, folders or stores in any format that `prepare` reads")
    parser.add_argument("--checkpoint", type=str, required=True, help="folder of an evaluation that trained a head")
    parser.add_argument("--format", type=str, help=f"of the clips: {', '.join(reader_names())}; by default their endings tell")
    parser.add_argument("--top", type=int, default=5, help="how many classes to name")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each clip instead of a table")
    parser.add_class_arguments(DeviceConfig, "device", fail_untyped=True)
    options = parser.add_class_arguments(reader_class(format)) if format else []
    found = parser.parse_args(list(argv))
    if found.top < 1:
        raise InputError(f"--top: expected at least 1, found {found.top}")
    classifier = load_classifier(Path(found.checkpoint))
    data = classifier.shown.get("data", {})
    with TemporaryDirectory() as folder:
        store = gather(
            [Path(clip) for clip in found.clips],
            Path(folder) / "store",
            format=found.format,
            options={name: found[name] for name in options},
            usual=data.get("format"),
            origin=data.get("origin"),
        )
        probabilities = classifier.probabilities(store, launch(DeviceConfig(**vars(found.device))).device)
        names = [str(name) for name in store.name]
    values, labels = probabilities.topk(min(found.top, len(classifier.classes)), dim=1)
    rows = [
        {
            "clip": name,
            "top": [{"class": classifier.classes[label], "probability": value} for label, value in zip(some, p, strict=True)],
        }
        for name, some, p in zip(names, labels.tolist(), values.tolist(), strict=True)
    ]
    _print_lines(rows) if found.json else _print_table(rows)


def _print_lines(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    table = Table()
    table.add_column("clip", overflow="fold")
    for place in range(len(rows[0]["top"])):
        table.add_column(f"{place + 1}.")
        table.add_column("%", justify="right")
    for row in rows:
        cells = [text for guess in row["top"] for text in (guess["class"], f"{100 * guess['probability']:.1f}")]
        table.add_row(*map(cell, (row["clip"], *cells)))
    Console().print(table)
