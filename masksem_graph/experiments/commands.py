"""How a step is written on the command line. Nothing else in the package knows that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from masksem_graph.experiments.steps import Step

SEED = {"train": "train.seed", "evaluate": "seed"}
"""Command -> its option for the seed."""
EPOCHS = "train.epochs"
FORMATS = {".md": "markdown", ".tex": "latex"}
"""Ending of a table's file -> ``--format``; any other ending gives the terminal's."""


def arguments(step: Step, output: Path) -> list[str]:
    """The arguments of ``masksem-graph`` for a step.

    Args:
        step: what to run.
        output: the folder of the experiment.
    """
    options = dict(step.options)
    words: list[str] = [step.command]
    if step.command == "prepare":
        words += [as_text(options.pop("format")), as_text(options.pop("source", "SOURCE"))]
    for name, steps in step.places.items():
        words += [f"--{name}"] if name else []
        words += [str(output / other) for other in steps]
    for name, value in options.items():
        words += [f"--{name}", as_text(value)]
    if step.command == "table" and "format" not in options:
        words += ["--format", FORMATS.get(Path(step.name).suffix, "terminal")]
    return [*words, "--output", str(output / step.name)]


def as_text(value: Any) -> str:
    """A value as it is written on a command line."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
