"""Run a whole set of experiments from raw files to the tables: pre-training, every protocol, the paper's figures beside."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rich.console import Console
from rich.table import Table

from masksem_graph.cli import evaluate, train
from masksem_graph.config import Parser
from masksem_graph.console import console, print_whole
from masksem_graph.data.clips import Residency
from masksem_graph.errors import InputError
from masksem_graph.evaluation.run import labelled_split
from masksem_graph.files import read_yaml, write_beside
from masksem_graph.models.build import build_encoder
from masksem_graph.protocols import Evaluation
from masksem_graph.report.published import load_published
from masksem_graph.report.tables import PROTOCOLS, ResultTable, build_table, collect
from masksem_graph.reproduce import Recipe, Step, load_recipe, steps_of
from masksem_graph.reproduce.estimate import Rates, in_words, measure_rates
from masksem_graph.training.devices import DeviceConfig, launch


def main(argv: Sequence[str]) -> None:
    """Run ``reproduce RECIPE --output DIR``; the recipe says which places of data it needs."""
    if not argv or argv[0].startswith("-"):
        _parser({}).parse_args(list(argv))
        raise InputError("reproduce: expected a recipe first, such as configs/reproduce/embedded.yaml")
    recipe, plain = load_recipe(argv[0])
    found = _parser(recipe.roots).parse_args(list(argv))
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "reproduce runs in one process; to use several, start the commands that --plan prints with "
            "torchrun, `-m masksem_graph` in place of `masksem-graph`"
        )
    output = Path(found.output)
    roots = {name: str(Path(path).resolve()) for name in recipe.roots if (path := found.roots[name]) is not None}
    device = DeviceConfig(**vars(found.device))
    usual = asdict(DeviceConfig())
    shared: dict[str, Any] = {"seed": found.seed} if found.seed else {}
    shared |= {f"device.{name}": value for name, value in asdict(device).items() if value != usual[name]}
    shared |= {"data.residency": found.residency} if found.residency else {}
    steps = steps_of(recipe, output, roots=roots, shared=shared)
    left = [step for step in steps if not step.missing and not step.finished]
    if not any(not step.missing for step in steps):
        raise InputError(f"--roots: nothing can run without {' or '.join(f'--roots.{name} PATH' for name in recipe.roots)}")
    _remember(output, plain | {"seed": found.seed})
    console.print(f"{len(steps)} steps, of which {len(left)} are to run", highlight=False)
    seconds = _estimates(steps, device) if left else {}
    _print_plan(steps, recipe, seconds)
    if not found.plan:
        for step in left:
            _run(step, seconds.get(step.name))
        _tables(steps, recipe, output)


def _parser(roots: dict[str, str]) -> Parser:
    parser = Parser(prog="masksem-graph reproduce", description=__doc__)
    parser.add_argument("recipe", type=str, help="a YAML file, or a shipped name such as reproduce/embedded")
    parser.add_argument("--output", type=str, required=True, help="folder for all runs; the same command goes on in it")
    parser.add_argument("--plan", type=bool, default=False, help="only say what would run, and how long it should take")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--residency", type=Residency | None, help="where frames lie while computing")
    parser.add_class_arguments(DeviceConfig, "device", fail_untyped=True)
    for name, expected in roots.items():
        parser.add_argument(f"--roots.{name}", type=str | None, help=expected)
    return parser


def _remember(output: Path, plain: dict[str, Any]) -> None:
    """Write the recipe beside its runs; results of another recipe are not to be mixed with this one's."""
    path = output / "recipe.yaml"
    if path.is_file() and read_yaml(path) != yaml.safe_load(yaml.safe_dump(plain)):
        raise InputError(f"--output: {output} holds the runs of another recipe or seed; expected another folder")
    with write_beside(path) as partial:
        partial.write_text(yaml.safe_dump(plain, sort_keys=False))


def _print_plan(steps: Sequence[Step], recipe: Recipe, seconds: dict[str, float | None]) -> None:
    table = Table(title="What will run", title_justify="left")
    table.add_column("step", overflow="fold", min_width=16)
    table.add_column("command", overflow="fold")
    table.add_column("takes about", justify="right")
    for step in steps:
        if step.missing:
            takes = f"left out: --roots.{step.missing} is not given ({recipe.roots[step.missing]})"
        elif step.finished:
            takes = "done"
        else:
            guess = seconds[step.name]
            takes = "unknown" if guess is None else in_words(guess)
        table.add_row(step.name, step.command, takes)
    console.print(table)
    if seconds:
        known = [value for value in seconds.values() if value is not None]
        console.print(f"in all about {in_words(sum(known))}, going by a few steps measured just now", style="bold")


