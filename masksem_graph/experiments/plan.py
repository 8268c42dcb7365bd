"""From a recipe's or an ablation's YAML to steps. No code of the file's choice runs here."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.errors import InputError, meant
from masksem_graph.experiments.expand import Expansion, ablation_variants, recipe_steps
from masksem_graph.experiments.steps import GIVEN_BY_THE_PLANNER, Step, as_text, mapping
from masksem_graph.files import shipped, write_beside
from masksem_graph.plain_yaml import read_yaml

RECIPE, ABLATION = {"title", "seeds", "roots", "steps"}, {"title", "train", "grid", "variants"}
ON = {"seeds", "roots", "train", "evaluate"}
FREE = re.compile(
    r"device\..*|data\.(also\.\w+\.)?root|data\.residency|train\.(checkpoint_minutes|evaluate_every)|figures|source|trust"
)
"""Options that may differ from one start to the next: they do not change what is computed."""


@dataclass(frozen=True)
class ExperimentPlan:
    """What to run, in an order in which every step comes after those that it needs.

    ``axes`` tell the rows of the summary apart, ``compares`` says whether they are variants of one thing.
    """

    title: str
    axes: tuple[str, ...]
    steps: list[Step]
    compares: bool

    def refuse_others(self, output: Path) -> None:
        """Raise `InputError` where ``output`` holds a step of the same name with other settings."""
        before = _recorded(output)
        for step in self.steps:
            was, now = before.get(step.name), _settings(step)
            if was is None or was == now or not (output / step.name).exists():
                continue
            option = min(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
            found, expected = was.get(option, "nothing"), now.get(option, "nothing")
            other = f"{option}: found {found}, expected {expected}"
            raise InputError(f"--output: {output / step.name} was started with other settings: {other}; name another folder")

    def record(self, output: Path) -> None:
        """Add the settings of every step to ``steps.yaml``."""
        fields = _recorded(output) | {step.name: _settings(step) for step in self.steps if step.command != "table"}
        with write_beside(output / "steps.yaml") as partial:
            partial.write_text(yaml.safe_dump(fields, sort_keys=False))


def _recorded(output: Path) -> dict[str, Any]:
    path = output / "steps.yaml"
    return mapping(str(path), "file", read_yaml(path)) if path.is_file() else {}


def _settings(step: Step) -> dict[str, str]:
    """What decides a step's result, as text."""
    options = {name: as_text(value) for name, value in step.options.items() if not FREE.fullmatch(name)}
    return {"command": step.command, **{name: " ".join(steps) for name, steps in step.places.items()}, **options}


def _find(name_or_path: str, *groups: str) -> Path:
    """The YAML that a path, or the name of a shipped one of ``configs/GROUP``, means."""
    if os.path.isfile(name_or_path):
        return Path(name_or_path)
    files = {path.stem: path for group in groups for path in sorted((shipped("configs") / group).glob("*.yaml"))}
    name = name_or_path.removeprefix("configs/").removesuffix(".yaml")
    for group in groups:
        name = name.removeprefix(f"{group}/")
    if name not in files:
        kinds = " or ".join(group.split("/")[0] for group in groups)
        raise InputError(f"{name_or_path[:200]}: no such file, and no shipped {kinds}; {meant(name, files)}")
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
        overrides, roots, trust: as `Expansion` has them.
    """
    if odd := GIVEN_BY_THE_PLANNER & dict(overrides or {}).keys():
        raise InputError(f"--{min(odd)}: the planner gives this option; expected --seeds or --output in its place")
    path = _find(name_or_path, "recipe", "ablation")
    source, fields = str(path), mapping(str(path), "file", read_yaml(path))
    compares = "steps" not in fields
    if compares:
        on_path = _find(on, "ablation/on")
        own, axes = mapping(str(on_path), "file", read_yaml(on_path), ON), tuple(map(str, fields.get("grid", ["variant"])))
        variants = ablation_variants(source, mapping(source, "file", fields, ABLATION), str(on_path), own, trust)
    else:
        own, axes = mapping(source, "file", fields, RECIPE), ("run",)
        variants = [((), recipe_steps(source, fields["steps"], trust))]
    runs = own.get("seeds", [0]) if seeds is None else list(seeds)
    whole = isinstance(runs, list) and all(type(seed) is int and seed >= 0 for seed in runs)
    if not whole or not runs or len(set(runs)) < len(runs):
        raise InputError(f"seeds: expected a list of different whole numbers from 0, found {runs!r}")
    expansion = Expansion(
        source=source,
        seeds=runs,
        declared={name: str(text) for name, text in mapping(source, "roots", own.get("roots", {})).items()},
        roots=dict(roots or {}),
        overrides=dict(overrides or {}),
        trust=trust,
    )
    return ExperimentPlan(str(fields.get("title") or path.stem), axes, expansion.steps(variants), compares)
