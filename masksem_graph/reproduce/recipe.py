"""A recipe's YAML, and the commands that it stands for."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml, read_yaml
from masksem_graph.report.tables import Style
from masksem_graph.training.checkpoint import load_checkpoint

Kind = Literal["train", "evaluate", "fuse"]


@dataclass(frozen=True)
class EvaluationRecipe:
    """An evaluation of a run.

    Args:
        config: names of configurations; the last wins.
        options: what else to set, as on the command line.
        root: which of the recipe's roots its own data lies in; the run's data where omitted.
    """

    config: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    root: str | None = None


@dataclass(frozen=True)
class RunRecipe:
    """A pre-training run.

    Args:
        config: names of configurations; the last wins.
        evaluations: by the name of their folder.
        options: what else to set, as on the command line.
        root: which of the recipe's roots its data lies in; none for embedded data.
    """

    config: list[str]
    evaluations: dict[str, EvaluationRecipe]
    options: dict[str, Any] = field(default_factory=dict)
    root: str | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything from raw files to the tables.

    Args:
        runs: by the name of their folder.
        roots: places of data that have to be given: name -> what is expected there.
        fuse: folder -> evaluations (``RUN/EVALUATION``) whose scores are added up.
        tables: which tables to print in the end.
    """

    runs: dict[str, RunRecipe]
    roots: dict[str, str] = field(default_factory=dict)
    fuse: dict[str, list[str]] = field(default_factory=dict)
    tables: list[Style] = field(default_factory=lambda: ["all"])

    def __post_init__(self) -> None:
        evaluations = {f"{run}/{name}" for run, recipe in self.runs.items() for name in recipe.evaluations}
        named = [run.root for run in self.runs.values()]
        named += [evaluation.root for run in self.runs.values() for evaluation in run.evaluations.values()]
        if unknown := {root for root in named if root is not None} - set(self.roots):
            raise InputError(f"root: expected one of {', '.join(self.roots) or 'none'}, found {sorted(unknown)[0]}")
        for name, parts in self.fuse.items():
            if unknown := set(parts) - evaluations:
                raise InputError(f"fuse.{name}: expected evaluations of this recipe, found {sorted(unknown)[0]}")


@dataclass(frozen=True)
class Step:
    """A command of a recipe.

    Args:
        name: of its folder below the output.
        kind: the command.
        folder: where its result goes.
        arguments: of the command.
        needs: names of steps whose results it reads.
        missing: the root that was not given, so that the step is left out.
    """

    name: str
    kind: Kind
    folder: Path
    arguments: list[str]
    needs: tuple[str, ...] = ()
    missing: str | None = None

    @property
    def command(self) -> str:
        """As it could be typed."""
        name = "train" if self.kind == "train" else "evaluate"
        return " ".join(["masksem-graph", name, *(f"'{a}'" if set(a) & set(' {["') else a for a in self.arguments)])

    @property
    def finished(self) -> bool:
        """Whether its result is there."""
        if self.kind != "train":
            return (self.folder / "results.json").is_file()
        last = self.folder / "last.pt"
        return last.is_file() and bool(load_checkpoint(last)["finished"])


def load_recipe(name_or_path: str) -> tuple[Recipe, dict[str, Any]]:
    """A recipe and the same as plain data.

    Raises:
        InputError: no such file, or a field that is wrong.
    """
    path = find_yaml(name_or_path, "configs")
    fields = read_yaml(path)
    if not isinstance(fields, dict):
        raise InputError(f"{path}: expected a mapping with runs, found {type(fields).__name__}")
    # The parser marks what it is given with the classes that it finds.
    return parse_mapping(Recipe, copy.deepcopy(fields), source=path), fields


def steps_of(recipe: Recipe, output: Path, *, roots: Mapping[str, str], shared: Mapping[str, Any]) -> list[Step]:
    """The commands in order; a step whose root is not given is there as ``missing``, and so is what needs it.

    Args:
        recipe: what to do.
        output: the folder for everything.
        roots: where the data lies.
        shared: options of every command, such as ``device.precision``.
    """
    steps: list[Step] = []
    for run_name, run in recipe.runs.items():
        folder, missing = output / run_name, _missing(run.root, roots)
        options = {**run.options, **shared, **_root_option(run.root, roots), "output": str(folder)}
        steps.append(Step(run_name, "train", folder, [*_configs(run.config), *_options(options)], missing=missing))
        for name, evaluation in run.evaluations.items():
            own = {**evaluation.options, **shared, **_root_option(evaluation.root, roots)}
            own |= {"checkpoint": str(folder), "output": str(folder / name)}
            arguments = [*_configs(evaluation.config), *_options(own)]
            left_out = missing or _missing(evaluation.root, roots)
            steps.append(Step(f"{run_name}/{name}", "evaluate", folder / name, arguments, (run_name,), left_out))
    gone = {step.name: step.missing for step in steps if step.missing}
    for name, parts in recipe.fuse.items():
        arguments = ["--fuse", *(str(output / part) for part in parts), "--output", str(output / name)]
        left_out = next((gone[part] for part in parts if part in gone), None)
        steps.append(Step(name, "fuse", output / name, arguments, tuple(parts), left_out))
    return steps


def _missing(root: str | None, roots: Mapping[str, str]) -> str | None:
    return root if root is not None and root not in roots else None


def _root_option(root: str | None, roots: Mapping[str, str]) -> dict[str, str]:
    return {"data.root": roots[root]} if root is not None and root in roots else {}


def _configs(names: list[str]) -> list[str]:
    return [argument for name in names for argument in ("--config", name)]


def _options(fields: Mapping[str, Any]) -> list[str]:
    return [argument for name, value in _flat(fields) for argument in (f"--{name}", _text(value))]


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping) and "class_path" not in value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
