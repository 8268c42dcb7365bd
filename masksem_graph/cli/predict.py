"""Name the action in clips: the likeliest classes and their probabilities."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from masksem_graph.cli import format_of
from masksem_graph.errors import InputError
from masksem_graph.parser import Parser

Accelerator = Literal["auto", "cpu", "cuda", "mps"]


def main(argv: list[str]) -> None:
    """Run ``predict CLIP... --run EVALUATION``; the format's reader adds its own options."""
    format = format_of(argv)
    parser = Parser(prog="masksem-graph predict", description=__doc__)
    parser.add_argument("clips", type=str, nargs="+", help="files, folders or stores; also an .npy [frames, joints, xyz]")
    trained = "folder of an evaluation that trained a head, its .onnx, or hf://OWNER/NAME"
    parser.add_argument("--run", type=str, required=True, help=trained)
    parser.add_argument("--format", type=str, help="of the clips, as of `prepare`; by default their endings tell")
    parser.add_argument("--top", type=int, default=5, help="how many classes to name")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each clip instead of a table")
    parser.add_argument("--device.accelerator", type=Accelerator, default="auto", help="auto takes a GPU where there is one")
    options: list[str] = []
    if format:
        from masksem_graph.data.readers import reader_class

        options = parser.add_class_arguments(reader_class(format))
    found = parser.parse_args(argv)
    if found.top < 1:
        raise InputError(f"--top: expected at least 1, found {found.top}")
    given = {name: found[name] for name in options if any(arg.partition("=")[0] == f"--{name}" for arg in argv)}
    clips, how = [Path(clip) for clip in found.clips], found.device.accelerator
    rows, failed = predict(clips, Path(found.run), format=format, options=given, top=found.top, accelerator=how)
    if found.json:
        for row in [*rows, *({"clip": name, "error": error} for name, error in failed.items())]:
            sys.stdout.write(json.dumps(row) + "\n")
    elif rows:
        print(_table(rows))
    for error in failed.values():
        print(f"error: {error}", file=sys.stderr)
    if failed:
        raise SystemExit(1 if rows else 2)


def predict(
    clips: Sequence[Path], run: Path, *, format: str | None, options: Mapping[str, Any], top: int, accelerator: Accelerator
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The likeliest classes of each readable clip, and what is wrong with each other one; `InputError` for a bad run."""
    from masksem_graph.evaluation.classifier import load_classifier
    from masksem_graph.evaluation.loose_clips import gather
    from masksem_graph.hub import local
    from masksem_graph.training.devices import DeviceConfig, launch

    classifier = load_classifier(local(run))
    device = launch(DeviceConfig(accelerator=accelerator)).device
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        found = gather(clips, Path(folder), prepared=classifier.prepared, format=format, options=options)
        failed = dict(found.failed)
        for store in found.stores:
            names = [str(name) for name in store.name]
            try:
                probabilities = classifier.probabilities(store, device)
            except InputError as error:
                more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
                failed[names[0]] = f"{names[0]}{more}: {error}"
                continue
            for name, of_clip in zip(names, probabilities, strict=True):
                best = of_clip.topk(min(top, len(of_clip)))
                guesses = zip(best.indices.tolist(), best.values.tolist(), strict=True)
                rows.append({"clip": name, "top": [{"class": classifier.classes[i], "probability": p} for i, p in guesses]})
    return rows, failed


def _table(rows: Sequence[dict[str, Any]]) -> str:
    from tabulate import tabulate

    heads, lines = ["clip"], [[row["clip"]] for row in rows]
    for place in range(len(rows[0]["top"])):
        heads += [f"{place + 1}.", "%"]
        for line, row in zip(lines, rows, strict=True):
            line += [row["top"][place]["class"], f"{100 * row['top'][place]['probability']:.1f}"]
    return tabulate(lines, heads, disable_numparse=True)
