"""What a recipe or an ablation says, times seeds, becomes steps: their options, folders, data and what they read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from masksem_graph.errors import InputError, meant
from masksem_graph.experiments.steps import COMMANDS, EPOCHS, SEED, Step, as_text, check_options, mapping

NAME = re.compile(r"\w[\w.-]*")
Variant = tuple[tuple[str, ...], list[Step]]  # its labels, one an axis, and its steps, which have no seed yet


def recipe_steps(source: str, found: Any, trust: Sequence[str]) -> list[Step]:
    """What ``steps`` of a recipe holds: mappings of ``COMMAND: NAME`` and the command's options."""
    if not isinstance(found, list) or not found:
        raise InputError(f"{source}: steps: expected a list of steps, found {found!r}")
    steps: dict[str, Step] = {}
    for i, fields in enumerate(found, 1):
        fields = mapping(source, f"step {i}", fields)
        if (command := next(iter(fields), None)) not in COMMANDS:
            raise InputError(f"{source}: step {i}: expected `COMMAND: NAME` first, of {', '.join(COMMANDS)}; found {command}")
        name, parts = str(fields.pop(command)), 2 if command == "evaluate" else 1
        if len(name.split("/")) != parts or not all(NAME.fullmatch(part) for part in name.split("/")):
            raise InputError(f"{source}: step {i}: expected {command}: {'RUN/' * (parts - 1)}NAME, found {name}")
        if name in steps:
            raise InputError(f"{source}: step {i}: {name}: an earlier step has this name; expected another one")
        steps[name] = Step(name, command, check_options(source, name, fields, trust))
    return list(steps.values())


