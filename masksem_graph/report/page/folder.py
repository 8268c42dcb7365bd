"""What the folder of a run or of an evaluation holds, as plain data; what cannot be read becomes a note."""

import base64
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from masksem_graph.console import counted
from masksem_graph.errors import InputError
from masksem_graph.files import digest
from masksem_graph.plain_yaml import read_plain, read_yaml
from masksem_graph.report.evaluation import OPTIONAL, REQUIRED, SCORES, encoder_name, figures_of, read_results
from masksem_graph.report.figures import neighbours
from masksem_graph.report.names import MISSING, duration, joined, number, short
from masksem_graph.report.published import load_published
from masksem_graph.report.tables import protocol_title
from masksem_graph.training.metrics import read_metrics
from masksem_graph.training.provenance import PROVENANCE

FIGURES = "figures"
GIF_LIMIT = 2_000_000  # bytes; a larger animation is linked
MEDIA = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
MEDIA[".gif"] = "image/gif"
KNOWN: dict[str, list[str]] = read_yaml(Path(__file__).with_name("pictures.yaml"))
"""Kind -> title and caption, in the order of the page."""
NO_LOSS = ("epoch", "loss", "gradient_norm", "lr", "seconds", "sequences_per_second")
TOLD = ("encoder", "unit", "mean", "train_clips", "processes", "threads")
WORDS = {
    "largest_class": "the largest class, always",
    "raw": "raw coordinates",
    "convolutions": "random temporal convolutions",
    "untrained_mean": "untrained encoder, mean over nodes",
    "untrained_joints": "untrained encoder, joints kept apart",
    "encoder_mean": "this encoder, mean over nodes",
    "encoder_joints": "this encoder, joints kept apart",
    "best_epoch_chosen_on_test": "best epoch; chosen on test clips, so not the result",
    "train_loss": "loss on training clips in the last epoch",
}
"""What a protocol found, by its name in the results, as the page calls it."""
FLOORS = (
    "Floors, by a ridge classifier (%)",
    "What the same clips give without pre-training. A ridge classifier reads all but the first. The result above may come "
    "from another classifier: then it does not compare. evaluate --protocol floors reads this encoder in the same way.",
)
"""Title and caption of their table."""
METRICS, RESULTS = "metrics.csv", "results.json"
TRACES = (RESULTS, SCORES, "labelled.csv", "head.yaml")
"""What only an evaluation's folder holds; without the results it is one that did not finish."""


def read_run(folder: Path) -> dict[str, Any]:
    """What the page of a run shows: configuration, figures by epoch, starts, evaluations, pictures."""
    notes: list[str] = []
    config, starts = _noted(folder, "config.yaml", read_plain, notes), _noted(folder, PROVENANCE, read_yaml, notes)
    rows, epochs = metrics(folder, notes), at(config, "train", "epochs")
    if rows and isinstance(epochs, int) and rows[-1]["epoch"] < epochs:
        notes.append(f"Not finished: {rows[-1]['epoch']:.0f} of {counted(epochs, 'epoch')} so far.")
    columns, text = list(dict.fromkeys(name for row in rows for name in row)), folder / "config.yaml"
    last = rows[-1] if rows else {}
    losses = [name for name in last if name not in NO_LOSS and not name.startswith(("knn_", "share_"))]
    return {
        "config": config,
        "config_text": text.read_text(encoding="utf-8", errors="replace") if text.is_file() else "",
        "data": data_name(_noted(folder, "data.yaml", read_plain, notes)) or data_name(at(config, "data")),
        "rows": rows,
        "columns": columns,
        "epochs": [[f"{row[name]:g}" if name in row else "" for name in columns] for row in rows],
        "losses": [f"{name} {number(last[name], 3)}" for name in losses],
        "neighbours": _neighbours(rows),
        "seconds": sum(row.get("seconds", 0.0) for row in rows),
        **_shared(folder, starts, notes),
    }


def read_evaluation(folder: Path) -> dict[str, Any]:
    """What the page of an evaluation shows; ``InputError`` where its ``results.json`` cannot be read."""
    results = _named(read_results(folder), folder)
    figures, runs = _row(results), []
    if len(results["seeds"]) > 1:
        by_seed = zip(results["seeds"], results["top1_by_seed"] or [], results["seconds_by_seed"] or [], strict=False)
        runs = [(seed, number(found), duration(seconds)) for seed, found, seconds in by_seed]
    return {
        "results": results,
        "figures": list(figures.values()),
        "columns_of_results": list(figures),
        "pretrained_on": data_name(results["pretrained_on"]),
        "runs": [*runs, ("mean ± deviation", figures["top-1 %"], "")] if runs else [],
        "classes": _classes(results),
        "further": _further(results),
        **_shared(folder, [results], []),
    }


