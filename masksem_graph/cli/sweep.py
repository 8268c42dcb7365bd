"""Run an ablation: variants times seeds, each pre-trained and evaluated, and a table of them."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from masksem_graph.cli import evaluate, train
from masksem_graph.console import console
from masksem_graph.data.config import DataConfig
from masksem_graph.data.readers import load_reader
from masksem_graph.errors import InputError
from masksem_graph.files import write_beside
from masksem_graph.sweep import Cell, Interrupted, Plan, Step, load_plan, run_cells, summarise
from masksem_graph.sweep.run import room
from masksem_graph.tasks.several import build_several
from masksem_graph.topology import encoder_topology, load_topology

MAY_CHANGE = train.MAY_CHANGE | {"checkpoint"}  # from one start of a sweep to the next
CHANNELS = 3  # coordinates of a joint in every format


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def main(argv: Sequence[str]) -> None:
    """Run ``sweep ABLATION --output DIR [--data NAME] [--epochs N] [--seeds N ...] [--jobs N] [--dry_run] [--a.b value]``."""
    options, more = _options(argv)
    output = Path(options.output)
    plan = load_plan(options.ablation, output=output, data=options.data, epochs=options.epochs, seeds=options.seeds, more=more)
    plan.refuse_others(MAY_CHANGE)
    checked = _check(plan)
    if options.dry_run:
        _print_plan(plan)
        return
    waiting = [cell for cell in plan.cells if not cell.finished]
    jobs = min(options.jobs or room(accelerator=checked.accelerator), max(len(waiting), 1))
    finished = len(plan.cells) - len(waiting)
    line = f"{plan.title}: {len(plan.cells)} cells, {finished} of them finished; {jobs} at once, in {output}"
    console.print(line, markup=False, soft_wrap=True)
    if waiting:
        checked.data.open_each()  # prepares a source once, and finds out now if it cannot be read
    _write_plan(plan, output)
    try:
        failed = run_cells(plan.cells, output, jobs=jobs)
    except Interrupted as stopped:
        console.print("stopped; the same command goes on from there")
        sys.exit(128 + stopped.signal)
    summary = summarise(plan)
    summary.write(output)
    console.print(summary.table())
    print(summary.markdown())
    console.print(f"written: {output}: results.csv, table.md, figures/variants.png", markup=False, soft_wrap=True)
    if failed:
        console.print(f"{len(failed)} of {len(plan.cells)} cells failed; the same command tries them again")
        sys.exit(1)


def _options(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = _Parser(
        prog="masksem-graph sweep",
        description=__doc__,
        epilog="Every other --name value is an option of train.py, for all cells; --data.root PATH for one.",
        allow_abbrev=False,
    )
    parser.add_argument("ablation", help="its YAML file, or a shipped name: ablation/table5, configs/ablation/table5.yaml")
    parser.add_argument("--output", required=True, help="the sweep's folder")
    parser.add_argument("--data", default="nw_ucla", help="what to run on: nw_ucla, demo, or a YAML of that kind")
    parser.add_argument("--epochs", type=int, help="of pre-training")
    parser.add_argument("--seeds", type=int, nargs="+", help="one run of every variant each")
    parser.add_argument("--jobs", type=int, help="runs at once; as many as have room where omitted")
    parser.add_argument("--dry_run", action="store_true", help="check and list what would be run")
    options, more = parser.parse_known_args(list(argv))
    if options.jobs is not None and options.jobs < 1:
        raise InputError(f"--jobs: expected at least 1, found {options.jobs}")
    return options, more


@dataclass(frozen=True)
class _Checked:
    """Of the first pre-training."""

    data: DataConfig
    accelerator: str


def _check(plan: Plan) -> _Checked:
    """Parse the commands and build every variant's networks, so that a fault shows now and not hours later.

    Seeds make no difference to that, and all cells are evaluated alike.

    Raises:
        InputError: the fault, with the cell's name.
    """
    some_seed = [cell for cell in plan.cells if cell.seed == plan.cells[0].seed]
    trainings = [_check_training(cell, step) for cell in some_seed for step in cell.steps if step.epochs]
    config, plain = trainings[0]
    for step in plan.cells[0].steps:
        if not step.epochs:
            evaluate.parse(step.arguments[1:], run=plain)
    return _Checked(config.data, config.device.accelerator)


def _check_training(cell: Cell, step: Step) -> tuple[train.TrainConfig, dict[str, Any]]:
    try:
        config, plain = train.parse(step.arguments[1:])
        readers = [load_reader(data.format, **data.options) for data in config.data.each.values()]
        topologies = [encoder_topology(config.model.topology, load_topology(reader.topology)) for reader in readers]
        build_several(config.model, config.method, topologies=topologies, channels=CHANNELS)
    except InputError as error:
        raise InputError(f"{cell.name}: {error}") from None
    return config, plain


def _print_plan(plan: Plan) -> None:
    """The commands, as a shell's script."""
    for cell in plan.cells:
        print(f"# {cell.name}{' (finished)' if cell.finished else ''}")
        for step in cell.steps:
            print(f"masksem-graph {shlex.join(step.arguments)}")
    steps = sum(len(cell.steps) for cell in plan.cells)
    console.print(f"{plan.title}: {len(plan.cells)} cells, {steps} commands, all of them valid; nothing was run", markup=False)


def _write_plan(plan: Plan, output: Path) -> None:
    cells = [{"name": cell.name, "folder": str(cell.folder.relative_to(output))} for cell in plan.cells]
    fields = {"title": plan.title, "axes": list(plan.axes), "evaluations": list(plan.evaluations), "cells": cells}
    with write_beside(output / "sweep.yaml") as partial:
        partial.write_text(yaml.safe_dump(fields, sort_keys=False))
