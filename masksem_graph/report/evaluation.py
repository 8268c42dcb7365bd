"""What an evaluation leaves behind: ``results.json``, scores, the confusion matrix, and a table on the terminal."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64, Shaped
from rich.console import Console
from rich.table import Table

from masksem_graph.errors import InputError
from masksem_graph.files import require_regular, write_beside
from masksem_graph.report.figures import confusion_figure, drawing, save_figure
from masksem_graph.report.names import cell, duration, line, number

SCORES = "scores.npz"


class ClassScores(NamedTuple):
    """What the runs of an evaluation scored (before any softmax where a head was trained), true classes, and clips' names."""

    scores: Float[np.ndarray, "runs S classes"]
    label: Int64[np.ndarray, " S"]
    name: Shaped[np.ndarray, " S"]


def write_results(folder: Path, results: dict[str, Any], scores: ClassScores, *, classes: tuple[str, ...]) -> None:
    """Write an evaluation's figures, ``results.json`` after the scores; then draw the confusion matrix, if that works."""
    with write_beside(folder / SCORES) as partial, partial.open("wb") as file:
        np.savez(file, **scores._asdict(), classes=np.array(classes))
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
    if missing := [name for name in REQUIRED if name not in found]:
        raise InputError(f"{path}: {missing[0]}: this field is missing")
    found = {**dict.fromkeys(OPTIONAL), **found}
    for name, expected in (REQUIRED | OPTIONAL).items():
        if not (_fits(found[name], FITS[expected]) or (found[name] is None and name in OPTIONAL)):
            raise InputError(f"{path}: {name}: expected {expected}, found {line(repr(found[name]))[:80]}")
    return found


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind: a type, a list or a mapping of kinds, or what a function says of it."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    if isinstance(kind, type):
        return isinstance(value, kind)
    if isinstance(kind, list):
        return isinstance(value, list) and all(_fits(one, kind[0]) for one in value)
    if isinstance(kind, dict):
        return isinstance(value, dict) and all(_fits(value.get(name), one) for name, one in kind.items())
    return bool(kind(value))


FITS: dict[str, Any] = {
    "a text": str,
    "a number": float,
    "true or false": bool,
    "a mapping": dict,
    "a list of texts": [str],
    "a list of numbers": [float],
    "two numbers": lambda value: _fits(value, [float]) and len(value) == 2,
    "a square of numbers": lambda value: _fits(value, [[float]]) and all(len(row) == len(value) for row in value),
    "a number for each class, or null where it has no clip": lambda value: (
        isinstance(value, dict) and all(one is None or _fits(one, float) for one in value.values())
    ),
    "format, topology, classes and clips": {"format": str, "topology": str, "classes": float, "clips": float},
}
REQUIRED = {
    **dict.fromkeys(("protocol", "data", "split", "stream"), "a text"),
    **dict.fromkeys(("top1", "top5", "mean_class_accuracy", "test_clips", "wall_seconds"), "a number"),
    "data_set": "format, topology, classes and clips",
    "top1_interval": "two numbers",
    "seeds": "a list of numbers",
    "untrained": "true or false",
}
OPTIONAL = {
    **dict.fromkeys(("top1_interval_is", "checkpoint", "encoder_sha256", "device", "device_name", "commit"), "a text"),
    **dict.fromkeys(("std", "labelled_clips", "best_epoch_top1_chosen_on_test"), "a number"),
    **dict.fromkeys(("top1_by_seed", "seconds_by_seed", "weights"), "a list of numbers"),
    **dict.fromkeys(("fused", "streams"), "a list of texts"),
    **dict.fromkeys(("pretraining", "config", "versions", "top1_by_fold"), "a mapping"),
    "per_class_recall": "a number for each class, or null where it has no clip",
    "confusion": "a square of numbers",
    "pretrained_on": "format, topology, classes and clips",
}


def read_scores(folder: Path) -> tuple[ClassScores, tuple[str, ...]]:
    """What an evaluation scored, and the names of the classes; ``InputError`` where there is none, or a damaged one."""
    path = folder / SCORES
    try:
        require_regular(path)
        with np.load(path, allow_pickle=False) as file:
            scores, label, name, classes = (file[array] for array in ("scores", "label", "name", "classes"))
    except Exception as error:  # numpy's reader of damaged bytes raises many things
        raise InputError(f"{path}: not the scores of an evaluation: {line(error)[:200]}") from None
    if scores.ndim != 3 or scores.shape[1:] != (len(label), len(classes)):
        raise InputError(f"{path}: scores: expected [runs, clips, classes], found {list(scores.shape)}")
    return ClassScores(scores, label, name), tuple(map(str, classes))


def figures_of(results: dict[str, Any]) -> dict[str, str]:
    """The main figures as texts, by the column of a table that they stand in."""
    runs, folds = len(results["seeds"]), len(results.get("top1_by_fold") or {})
    deviation = f" ± {number(results['std'])} ({f'{folds} folds' if folds else f'{runs} runs'})"
    return {
        "top-1 %": number(results["top1"]) + (deviation if runs > 1 or folds else ""),
        "95 % interval": " to ".join(map(number, results["top1_interval"])),
        "top-5 %": number(results["top5"]),
        "class mean %": number(results["mean_class_accuracy"]),
        "test clips": number(results["test_clips"], 0),
        "time": duration(results["wall_seconds"]),
    }


def print_results(console: Console, results: dict[str, Any], folder: Path) -> None:
    """The main figures as a table, and what a reader has to know of them."""
    shown = {"encoder": Path(encoder_name(results)).name, **figures_of(results)}
    table = Table(title=cell(f"{results['protocol']} on {results['data']} {results['split']}"), title_justify="left")
    for column in shown:
        table.add_column(column, justify="left" if column == "encoder" else "right")
    table.add_row(*map(cell, shown.values()))
    console.print(table)
    lines = []
    if folds := results.get("top1_by_fold"):
        lines.append("folds: " + ", ".join(f"{name} {number(value)}" for name, value in folds.items()))
    if results["protocol"] == "floors":
        lines.append("top-1 is that of the encoder with joints kept apart, by a ridge classifier")
    if (best := results.get("best_epoch_top1_chosen_on_test")) is not None:
        lines.append(f"the result is the last epoch's; the best epoch, chosen on test data: {best:.1f} %")
    if floors := results.get("floors"):
        told = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in floors.items())
        lines.append(f"floors, by a ridge classifier on the same clips: {told}")
    for told in (*lines, f"written: {folder}"):
        console.print(cell(told), soft_wrap=True)


def encoder_name(results: dict[str, Any]) -> str:
    """Which encoder an evaluation is of, in a word or a path."""
    if results.get("fused"):
        return " + ".join(results["streams"] or results["fused"])
    return "untrained" if results["untrained"] else str(results["checkpoint"])