def ablation_variants(
    source: str, fields: dict[str, Any], on_source: str, on: dict[str, Any], trust: Sequence[str]
) -> list[Variant]:
    """Each variant of an ablation on what it runs on: ``run``, before it ``first`` for a warm start, and the evaluations."""
    base = check_options(on_source, "train", on.get("train", {}), trust)
    base |= check_options(source, "train", fields.get("train", {}), trust)
    evaluations = mapping(on_source, "evaluate", on.get("evaluate", {}))
    if not evaluations or not all(NAME.fullmatch(name) and name not in ("run", "first") for name in evaluations):
        raise InputError(f"{on_source}: evaluate: expected NAME: options, other than run and first, found {evaluations!r}")
    last = []
    for name, options in evaluations.items():
        last.append(Step(name, "evaluate", {"run": "run", **check_options(on_source, f"evaluate.{name}", options, trust)}))
    variants = []
    for combination in product(*_axes(source, fields, trust)):
        chosen, first = dict(base), []
        for _, changes in combination:
            chosen |= changes
        if "init_from" in chosen:
            start = check_options(source, "init_from", chosen.pop("init_from"), trust)
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


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """What all steps of a plan share.

    Args:
        source, seeds: the YAML file, for errors, and the seeds of the runs.
        declared: places of data: name -> what is expected there.
        roots: those that are given: name -> path; ``data`` is that of train steps that name no other.
        overrides: further options of every train step; ``device.*`` is for evaluations too.
        trust: packages whose classes the file may name; passed on.
    """

    source: str
    seeds: Sequence[int]
    declared: dict[str, str]
    roots: dict[str, str]
    overrides: dict[str, Any]
    trust: Sequence[str]

    def steps(self, variants: Sequence[Variant]) -> list[Step]:
        """Every step of every variant with every seed. A store is made once, and a table is of all seeds.

        A recipe is one variant without labels, whose rows are its runs.
        """
        folders = ["-".join(re.sub(r"[^\w.]+", "_", label).strip("_.") or "_" for label in labels) for labels, _ in variants]
        if len(set(folders)) < len(folders):
            differ = "two variants' names differ in signs alone"
            raise InputError(f"{self.source}: {differ}; expected names that make different folders")
        steps: list[Step] = []
        for (labels, entries), folder in zip(variants, folders, strict=True):
            found: dict[str, Step] = {}
            for seed in self.seeds:
                known: dict[str, Step] = {}
                place = f"variants/{folder}/seed{seed}" if labels else f"seed{seed}"
                for entry in (entry for entry in entries if entry.command != "table"):
                    run, _, column = entry.name.rpartition("/")
                    step = self._resolved(replace(entry, seed=seed), known)
                    name = f"{'stores' if entry.command == 'prepare' else place}/{entry.name}"
                    step = replace(step, name=name, row=labels or (run or column,), column=column)
                    known[entry.name] = found[name] = step
            tables = [self._table(entry, [*found.values()]) for entry in entries if entry.command == "table"]
            steps += [*found.values(), *tables]
        return steps

    def _resolved(self, step: Step, known: dict[str, Step]) -> Step:
        """A step with its seed and its data's place; where it names others, with their folders."""
        options, command = dict(step.options), step.command
        if command == "train":
            options |= self.overrides
            self._multiply_epochs(options)
        elif command == "evaluate" and ("run" in options) == ("fuse" in options):
            raise InputError(f"{self.source}: {step.name}: expected either `run:` or `fuse:`")
        elif command == "prepare" and not {"format", "root"} <= options.keys():
            raise InputError(f"{self.source}: {step.name}: expected `format:` and `root:`")
        read: dict[str, list[Step]] = {}
        for option in [name for name in ("run", "fuse", "train.init_from") if name in options]:
            given = options.pop(option)
            names = given if option == "fuse" and isinstance(given, list) else [given]
            read[option] = [self._called(name, step, known) for name in names]
        root = options.pop("root", "data" if command == "train" else None)
        root, missing = None if root is None else str(root), None
        if root in known:
            read["data.root"] = [known[root]]
        elif root in self.roots:
            options["source" if command == "prepare" else "data.root"] = self.roots[root]
        elif root in self.declared:
            missing = f"--{'data.root' if root == 'data' else f'roots.{root}'} DIR ({self.declared[root]})"
        elif root not in (None, "data"):
            expected = ", ".join([*self.declared, *known]) or "none"
            raise InputError(f"{self.source}: {step.name}.root: expected one of {expected}, found {root!r}")
        if "fuse" not in read and command != "prepare":
            options[SEED[command]] = step.seed
            options |= {name: value for name, value in self.overrides.items() if name.startswith("device.")}
            options |= {"trust": ",".join(self.trust)} if self.trust else {}
        missing = missing or next((other.missing for others in read.values() for other in others if other.missing), None)
        places = {option: tuple(other.name for other in others) for option, others in read.items()}
        return replace(step, options=options, places=places, missing=missing)

    def _table(self, entry: Step, steps: list[Step]) -> Step:
        """A table of the evaluations that its ``runs`` names, or of all; it is missing where all of these are."""
        options, evaluations = dict(entry.options), [step for step in steps if step.command == "evaluate"]
        known = {step.name.partition("/")[2]: step for step in evaluations}
        runs = options.pop("runs", list(known))
        runs = runs if isinstance(runs, list) else [runs]
        wanted = [self._called(name, entry, known).name.partition("/")[2] for name in runs]
        of = [step for step in evaluations if step.name.partition("/")[2] in wanted]
        missing = of[0].missing if of and all(step.missing for step in of) else None
        places = {"": tuple(step.name for step in of)}
        return replace(entry, name=f"tables/{entry.name}", options=options, places=places, missing=missing)

    def _multiply_epochs(self, options: dict[str, Any]) -> None:
        if (times := options.pop("epochs_times", 1)) == 1:
            return
        epochs = str(options.get(EPOCHS))
        if not isinstance(times, int | float) or times <= 0 or not epochs.isdecimal():
            raise InputError(f"{self.source}: epochs_times: expected a number above 0, and {EPOCHS}, found {times!r}")
        options[EPOCHS] = max(round(int(epochs) * times), 1)

    def _called(self, name: Any, step: Step, known: dict[str, Step]) -> Step:
        if not isinstance(name, str) or name not in known:
            told = meant(str(name), known) if known else "there is none"
            raise InputError(f"{self.source}: {step.name}: expected an earlier step, found {name!r}; {told}")
        return known[name]
