"""All folds of a data set: an evaluation of each, their mean and the deviation between them."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from masksem_graph.compose import Competed
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import EvaluateConfig
from masksem_graph.evaluation.run import evaluate, score_figures
from masksem_graph.report.evaluation import ClassScores, read_results, read_scores, write_results
from masksem_graph.report.page import write_pages
from masksem_graph.run_folder import RunFolder

POOLED = ("per_class_recall", "confusion", "top1_interval", "top1_interval_is")
"""Figures of the test clips of all folds together."""


def evaluate_all(config: EvaluateConfig, plain: dict[str, Any], competed: Sequence[Competed] = ()) -> dict[str, Any] | None:
    """`evaluate`; with ``folds`` each fold in a folder of its own, and their mean in the output. Folds that are done stay.

    Raises:
        InputError: as `evaluate`, or the splits are no folds.
    """
    if config.folds is None:
        return evaluate(config, plain, competed)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("--folds: expected one process; with torchrun, evaluate each fold by --data.split")
    beginning = re.sub(r"(?<=_)[^_]*$|\d+$", "", config.data.split) if config.folds == "all" else config.folds
    names = folds_of(config.data.open(), beginning)
    folder = RunFolder(config.output)
    with folder.writing("evaluation"):
        folder.refuse_results(overwrite=config.overwrite, config=plain)
        found = {name: _fold(config, plain, competed, name) for name in names}
        scored, classes = zip(*(read_scores(folder / name) for name in names), strict=True)
        total = ClassScores(
            np.concatenate([one.scores for one in scored], axis=1),
            np.concatenate([one.label for one in scored]),
            np.concatenate([one.name for one in scored]),
        )
        pooled = score_figures(torch.from_numpy(total.scores), torch.from_numpy(total.label), classes[0])
        results = mean_of(found) | {"split": f"{beginning.rstrip('_')} ({len(names)} folds)", "config": plain}
        results |= {name: pooled[name] for name in POOLED}
        folder.clear(keep=("results.json",))
        write_results(folder.path, results, total, classes=classes[0])
        write_pages(folder.path)
    return results


def folds_of(store: Store, beginning: str) -> list[str]:
    """The splits whose names begin alike: folds of one another.

    Raises:
        InputError: there are fewer than two, or two of them test the same clip.
    """
    names = [name for name in store.splits if name.startswith(beginning) and name != beginning]
    if len(names) < 2:
        found = f"{', '.join(names) or 'no split'} that begins with {beginning!r}"
        raise InputError(f"--folds: found {found}, expected several of {', '.join(store.splits)}")
    tested = np.concatenate([store.splits[name]["test"] for name in names])
    if len(twice := np.flatnonzero(np.bincount(tested, minlength=1) > 1)):
        found = f"{store.name[twice[0]]} is a test clip of several of {', '.join(names)}"
        raise InputError(f"--folds: {found}; expected splits that share none, such as --folds fold")
    return names


def mean_of(folds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What folds have in common, and the mean of their figures; ``std`` is the deviation between them."""
    every = list(folds.values())
    out = {name: value for name, value in every[0].items() if name not in ("seconds_by_seed", "top1_by_seed")}
    out |= {name: statistics.fmean(one[name] for one in every) for name, value in out.items() if type(value) in (int, float)}
    shared = [name for name in every[0]["floors"] if name in every[-1]["floors"]]
    floors = {name: statistics.fmean(one["floors"][name] for one in every) for name in shared}
    sums = {name: sum(one[name] for one in every) for name in ("test_clips", "wall_seconds")}
    top1 = {name: one["top1"] for name, one in folds.items()}
    return out | sums | {"floors": floors, "std": statistics.stdev(top1.values()), "top1_by_fold": top1}


def _fold(config: EvaluateConfig, plain: dict[str, Any], competed: Sequence[Competed], name: str) -> dict[str, Any]:
    output = Path(config.output) / name
    changes = {"folds": None, "output": str(output), "data": {**plain["data"], "split": name}}
    if (output / "results.json").is_file() and not config.overwrite:
        found = read_results(output)
        if found["config"] != plain | changes:
            raise InputError(f"--output: {output} holds other results; expected another folder, or --overwrite true")
        return found
    one = replace(config, folds=None, output=str(output), data=replace(config.data, split=name))
    evaluate(one, plain | changes, competed)
    return read_results(output)
