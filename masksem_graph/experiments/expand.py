"""Entries times seeds become steps: their folders, what they read from one another, where their data lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from masksem_graph.errors import InputError
from masksem_graph.experiments.commands import EPOCHS, SEED
from masksem_graph.experiments.steps import Step, suggestion


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """What all steps of a plan share.

    Args:
        source: the YAML file, for errors.
        seeds: of the runs.
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
    trust: Sequence[str] = ()

    def steps(self, entries: Sequence[Step], labels: tuple[str, ...] = (), prefix: str = "") -> list[Step]:
        """Every entry with every seed. A store is made once, and a table is of all seeds.

        Args:
            entries: steps without seed, in the file's order.
            labels: of the variant; empty for a recipe, whose rows are its runs.
            prefix: folder of the variant.
        """
        found: dict[str, Step] = {}
        for seed in self.seeds:
            known: dict[str, Step] = {}
            for entry in entries:
                if entry.command == "table":
                    continue
                store = entry.command == "prepare"
                run, _, column = entry.name.rpartition("/")
                step = self._resolved(replace(entry, seed=seed, options=dict(entry.options)), known)
                name = f"stores/{entry.name}" if store else f"{prefix}seed{seed}/{entry.name}"
                known[entry.name] = found[name] = replace(step, name=name, row=labels or (run or column,), column=column)
        return [*found.values(), *(self._table(entry, found) for entry in entries if entry.command == "table")]

    def _resolved(self, step: Step, known: dict[str, Step]) -> Step:
        """A step with its seed and its data's place; where it names others, with their folders."""
        options, default = step.options, "data" if step.command == "train" else None
        if step.command == "train":
            options |= self.overrides
            self._multiply_epochs(options)
        elif step.command == "evaluate" and ("run" in options) == ("fuse" in options):
            raise InputError(f"{self.source}: {step.name}: expected either `run:` or `fuse:`")
        elif step.command == "prepare" and not {"format", "root"} <= options.keys():
            raise InputError(f"{self.source}: {step.name}: expected `format:` and `root:`")
        root = options.pop("root", default)
        root = None if root is None else str(root)
        places: dict[str, tuple[str, ...]] = {}
        needs: list[Step] = []
        for option in [name for name in ("run", "fuse", "train.init_from") if name in options]:
            given = options.pop(option)
            names = given if option == "fuse" and isinstance(given, list) else [given]
            needs += (others := [self._called(name, step, known) for name in names])
            places[option] = tuple(other.name for other in others)
        if root in known:
            needs.append(known[root])
            places["data.root"] = (known[root].name,)
        elif root in self.roots:
            options["source" if step.command == "prepare" else "data.root"] = self.roots[root]
        elif root not in (None, "data", *self.declared):
            known_roots = ", ".join([*self.declared, *known]) or "none"
            raise InputError(f"{self.source}: {step.name}.root: expected one of {known_roots}, found {root!r}")
        if "fuse" not in places and step.command != "prepare":
            options[SEED[step.command]] = step.seed
            options |= {name: value for name, value in self.overrides.items() if name.startswith("device.")}
            options |= {"trust": ",".join(self.trust)} if self.trust else {}
        missing = [other.missing for other in needs]
        if root in self.declared and root not in self.roots:
            missing = [f"--{'data.root' if root == 'data' else f'roots.{root}'} DIR ({self.declared[root]})"]
        return replace(step, places=places, missing=next(filter(None, missing), None))

    def _table(self, entry: Step, steps: dict[str, Step]) -> Step:
        """A table of the evaluations that its ``runs`` names, or of all."""
        options = dict(entry.options)
        named = {name: step for name, step in steps.items() if step.command == "evaluate"}
        known = {name.partition("/")[2]: step for name, step in named.items()}
        runs = options.pop("runs", list(known))
        runs = runs if isinstance(runs, list) else [runs]
        wanted = {self._called(name, entry, known).name.partition("/")[2] for name in runs}
        of = [step for name, step in named.items() if name.partition("/")[2] in wanted]
        missing = None if any(step.missing is None for step in of) else next((step.missing for step in of), None)
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
            near, others = suggestion(str(name), known), ", ".join(known) or "none"
            raise InputError(f"{self.source}: {step.name}: expected an earlier step, found {name!r}{near}; there are {others}")
        return known[name]
