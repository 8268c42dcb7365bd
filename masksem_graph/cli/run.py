"""Run a recipe or an ablation: every step that is not finished yet, then the tables."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from masksem_graph.cli import set_apart
from masksem_graph.console import console, print_whole
from masksem_graph.errors import InputError
from masksem_graph.experiments import ExperimentPlan, Stopped, arguments, finished, load_plan, run_steps, summarise
from masksem_graph.files import require_folder
from masksem_graph.parser import Parser


def main(argv: list[str]) -> None:
    """Run ``run NAME --output DIR [--on NAME] [--seeds 0,1,2] [--data.root DIR] [--set a=b] [--a.b value]``."""
    plain, given = set_apart(argv, lambda name: "." in name)
    dotted: dict[str, Any] = dict(given)
    parser = Parser(prog="masksem-graph run", description=f"{__doc__} Every --a.b VALUE is an option of the train steps.")
    parser.add_argument("experiment", type=str, help="a YAML file, or a shipped name: embedded, table5")
    parser.add_argument("--output", type=str, required=True, help="the folder; the same command goes on in it")
    parser.add_argument("--on", type=str, default="nw_ucla", help="what an ablation runs on: nw_ucla, demo, or a YAML file")
    parser.add_argument("--seeds", type=str | None, help="in place of the file's own, such as 0,1,2")
    parser.add_argument("--set", type=str, action="append", default=[], help="A=B: an option of the train steps, any name")
    parser.add_argument("--jobs", type=int, default=1, help="steps at once")
    parser.add_argument("--keep_going", type=bool, default=True, help="after a failure, run what does not need that step")
    parser.add_argument("--trust", type=str, action="append", default=[], help="a package whose classes the file may name")
    parser.add_argument("--dry_run", type=bool, default=False, help="print the commands; run nothing")
    found = parser.parse_args(plain)
    if found.jobs < 1:
        raise InputError(f"--jobs: expected at least 1, found {found.jobs}")
    for one in found.set:
        if "=" not in one:
            raise InputError(f"--set: expected OPTION=VALUE, found {one}")
        dotted |= [one.split("=", 1)]
    roots = {name.removeprefix("roots."): dotted.pop(name) for name in list(dotted) if name.startswith("roots.")}
    roots |= {"data": dotted.pop("data.root")} if "data.root" in dotted else {}
    if found.seeds is not None and not re.fullmatch(r"\d+(,\d+)*", found.seeds):
        raise InputError(f"--seeds: expected whole numbers such as 0,1,2, found {found.seeds}")
    seeds = None if found.seeds is None else [int(seed) for seed in found.seeds.split(",")]
    plan = load_plan(
        found.experiment,
        on=found.on,
        seeds=seeds,
        overrides=dotted,
        roots=roots,
        trust=[module for names in found.trust for module in names.split(",")],
    )
    output = Path(found.output)
    plan.refuse_others(output)
    if found.dry_run:
        for step in plan.steps:
            note = "left out" if step.missing else "finished" if finished(output / step.name) else ""
            print(f"{'# ' + note + ': ' if note else ''}masksem-graph {shlex.join(arguments(step, output))}")
        for missing in dict.fromkeys(step.missing for step in plan.steps if step.missing):
            print(f"left out: what needs {missing}", file=sys.stderr)
        return
    _run(plan, output, jobs=found.jobs, keep_going=found.keep_going)


def _run(plan: ExperimentPlan, output: Path, *, jobs: int, keep_going: bool) -> None:
    if all(step.missing for step in plan.steps):
        raise InputError(f"nothing can run without {plan.steps[0].missing}")
    require_folder(output)
    plan.record(output)
    for step in plan.steps:
        if step.missing:
            console.print(f"left out: {step.name}, without {step.missing}", markup=False, highlight=False, soft_wrap=True)
    try:
        failed = run_steps(plan, output, jobs=jobs, keep_going=keep_going)
    except Stopped as stopped:
        console.print("stopped; the same command goes on from there")
        sys.exit(128 + stopped.signal)
    summary = summarise(plan, output)
    summary.write(output)
    print_whole(Console(), summary.table())
    for step in plan.steps:
        if step.command == "table" and (output / step.name).is_file():
            print((output / step.name).read_text())
    console.print(f"written: {output}: results.csv, table.md and more", markup=False, soft_wrap=True)
    for name, reason in failed.items():
        console.print(f"FAILED: {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    if failed:
        console.print("the same command tries again what failed")
        sys.exit(1)
