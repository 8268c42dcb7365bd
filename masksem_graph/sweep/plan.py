"""From an ablation's YAML to cells: what to run, command by command."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml, read_yaml, write_beside
from masksem_graph.sweep.fields import Fields, Overrides
from masksem_graph.training.checkpoint import load_checkpoint

ABLATION = {"title", "config", "options", "grid", "cells"}
DATA = {"config", "options", "epochs", "seeds", "evaluate"}
EVALUATION_SHARE = 0.05  # of pre-training's time that an evaluation is taken to cost, for the progress bar alone


@dataclass(frozen=True)
class Step:
    """One command of a cell.

    Args:
        name: ``first``, ``run``, or the name of an evaluation; also its folder within the cell's.
        arguments: of ``masksem-graph``.
        epochs: of a pre-training; 0 of an evaluation.
    """

    name: str
    arguments: list[str]
    epochs: int = 0

    def finished(self, cell: Path) -> bool:
        """Whether its folder holds the end of it."""
        if not self.epochs:
            return (cell / self.name / "results.json").is_file()
        checkpoint = cell / self.name / "last.pt"
        return checkpoint.is_file() and load_checkpoint(checkpoint)["finished"]


@dataclass(frozen=True)
class Cell:
    """A variant with a seed.

    Args:
        labels: axis -> the variant's name on it.
        seed: of everything random.
        folder: where its runs go.
        steps: what to do, in this order.
    """

    labels: dict[str, str]
    seed: int
    folder: Path
    steps: list[Step]

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join([*self.labels.values(), f"seed {self.seed}"])

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(step.finished(self.folder) for step in reversed(self.steps))

    def work(self, step: Step) -> float:
        """How long a step takes, in epochs."""
        return step.epochs or EVALUATION_SHARE * sum(other.epochs for other in self.steps)

    def save(self) -> None:
        """Write ``cell.yaml``, from which the cell's own process takes its steps."""
        fields = {"labels": self.labels, "seed": self.seed, "steps": [dataclasses.asdict(step) for step in self.steps]}
        with write_beside(self.folder / "cell.yaml") as partial:
            partial.write_text(yaml.safe_dump(fields, sort_keys=False))


def load_cell(folder: Path) -> Cell:
    """The cell that `Cell.save` wrote."""
    fields = read_yaml(folder / "cell.yaml")
    return Cell(fields["labels"], fields["seed"], folder, [Step(**step) for step in fields["steps"]])


@dataclass(frozen=True)
class Plan:
    """A sweep.

    Args:
        title: what is compared.
        axes: names of what varies.
        evaluations: names of the evaluations.
        cells: every variant with every seed; those of a variant stand together.
    """

    title: str
    axes: tuple[str, ...]
    evaluations: tuple[str, ...]
    cells: list[Cell]

    def refuse_others(self, free: set[str]) -> None:
        """Raise `InputError` where a cell's folder holds one with other settings.

        Args:
            free: options that may differ, with everything under them.
        """
        for cell in self.cells:
            if not (cell.folder / "cell.yaml").is_file():
                continue
            before, now = _settings(load_cell(cell.folder).steps, free), _settings(cell.steps, free)
            if before != now:
                odd = next((one, two) for one, two in zip_longest(before, now) if one != two)
                raise InputError(
                    f"--output: {cell.folder} was started with other settings: found {odd[0] or 'nothing'!r}, "
                    f"expected {odd[1] or 'nothing'!r}; name another folder"
                )


def _settings(steps: Sequence[Step], free: set[str]) -> list[str]:
    """The commands as ``name=value``, less the free options."""
    out = []
    for step in steps:
        pairs = zip(step.arguments[1::2], step.arguments[2::2], strict=True)
        named = [f"{step.name}: {name}={value}" for name, value in pairs if not _is_free(name, free)]
        out += [f"{step.name}: {step.arguments[0]}", *named]
    return out


def _is_free(option: str, free: set[str]) -> bool:
    return any((option.removeprefix("--") + ".").startswith(name + ".") for name in free)


