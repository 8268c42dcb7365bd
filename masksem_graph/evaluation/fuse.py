"""Several streams as one: the scores of their evaluations added up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from masksem_graph.errors import InputError
from masksem_graph.evaluation.run import score_figures
from masksem_graph.report.evaluation import ClassScores, read_results, read_scores, write_results
from masksem_graph.report.page import write_pages
from masksem_graph.run_folder import RunFolder
from masksem_graph.training.provenance import provenance

ALIKE = ("protocol", "data", "split", "data_set")


def fuse(
    folders: Sequence[Path], output: Path, *, weights: Sequence[float] | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Add up the scores of evaluations of the same test clips, and write the sum's results.

    Args:
        folders: evaluations, one a stream; each with as many runs, of which the i-th are added.
        output: where the results go.
        weights: of each one's scores; 1 each where omitted.
        overwrite: replace results that are already there.

    Raises:
        InputError: they are of other clips, classes, protocols or numbers of runs.
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
