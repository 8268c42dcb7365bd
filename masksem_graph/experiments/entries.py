"""The YAML files of recipes and ablations, read and checked: steps that have no seed yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import Any

from masksem_graph.errors import InputError
from masksem_graph.experiments.commands import as_text
from masksem_graph.experiments.steps import COMMANDS, Step, check_options, mapping

RECIPE, ABLATION = {"title", "seeds", "roots", "steps"}, {"title", "train", "grid", "variants"}
ON = {"seeds", "roots", "train", "evaluate"}
NAME = re.compile(r"\w[\w.-]*")


def recipe_steps(source: str, found: Any, trust: Sequence[str]) -> list[Step]:
    """The steps of a recipe.

    Args:
        source: its file, for errors.
        found: what ``steps`` holds: mappings of ``COMMAND: NAME`` and the command's options.
        trust: packages whose classes may be named.
    """
    if not isinstance(found, list) or not found:
        raise InputError(f"{source}: steps: expected a list of steps, found {found!r}")
    steps: list[Step] = []
    for i, fields in enumerate(found, 1):
        fields = mapping(source, f"step {i}", fields)
        if (command := next(iter(fields), None)) not in COMMANDS:
            raise InputError(f"{source}: step {i}: expected `COMMAND: NAME` first, of {', '.join(COMMANDS)}; found {command}")
        name, parts = str(fields.pop(command)), 2 if command == "evaluate" else 1
        if len(name.split("/")) != parts or not all(NAME.fullmatch(part) for part in name.split("/")):
            raise InputError(f"{source}: step {i}: expected {command}: {'RUN/' * (parts - 1)}NAME, found {name}")
        if name in [step.name for step in steps]:
            raise InputError(f"{source}: step {i}: {name}: an earlier step has this name; expected another one")
        steps.append(Step(name, command, check_options(source, name, fields, trust)))
    return steps


def ablation_steps(
    source: str, fields: dict[str, Any], on_source: str, on: dict[str, Any], trust: Sequence[str]
) -> list[tuple[tuple[str, ...], list[Step]]]:
    """Each variant's labels, one an axis, and its steps: ``run``, before it ``first`` for a warm start, and the evaluations.

    Args:
        source, fields: the ablation.
        on_source, on: what it runs on.
        trust: packages whose classes may be named.
    """
    base = check_options(on_source, "train", on.get("train", {}), trust)
    base |= check_options(source, "train", fields.get("train", {}), trust)
    evaluations = mapping(on_source, "evaluate", on.get("evaluate", {}))
    if not evaluations or not all(NAME.fullmatch(name) and name not in ("run", "first") for name in evaluations):
        raise InputError(f"{on_source}: evaluate: expected NAME: options, other than run and first, found {evaluations!r}")
    last = [
        Step(name, "evaluate", {"run": "run", **check_options(on_source, f"evaluate.{name}", options, trust)})
        for name, options in evaluations.items()
    ]
    variants = []
    for combination in product(*_axes(source, fields, trust)):
        chosen, first = dict(base), []
        for _, changes in combination:
            chosen |= changes
        if "init_from" in chosen:
            start = check_options(source, "init_from", chosen["init_from"], trust)
            del chosen["init_from"]
            first, chosen["train.init_from"] = [Step("first", "train", base | start)], "first"
        variants.append((tuple(label for label, _ in combination), [*first, Step("run", "train", chosen), *last]))
    return variants


def _axes(source: str, fields: dict[str, Any], trust: Sequence[str]) -> list[list[tuple[str, dict[str, Any]]]]:
    """The labels along each axis, with what each changes."""
    if ("grid" in fields) == ("variants" in fields):
        raise InputError(f"{source}: expected either `grid:` or `variants:`")
    axes = []
    for axis, values in mapping(source, "grid", fields.get("grid", {"variants": fields.get("variants")})).items():
        if isinstance(values, list) and "grid" in fields:
            values = {as_text(value): {axis: value} for value in values}
        if not isinstance(values, dict) or not values:
            expected = "expected label: {option: value}, or a list of the option's values"
            raise InputError(f"{source}: {axis}: {expected}, found {values!r}")
        axes.append([(str(label), check_options(source, f"{axis}.{label}", one, trust)) for label, one in values.items()])
    if not axes:
        raise InputError(f"{source}: grid: expected at least one axis, found none")
    return axes