def load_plan(
    name_or_path: str,
    *,
    output: Path,
    data: str,
    epochs: int | None = None,
    seeds: Sequence[int] | None = None,
    more: Sequence[str] = (),
) -> Plan:
    """Read an ablation.

    Args:
        name_or_path: its YAML, or a shipped name: ``ablation/table5``.
        output: the sweep's folder.
        data: what it runs on: a YAML, or a shipped name of ``configs/ablation/on``.
        epochs, seeds: in place of those of ``data``.
        more: further options of every pre-training, names and values in turn.

    Raises:
        InputError: a fault in a file, in one line that names it.
    """
    path = find_yaml(name_or_path, "configs")
    ablation = Fields(path, read_yaml(path), ABLATION)
    on = _data_fields(data)
    base = on.overrides().then(ablation.overrides())
    seeds = on.seeds() if seeds is None else list(seeds)
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise InputError(f"--seeds: expected different whole numbers from 0, found {list(seeds)}")
    epochs = on.whole("epochs") if epochs is None else epochs
    if epochs < 1:
        raise InputError(f"--epochs: expected at least 1, found {epochs}")
    axes, variants = ablation.variants()
    evaluations = on.evaluations()
    further = _pairs(more)
    cells = []
    for labels, changes in variants:
        chosen = base.then(changes).then(Overrides(options=further))
        for seed in seeds:
            folder = output / "cells" / "-".join(map(_slug, labels.values())) / f"seed{seed}"
            steps = [*_trainings(folder, base, chosen, further, epochs, seed), *_evaluations(folder, evaluations, seed)]
            cells.append(Cell(labels, seed, folder, steps))
    if len({cell.folder for cell in cells}) < len(cells):
        raise InputError(f"{path}: two variants' names differ in signs alone; expected names that make different folders")
    return Plan(str(ablation.fields.get("title") or path.stem), axes, tuple(evaluations), cells)


def _data_fields(name: str) -> Fields:
    shipped = name if Path(name).is_file() or "/" in name else f"ablation/on/{name}"
    path = find_yaml(shipped, "configs")
    return Fields(path, read_yaml(path), DATA)


def _trainings(
    folder: Path, base: Overrides, chosen: Overrides, further: dict[str, Any], epochs: int, seed: int
) -> list[Step]:
    """The pre-training, and before it the one that it starts from, if any."""
    steps, start = [], []
    if chosen.init_from is not None:
        first = base.then(chosen.init_from).then(Overrides(options=further))
        steps.append(_training(folder, "first", first, [], epochs, seed))
        start = ["--init_from", str(folder / "first")]
    return [*steps, _training(folder, "run", chosen, start, epochs, seed)]


def _training(folder: Path, name: str, chosen: Overrides, start: list[str], epochs: int, seed: int) -> Step:
    count = max(round(epochs * chosen.epochs_times), 1)
    ending = ["--epochs", str(count), "--seed", str(seed), "--output", str(folder / name)]
    return Step(name, ["train", *chosen.arguments(), *start, *ending], count)


def _evaluations(folder: Path, evaluations: dict[str, Overrides], seed: int) -> list[Step]:
    ending = ["--checkpoint", str(folder / "run"), "--seed", str(seed)]
    return [
        Step(name, ["evaluate", *chosen.arguments(), *ending, "--output", str(folder / name)])
        for name, chosen in evaluations.items()
    ]


def _pairs(more: Sequence[str]) -> dict[str, Any]:
    """``--a.b value`` and ``--a.b=value`` as a mapping."""
    words = [part for word in more for part in (word.split("=", 1) if word.startswith("--") else [word])]
    if len(words) % 2 or not all(name.startswith("--") for name in words[::2]):
        raise InputError(f"expected options of train.py as --name value, found {' '.join(more)}")
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


def _slug(label: str) -> str:
    return re.sub(r"[^\w.]+", "_", label).strip("_") or "_"
