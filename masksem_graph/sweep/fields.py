"""The YAML files of a sweep: what a variant changes, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.errors import InputError


@dataclass(frozen=True)
class Overrides:
    """What a variant changes.

    Args:
        configs: YAML files or shipped names, added with ``--config``.
        options: options of ``train.py``.
        epochs_times: factor on the epochs.
        init_from: what to pre-train first and start from; None starts afresh.
    """

    configs: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    epochs_times: float = 1.0
    init_from: Overrides | None = None

    def then(self, other: Overrides) -> Overrides:
        """Both, the other one's winning."""
        return Overrides(
            configs=self.configs + other.configs,
            options=self.options | other.options,
            epochs_times=self.epochs_times * other.epochs_times,
            init_from=other.init_from or self.init_from,
        )

    def arguments(self) -> list[str]:
        """As a command line."""
        chosen = [argument for name in self.configs for argument in ("--config", name)]
        return chosen + [argument for name, value in self.options.items() for argument in (f"--{name}", as_text(value))]


def as_text(value: Any) -> str:
    """A value as it is written on a command line."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


@dataclass(frozen=True)
class Fields:
    """A YAML file's fields, checked as they are read."""

    path: Path
    fields: Any
    known: set[str]

    def __post_init__(self) -> None:
        if not isinstance(self.fields, dict):
            raise self._fault("file", f"expected a mapping with {', '.join(sorted(self.known))}", self.fields)
        if unknown := set(map(str, self.fields)) - self.known:
            raise InputError(f"{self.path}: {sorted(unknown)[0]}: unknown field; expected {', '.join(sorted(self.known))}")

    def overrides(self) -> Overrides:
        """The file's own ``config`` and ``options``."""
        return self._overrides("options", {"config": self.fields.get("config", []), **self._mapping("options")})

    def variants(self) -> tuple[tuple[str, ...], list[tuple[dict[str, str], Overrides]]]:
        """The axes, and every variant's labels with what it changes."""
        if ("grid" in self.fields) == ("cells" in self.fields):
            raise InputError(f"{self.path}: expected either `grid:` or `cells:`")
        grid = self._mapping("grid") if "grid" in self.fields else {"variant": self._mapping("cells")}
        axes = {str(axis): self._axis(str(axis), values) for axis, values in grid.items()}
        if not axes:
            raise self._fault("grid", "expected at least one axis", grid)
        out = []
        for combination in product(*(axis.items() for axis in axes.values())):
            labels = {axis: label for axis, (label, _) in zip(axes, combination, strict=True)}
            changes = Overrides()
            for _, change in combination:
                changes = changes.then(change)
            out.append((labels, changes))
        return tuple(axes), out

    def evaluations(self) -> dict[str, Overrides]:
        """Name -> configuration of every evaluation."""
        found = {str(name): self._overrides(f"evaluate.{name}", value) for name, value in self._mapping("evaluate").items()}
        if not found:
            raise self._fault("evaluate", "expected at least one evaluation", found)
        if odd := [name for name in found if name in ("run", "first") or not re.fullmatch(r"\w+", name)]:
            raise self._fault("evaluate", "expected names of letters and digits, other than run and first", odd[0])
        return found

    def seeds(self) -> list[int]:
        """The file's own seeds."""
        found = self.fields.get("seeds")
        if not isinstance(found, list) or not all(type(seed) is int for seed in found):
            raise self._fault("seeds", "expected a list of whole numbers", found)
        return found

    def whole(self, name: str) -> int:
        """A whole number."""
        if type(found := self.fields.get(name)) is not int:
            raise self._fault(name, "expected a whole number", found)
        return found

    def _axis(self, axis: str, values: Any) -> dict[str, Overrides]:
        if isinstance(values, list) and values:
            return {as_text(value): Overrides(options={axis: value}) for value in values}
        if isinstance(values, dict) and values:
            return {str(label): self._overrides(f"{axis}.{label}", change) for label, change in values.items()}
        raise self._fault(axis, "expected label: {option: value}, or a list of the option's values", values)

    def _overrides(self, where: str, fields: Any) -> Overrides:
        if not isinstance(fields, dict):
            raise self._fault(where, "expected option: value", fields)
        options = {str(name): value for name, value in fields.items()}
        configs = options.pop("config", [])
        configs = [configs] if isinstance(configs, str) else configs
        if not isinstance(configs, list) or not all(isinstance(name, str) for name in configs):
            raise self._fault(f"{where}.config", "expected a shipped name or a file, or a list of them", configs)
        times = options.pop("epochs_times", 1.0)
        if not isinstance(times, int | float) or times <= 0:
            raise self._fault(f"{where}.epochs_times", "expected a number above 0", times)
        first = options.pop("init_from", None)
        start = first if first is None else self._overrides(f"{where}.init_from", first)
        return Overrides(tuple(configs), options, float(times), start)

    def _mapping(self, name: str) -> dict[Any, Any]:
        found = self.fields.get(name, {})
        if not isinstance(found, Mapping):
            raise self._fault(name, "expected a mapping", found)
        return dict(found)

    def _fault(self, name: str, expected: str, found: Any) -> InputError:
        return InputError(f"{self.path}: {name}: {expected}, found {found!r}")