def _shared(folder: Path, starts: Any, notes: list[str]) -> dict[str, Any]:
    """What both kinds of page show. ``starts``: what `masksem_graph.training.provenance.provenance` returned, each time."""
    starts = [start for start in starts if isinstance(start, dict)] if isinstance(starts, list) else []

    def every(*path: str) -> str:
        return joined([at(start, *path) for start in starts])

    versions = [found for start in starts if isinstance(found := start.get("versions"), dict)]
    evaluations = _evaluations(folder, notes)
    return {
        "name": folder.resolve().name,
        "starts": starts,
        "every": every,
        "commits": joined([short(start.get("commit")) for start in starts]),
        "packages": list(dict.fromkeys(name for found in versions for name in found)),
        "evaluations": [list(row.values()) for row in evaluations],
        "columns_of_evaluations": [name for row in evaluations[:1] for name in row],
        "pictures": find_pictures(folder, notes),
        "notes": notes,
    }


def _further(results: dict[str, Any]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Every other number and text that the protocol found, and in tables of their own those that it found by name.

    By title and caption of the table.
    """
    told = {name: value for name, value in results.items() if name not in REQUIRED | OPTIONAL and name not in TOLD}
    single = {name: f"{value:.4g}" if number(value) != MISSING else value for name, value in told.items()}
    shown = [(WORDS.get(name, name), text) for name, text in single.items() if isinstance(text, str)]
    tables = {("Further figures", ""): shown}
    for name, found in told.items():
        if isinstance(found, dict):
            pairs = ((key, number(value) if isinstance(value, float) else joined(value)) for key, value in found.items())
            tables[FLOORS if name == "floors" else (name, "")] = [(WORDS.get(key, str(key)), text) for key, text in pairs]
    return tables


def _classes(results: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Of each class its test clips, its recall, and what its clips are most often taken for."""
    recall, confusion = results["per_class_recall"] or {}, results["confusion"]
    if confusion is None or len(confusion) != len(recall):
        return [(name, MISSING, number(value), MISSING) for name, value in recall.items()]
    rows, classes = [], list(recall)
    for true, (name, counts) in enumerate(zip(classes, confusion, strict=True)):
        wrong = max((other for other in range(len(classes)) if other != true), key=lambda other: counts[other], default=true)
        taken = f"{classes[wrong]} ({100 * counts[wrong] / sum(counts):.0f} %)" if wrong != true and counts[wrong] > 0 else ""
        rows.append((name, number(sum(counts) / max(1, len(results["seeds"])), 0), number(recall[name]), taken))
    return rows


def metrics(folder: Path, notes: list[str]) -> list[dict[str, float]]:
    """The rows of ``metrics.csv``; none, and a note, where it is missing or damaged."""
    if not (folder / METRICS).is_file():
        notes.append(f"{METRICS}: not there, so there are no curves.")
        return []
    rows = _noted(folder, METRICS, lambda path: read_metrics(path.parent), notes) or []
    if any("loss" not in row for row in rows):
        notes.append(f"{METRICS}: cannot be read: a row without a loss")
        return []
    return rows


def _noted(folder: Path, name: str, read: Callable[[Path], Any], notes: list[str]) -> Any:
    """What a file says; None where there is none, and with a note where it is damaged."""
    path = folder / name
    try:
        return read(path) if path.exists() else None
    except InputError as error:
        notes.append(name + str(error).removeprefix(str(path)))
        return None


def _neighbours(rows: list[dict[str, float]]) -> tuple[str, float, str] | None:
    """The last check by nearest neighbours: of how many, what was found, and the others with their epoch."""
    for row in reversed(rows):
        if near := [(told, row[name]) for name, told in neighbours(row).items()]:
            others = [f"{told}: {number(value)} %" for told, value in near[1:]]
            return *near[0], ", ".join([*others, f"epoch {row['epoch']:.0f}"])
    return None


def _evaluations(folder: Path, notes: list[str]) -> list[dict[str, str]]:
    """Name and figures of the evaluations in the sub-folders; a note on each that is half-written or damaged."""

    def row_of(path: Path) -> dict[str, str]:
        return _row(_named(read_results(path.parent), folder))

    found = []
    for place in sorted({path.parent for name in TRACES for path in folder.rglob(name)} - {folder}):
        inside = place.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        if not (place / RESULTS).is_file():
            notes.append(f"{inside.as_posix()}: an evaluation without {RESULTS}, so not finished; left out")
        elif row := _noted(folder, f"{inside.as_posix()}/{RESULTS}", row_of, notes):
            found.append({"folder": inside.as_posix(), **row})
    return found


def _row(results: dict[str, Any]) -> dict[str, str]:
    """An evaluation as a row of a table: column -> text."""
    names = {"protocol": protocol_title(results["protocol"]), "data": results["data"], "encoder": results["encoder"]}
    return names | figures_of(results)


def _named(results: dict[str, Any], page_of: Path) -> dict[str, Any]:
    """Results with what their data and their encoder are called."""
    data = data_name(results["data_set"], results["split"])
    encoder = encoder_name(results)
    if not results["fused"] and not results["untrained"] and results["checkpoint"] == str(page_of.resolve()):
        used, now = results["encoder_sha256"], page_of / "encoder.safetensors"
        same = used is None or not now.is_file() or used == digest(now)
        encoder = "this one" if same else "an earlier state of this one"
    return results | {"data": data or f"{results['data']} {results['split']}", "encoder": encoder}


def data_name(data_set: Any, split: Any = None) -> str | None:
    """A data set and its split, as tables call them; of several, all of them; None where neither is known.

    ``data_set`` is what `masksem_graph.data.config.identity` says, or a list of such; ``split`` where that does not say.
    """
    if isinstance(data_set, list):
        return " + ".join(filter(None, (data_name(one, split) for one in data_set))) or None
    if isinstance(also := at(data_set, "also"), dict) and also:
        first = {name: value for name, value in data_set.items() if name != "also"}
        return data_name([first, *also.values()], split)
    if not (format := at(data_set, "format")):
        return None
    split = at(data_set, "split") or split
    try:
        return _published().title(_published().benchmark(data_set, str(split)))
    except (KeyError, TypeError, AttributeError):
        return f"{format} {split}" if split else str(format)


def at(fields: Any, *path: str) -> Any:
    """What lies below ``path`` in nested mappings; None where something on the way is missing or no mapping."""
    for name in path:
        fields = fields.get(name) if isinstance(fields, dict) else None
    return fields


# A page names the data of each of its evaluations, and reading the file takes longer than all the rest.
_published = cache(load_published)


def find_pictures(folder: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The pictures below a folder's ``figures``, in the order of `KNOWN`, unknown ones last; a note on each empty file.

    A still picture that is there as PNG and as SVG is shown as the smaller of the two, after it an animation of the same name.
    ``source`` is a data URI, or None where the picture is linked.
    """
    by_name: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted((folder / FIGURES).rglob("*")):
        if not path.is_file() or path.suffix.lower() not in MEDIA or path.name.startswith("."):
            continue
        if path.stat().st_size == 0:
            notes.append(f"{path.relative_to(folder)}: an empty file, left out")
        else:
            by_name[path.relative_to(folder / FIGURES).with_suffix("").as_posix()][path.suffix.lower()] = path
    order, found = list(KNOWN), []
    for name in sorted(by_name, key=lambda name: (order.index(known) if (known := kind(name)) else len(order), name)):
        moving = by_name[name].pop(".gif", None)
        # Of two of one size the PNG.
        stills = sorted(by_name[name].values(), key=lambda path: (path.stat().st_size, list(MEDIA).index(path.suffix.lower())))
        found += [_picture(folder, name, path) for path in (*stills[:1], moving) if path is not None]
    return found


def kind(name: str) -> str | None:
    """The longest name of `KNOWN` that a picture's name is or begins with; None for an unknown picture."""
    return max((known for known in KNOWN if f"{name}_".startswith(f"{known}_")), key=len, default=None)


def _picture(folder: Path, name: str, path: Path) -> dict[str, Any]:
    ending, size, known = path.suffix.lower(), path.stat().st_size, kind(name)
    title, caption = KNOWN[known] if known else (path.name, "")
    if known and (rest := name.removeprefix(known).strip("_")):
        title += f": {rest}"
    linked = ending == ".gif" and size >= GIF_LIMIT
    return {
        "name": name,
        "kind": known,
        "title": f"{title}, animated" if ending == ".gif" else title,
        "caption": caption,
        "source": None if linked else f"data:{MEDIA[ending]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}",
        "link": quote(path.relative_to(folder).as_posix(), errors="surrogateescape"),
        "size": size,
    }
