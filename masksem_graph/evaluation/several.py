"""Several evaluations as one: all folds of a data set, or several streams of the same clips."""

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
from masksem_graph.training.provenance import provenance

POOLED = ("per_class_recall", "confusion", "top1_interval", "top1_interval_is")  # of all folds' test clips together
ALIKE = ("protocol", "data", "split", "data_set")  # in the evaluations that are added up


def evaluate_all(config: EvaluateConfig, plain: dict[str, Any], competed: Sequence[Competed] = ()) -> dict[str, Any] | None:
    """`evaluate`; with ``folds`` each fold in a folder of its own, and their mean in the output. Folds that are done stay."""
    if config.folds is None:
        return evaluate(config, plain, competed)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("--folds: expected one process; with torchrun, evaluate each fold by --data.split")
    beginning = re.sub(r"(?<=_)[^_]*$|\d+$", "", config.data.split) if config.folds == "all" else config.folds
    names = _folds_of(config.data.open(), beginning)
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
        results = _mean_of(found) | {"split": f"{beginning.rstrip('_')} ({len(names)} folds)", "config": plain}
        results |= {name: pooled[name] for name in POOLED}
        folder.clear(keep=("results.json",))
        write_results(folder.path, results, total, classes=classes[0])
        write_pages(folder.path)
    return results


def _folds_of(store: Store, beginning: str) -> list[str]:
    """The splits whose names begin alike, which are folds of one another: at least two that share no test clip."""
    names = [name for name in store.splits if name.startswith(beginning) and name != beginning]
    if len(names) < 2:
        found = f"{', '.join(names) or 'no split'} that begins with {beginning!r}"
        raise InputError(f"--folds: found {found}, expected several of {', '.join(store.splits)}")
    tested = np.concatenate([store.splits[name]["test"] for name in names])
    if len(twice := np.flatnonzero(np.bincount(tested, minlength=1) > 1)):
        found = f"{store.name[twice[0]]} is a test clip of several of {', '.join(names)}"
        raise InputError(f"--folds: {found}; expected splits that share none, such as --folds fold")
    return names


def _mean_of(folds: dict[str, dict[str, Any]]) -> dict[str, Any]:
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


def fuse(
    folders: Sequence[Path], output: Path, *, weights: Sequence[float] | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Add up the scores of evaluations, and write the sum's results.

    Args:
        folders: evaluations, one a stream, of the same test clips and protocol; each with as many runs, the i-th are added.
        output: where the results go; those that are there may be replaced where ``overwrite`` says so.
        weights: of each one's scores; 1 each where omitted.
    """
    target, paths = RunFolder(output), [str(folder.resolve()) for folder in folders]
    if str(output.resolve()) in paths:
        raise InputError(f"--output: {output} is one of the evaluations to add up; expected another folder")
    target.require_ours("evaluation")
    target.refuse_results(overwrite=overwrite, fused=paths)
    weights = [1.0] * len(folders) if weights is None else list(weights)
    if len(folders) < 2:
        raise InputError(f"--fuse: expected at least two evaluations, found {len(folders)}")
    if len(weights) != len(folders):
        raise InputError(f"--weights: expected {len(folders)} numbers, one an evaluation, found {len(weights)}")
    found = [read_results(folder) for folder in folders]
    scored = [read_scores(folder) for folder in folders]
    first, classes = scored[0]
    for folder, results, (scores, names) in zip(folders, found, scored, strict=True):
        for name in ALIKE:
            if (a := found[0][name]) != (b := results[name]):
                raise InputError(f"--fuse: {name}: {folders[0]} has {a!r}, {folder} has {b!r}; expected the same")
        if names != classes or not np.array_equal(scores.name, first.name) or len(scores.scores) != len(first.scores):
            raise InputError(f"--fuse: {folder} has other test clips, classes or numbers of runs than {folders[0]}")
    total = np.asarray(sum(weight * part.scores for weight, (part, _) in zip(weights, scored, strict=True)))
    streams = [results["stream"] for results in found]
    results = {
        **{name: found[0][name] for name in ALIKE},
        "stream": "+".join(streams),
        "unit": "per cent",
        **score_figures(torch.from_numpy(total), torch.from_numpy(first.label), classes),
        "seeds": found[0]["seeds"],
        "test_clips": len(first.label),
        "untrained": any(results["untrained"] for results in found),
        "pretrained_on": found[0]["pretrained_on"],
        "pretraining": found[0]["pretraining"],
        "streams": streams,
        "fused": paths,
        "weights": weights,
        "wall_seconds": sum(results["wall_seconds"] for results in found),
        **provenance(torch.device("cpu")),
    }
    with target.writing("evaluation"):
        target.clear(keep=("results.json",))
        write_results(output, results, ClassScores(total, first.label, first.name), classes=classes)
        write_pages(output)
    return results
