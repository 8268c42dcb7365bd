"""What an evaluation leaves behind: ``results.json``, scores, the confusion matrix, and a table on the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Shaped
from rich.console import Console
from rich.table import Table

from masksem_graph.errors import InputError
from masksem_graph.files import require_regular, write_beside
from masksem_graph.report.figures import confusion_figure, drawing, save_figure
from masksem_graph.report.names import cell, line

SCORES = "scores.npz"


@dataclass(frozen=True)
class ClassScores:
    """What the runs of an evaluation scored.

    Args:
        scores: of each run, test clip and class; before any softmax where a head was trained.
        label: true class of each test clip.
        name: of each test clip.
    """

    scores: Float[np.ndarray, "runs S classes"]
    label: Int64[np.ndarray, " S"]
    name: Shaped[np.ndarray, " S"]


def write_results(folder: Path, results: dict[str, Any], scores: ClassScores, *, classes: tuple[str, ...]) -> None:
    """Write an evaluation's figures, ``results.json`` after the scores; then draw the confusion matrix, if that works."""
    with write_beside(folder / SCORES) as partial, partial.open("wb") as file:
        np.savez(file, scores=scores.scores, label=scores.label, name=scores.name, classes=np.array(classes))
    with write_beside(folder / "results.json") as partial:
        partial.write_text(json.dumps(results, indent=1) + "\n")
    runs = len(results["seeds"])
    title = f"{results['data']} {results['split']}, {results['protocol']}: {results['top1']:.1f} %"
    title += f" ({runs} runs added up)" if runs > 1 else ""
    with drawing("confusion"):
        save_figure(confusion_figure(results["confusion"], classes, title=title), folder / "figures" / "confusion")


def read_results(folder: Path) -> dict[str, Any]:
    """What an evaluation found.

    Raises:
        InputError: the folder holds no results, or a field that is missing or of another type.
    """
    path = folder / "results.json"
    try:
        require_regular(path)
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not the results of an evaluation: {line(error)}") from None
    if not isinstance(found, dict) or "top1" not in found:
        raise InputError(f"{path}: not the results of an evaluation: expected an object with top1, protocol, data, ...")
    for name in REQUIRED:
        if name not in found:
            raise InputError(f"{path}: {name}: this field is missing")
    found = {**dict.fromkeys(OPTIONAL), **found}
    for name, (fits, expected) in (REQUIRED | OPTIONAL).items():
        if not (fits(found[name]) or (found[name] is None and name in OPTIONAL)):
            raise InputError(f"{path}: {name}: expected {expected}, found {line(repr(found[name]))[:80]}")
    return found


Check = tuple[Callable[[Any], bool], str]


def _a(kind: type, told: str) -> Check:
    return lambda value: isinstance(value, kind), told


def _list_of(check: Check, told: str, length: int | None = None) -> Check:
    return lambda value: isinstance(value, list) and all(map(check[0], value)) and length in (None, len(value)), told