def _estimates(steps: Sequence[Step], device: DeviceConfig) -> dict[str, float | None]:
    """Seconds of each step that is to run; None where nobody knows."""
    out: dict[str, float | None] = {}
    fabric = launch(device)
    rates: dict[str, Rates] = {}
    plans = {step.name: train.parse(step.arguments) for step in steps if step.kind == "train" and not step.missing}
    for step in steps:
        if step.missing or step.finished:
            continue
        if step.kind == "fuse":
            out[step.name] = 1.0
            continue
        run = step.name if step.kind == "train" else step.needs[0]
        config, plain = plans[run]
        alike = repr((plain["model"], plain["method"], plain["batch_size"], config.data.format, config.data.root))
        if alike not in rates:
            console.print(f"measuring a few steps for {run}", highlight=False)
            rates[alike] = _measure(config, fabric.device)
        if step.kind == "train":
            out[step.name] = _training_seconds(config, rates[alike])
        else:
            out[step.name] = _evaluation_seconds(step, plain, rates[alike])
    return out


def _measure(config: train.TrainConfig, device: torch.device) -> Rates:
    store = config.data.open()
    train_clips, test_clips = labelled_split(config.data, store)
    with torch.random.fork_rng(devices=[]):
        encoder = build_encoder(config.model, topology=store.topology, channels=store.frames.shape[-1])
    evaluation = Evaluation(
        encoder=encoder.to(device),
        source=train.build_source(store, config, device),
        train=train_clips,
        test=test_clips,
        classes=store.classes,
        crop=config.crop,
        augment=config.augment,
        bf16=config.device.precision == "bf16-mixed",
    )
    return measure_rates(evaluation, config.model, config.method, config.optim, batch_size=config.batch_size)


def _training_seconds(config: train.TrainConfig, rates: Rates) -> float:
    stores = config.data.open_each()
    splits = [stores[name].splits[data.split] for name, data in config.data.each.items()]
    train_clips, test_clips = (sum(len(split[part]) for split in splits) for part in ("train", "test"))
    checks = config.epochs // config.evaluate_every if config.evaluate_every else 0
    return rates.pretraining(train_clips, config.epochs) + checks * (train_clips + test_clips) / rates.encode


def _evaluation_seconds(step: Step, run: dict[str, Any], rates: Rates) -> float | None:
    parsed = evaluate.parse(step.arguments, run=run)
    config, protocol = parsed["config"], parsed["protocol"]
    store = config.data.open()
    train_clips, test_clips = labelled_split(config.data, store)
    labels = torch.from_numpy(np.array(store.label))[train_clips]
    labelled = config.labels.choose(train_clips, labels, config.seed)
    work = protocol.work(len(labelled), len(test_clips))
    return None if work is None else config.runs * rates.evaluation(work)


def _run(step: Step, guess: float | None) -> None:
    console.rule(step.name)
    console.print(step.command, soft_wrap=True, markup=False, highlight=False)
    began = time.monotonic()
    (train.main if step.kind == "train" else evaluate.main)(step.arguments)
    took = in_words(time.monotonic() - began)
    console.print(f"{step.name} took {took}" + (f", {in_words(guess)} were expected" if guess is not None else ""))


def _tables(steps: Sequence[Step], recipe: Recipe, output: Path) -> None:
    """Print the tables, and write them as ``tables.md`` and ``tables.tex``."""
    results = collect([step.folder for step in steps if step.kind != "train" and step.finished])
    published = load_published()
    benchmarks = sorted({published.benchmark(result["data_set"], result["split"]) for result in results})
    # A transfer that was left out leaves its table empty.
    styles = [
        style for style in recipe.tables if any(re.fullmatch(PROTOCOLS[style], result["protocol"]) for result in results)
    ]
    tables = [build_table(style, results, published, benchmarks) for style in styles]
    with write_beside(output / "tables.md") as partial:
        partial.write_text("\n".join(map(ResultTable.markdown, tables)))
    with write_beside(output / "tables.tex") as partial:
        partial.write_text("\n".join(map(ResultTable.latex, tables)))
    for table in tables:
        print_whole(Console(), table.terminal())
    console.print(f"written: {output / 'tables.md'}, {output / 'tables.tex'}")
