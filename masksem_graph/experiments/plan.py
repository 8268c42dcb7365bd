"""From a recipe's or an ablation's YAML to steps. No code of the file's choice runs here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.errors import InputError
from masksem_graph.experiments.commands import as_text
from masksem_graph.experiments.entries import ABLATION, ON, RECIPE, ablation_steps, recipe_steps
from masksem_graph.experiments.expand import Expansion
from masksem_graph.experiments.steps import GIVEN_BY_THE_PLANNER, Step, mapping, suggestion
from masksem_graph.files import shipped, write_beside
from masksem_graph.plain_yaml import read_yaml

FREE = re.compile(
    r"device\..*|data\.(also\.\w+\.)?root|data\.residency|train\.(checkpoint_minutes|evaluate_every)|figures|source|trust"
)
"""Options that may differ from one start to the next: they do not change what is computed."""


@dataclass(frozen=True)
class ExperimentPlan:
    """What to run, in an order in which every step comes after those that it needs.

    Args:
        title: what is done.
        axes: what tells the rows of the summary apart.
        steps: the processes.
        compares: whether the rows are variants of one thing.
    """

    title: str
    axes: tuple[str, ...]
    steps: list[Step]
    compares: bool

    def refuse_others(self, output: Path) -> None:
        """Raise `InputError` where ``output`` holds a step of the same name with other settings."""
        before = recorded(output)
        for step in self.steps:
            was, now = before.get(step.name), settings(step)
            if was is None or was == now or not (output / step.name).exists():
                continue
            option = min(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
            raise InputError(
                f"--output: {output / step.name} was started with other settings: {option}: found "
                f"{was.get(option, 'nothing')}, expected {now.get(option, 'nothing')}; name another folder"
            )

    def record(self, output: Path) -> None:
        """Add the settings of every step to ``steps.yaml``."""
        fields = recorded(output) | {step.name: settings(step) for step in self.steps if step.command != "table"}
        with write_beside(output / "steps.yaml") as partial:
            partial.write_text(yaml.safe_dump(fields, sort_keys=False))


def recorded(output: Path) -> dict[str, Any]:
    """What ``steps.yaml`` says: name of a step -> its settings."""
    path = output / "steps.yaml"
    return mapping(str(path), "file", read_yaml(path)) if path.is_file() else {}


def settings(step: Step) -> dict[str, str]:
    """What decides a step's result, as text."""
    options = {name: as_text(value) for name, value in step.options.items() if not FREE.fullmatch(name)}
    return {"command": step.command, **{name: " ".join(steps) for name, steps in step.places.items()}, **options}


def find(name_or_path: str, *groups: str) -> Path:
    """The YAML that a path, or the name of a shipped one of ``configs/GROUP``, means.

    Raises:
        InputError: neither; the line suggests the nearest name.
    """
    if Path(name_or_path).is_file():
        return Path(name_or_path)
    files = {path.stem: path for group in groups for path in sorted((shipped("configs") / group).glob("*.yaml"))}
    name = name_or_path.removeprefix("configs/").removesuffix(".yaml")
    for group in groups:
        name = name.removeprefix(f"{group}/")
    if name not in files:
        near, kinds = suggestion(name, files), " or ".join(group.split("/")[0] for group in groups)
        raise InputError(f"{name_or_path}: no such {kinds}{near}; expected a YAML file, or one of {', '.join(files)}")
    return files[name]


def load_plan(
    name_or_path: str,
    *,
    on: str = "nw_ucla",
    seeds: Sequence[int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    roots: Mapping[str, str] | None = None,
    trust: Sequence[str] = (),
) -> ExperimentPlan:
    """Read a recipe or an ablation.

    Args:
        name_or_path: its YAML, or a shipped name: ``embedded``, ``table5``.
        on: what an ablation runs on: a YAML, or a shipped name of ``configs/ablation/on``.
        seeds: in place of the file's own.
        overrides: further options of every train step; ``device.*`` is for evaluations too.
        roots: where data lies: name -> path; ``data`` is that of the steps that name no other.
        trust: packages whose classes the file may name, beside this one and torch_geometric.

    Raises:
        InputError: a fault in a file, in one line that names it.
    """
    if odd := GIVEN_BY_THE_PLANNER & dict(overrides or {}).keys():
        raise InputError(f"--{min(odd)}: the planner gives this option; expected --seeds or --output in its place")
    path = find(name_or_path, "recipe", "ablation")
    source, fields = str(path), mapping(str(path), "file", read_yaml(path))
    compares = "steps" not in fields
    if compares:
        on_path = find(on, "ablation/on")
        own, axes = mapping(str(on_path), "file", read_yaml(on_path), ON), tuple(map(str, fields.get("grid", ["variant"])))
        variants = ablation_steps(source, mapping(source, "file", fields, ABLATION), str(on_path), own, trust)
    else:
        own, axes = mapping(source, "file", fields, RECIPE), ("run",)
        variants = [((), recipe_steps(source, fields["steps"], trust))]
    expansion = Expansion(
        source=source,
        seeds=_seeds(own.get("seeds", [0]) if seeds is None else list(seeds)),
        declared={name: str(text) for name, text in mapping(source, "roots", own.get("roots", {})).items()},
        roots=dict(roots or {}),
        overrides=dict(overrides or {}),
        trust=trust,
    )
    steps = _steps(source, variants, expansion)
    return ExperimentPlan(str(fields.get("title") or path.stem), axes, steps, compares)


def _steps(source: str, variants: Sequence[tuple[tuple[str, ...], list[Step]]], expansion: Expansion) -> list[Step]:
    folders = ["-".join(re.sub(r"[^\w.]+", "_", label).strip("_.") or "_" for label in labels) for labels, _ in variants]
    if len(set(folders)) < len(folders):
        raise InputError(f"{source}: two variants' names differ in signs alone; expected names that make different folders")
    return [
        step
        for (labels, entries), folder in zip(variants, folders, strict=True)
        for step in expansion.steps(entries, labels, f"variants/{folder}/" if labels else "")
    ]


def _seeds(found: Any) -> list[int]:
    whole = isinstance(found, list) and all(type(seed) is int for seed in found)
    if not whole or not found or len(set(found)) < len(found) or min(found) < 0:
        raise InputError(f"seeds: expected a list of different whole numbers from 0, found {found!r}")
    return found