def _with(told: str, **fields: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(check[0](value.get(name)) for name, check in fields.items()), told


def _square(value: Any) -> bool:
    return isinstance(value, list) and all(_list_of(NUMBER, "", len(value))[0](row) for row in value)


def _recalls(value: Any) -> bool:
    return isinstance(value, dict) and all(found is None or NUMBER[0](found) for found in value.values())


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


LARGEST = 1e15
NUMBER: Check = (_number, "a number")
TEXT, MAPPING = _a(str, "a text"), _a(dict, "a mapping")
NUMBERS, TEXTS = _list_of(NUMBER, "a list of numbers"), _list_of(TEXT, "a list of texts")
DATA_SET = _with("format, topology, classes and clips", format=TEXT, topology=TEXT, classes=NUMBER, clips=NUMBER)
REQUIRED: dict[str, Check] = {
    **dict.fromkeys(("protocol", "data", "split", "stream"), TEXT),
    **dict.fromkeys(("top1", "top5", "mean_class_accuracy", "test_clips", "wall_seconds"), NUMBER),
    "data_set": DATA_SET,
    "top1_interval": _list_of(NUMBER, "two numbers", 2),
    "seeds": NUMBERS,
    "untrained": _a(bool, "true or false"),
}
OPTIONAL: dict[str, Check] = {
    **dict.fromkeys(("top1_interval_is", "checkpoint", "encoder_sha256", "device", "device_name", "commit"), TEXT),
    **dict.fromkeys(("std", "labelled_clips", "best_epoch_top1_chosen_on_test"), NUMBER),
    **dict.fromkeys(("top1_by_seed", "seconds_by_seed", "weights"), NUMBERS),
    **dict.fromkeys(("fused", "streams"), TEXTS),
    **dict.fromkeys(("pretraining", "config", "versions", "top1_by_fold"), MAPPING),
    "per_class_recall": (_recalls, "a number for each class, or null where it has no clip"),
    "confusion": (_square, "a square of numbers"),
    "pretrained_on": DATA_SET,
}


def read_scores(folder: Path) -> tuple[ClassScores, tuple[str, ...]]:
    """What an evaluation scored, and the names of the classes.

    Raises:
        InputError: the folder holds no scores, or damaged ones.
    """
    path = folder / SCORES
    try:
        require_regular(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("scores", "label", "name", "classes")}
    except Exception as error:  # numpy's reader of damaged bytes raises many things
        raise InputError(f"{path}: not the scores of an evaluation: {line(error)[:200]}") from None
    if arrays["scores"].ndim != 3 or arrays["scores"].shape[1:] != (len(arrays["label"]), len(arrays["classes"])):
        raise InputError(f"{path}: scores: expected [runs, clips, classes], found {list(arrays['scores'].shape)}")
    return ClassScores(arrays["scores"], arrays["label"], arrays["name"]), tuple(map(str, arrays["classes"]))


def print_results(console: Console, results: dict[str, Any], folder: Path) -> None:
    """The main figures as a table."""
    title = cell(f"{results['protocol']} on {results['data']} {results['split']}")
    table = Table(title=title, title_justify="left")
    for column in ("encoder", "top-1 %", "95 % interval", "top-5 %", "class mean %", "test clips", "seconds"):
        table.add_column(column, justify="left" if column == "encoder" else "right")
    runs, folds = len(results["seeds"]), results.get("top1_by_fold") or {}
    times = f"{len(folds)} folds" if folds else f"{runs} runs"
    low, high = results["top1_interval"]
    table.add_row(
        cell(Path(encoder_name(results)).name),
        f"{results['top1']:.1f}" + (f" ± {results['std']:.1f} ({times})" if runs > 1 or folds else ""),
        f"{low:.1f} to {high:.1f}",
        f"{results['top5']:.1f}",
        f"{results['mean_class_accuracy']:.1f}",
        str(results["test_clips"]),
        f"{results['wall_seconds']:.1f}",
    )
    console.print(table)
    if folds:
        console.print(cell("folds: " + ", ".join(f"{name} {value:.1f}" for name, value in folds.items())), soft_wrap=True)
    if results["protocol"] == "floors":
        console.print("top-1 is that of the encoder with joints kept apart, by a ridge classifier")
    if (best := results.get("best_epoch_top1_chosen_on_test")) is not None:
        console.print(f"the result is the last epoch's; the best epoch, chosen on test data: {best:.1f} %")
    if floors := results.get("floors"):
        told = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in floors.items())
        console.print(cell(f"floors, by a ridge classifier on the same clips: {told}"), soft_wrap=True)
    console.print(cell(f"written: {folder}"), soft_wrap=True)


def encoder_name(results: dict[str, Any]) -> str:
    """Which encoder an evaluation is of, in a word or a path."""
    if results.get("fused"):
        return " + ".join(results["streams"] or results["fused"])
    return "untrained" if results["untrained"] else str(results["checkpoint"])
