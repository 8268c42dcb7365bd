"""What each backbone costs, side by side: ``python benchmarks/backbones.py [--model model/paper] [--output FILE.json]``.

Float32, the method ``masksem`` on synthetic clips of ntu25. In every round each backbone takes a training step and encodes the
batch once, so that a slow moment of the machine meets all; medians are printed.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from masksem_graph.benchmark.measure import _device_name
from masksem_graph.benchmark.timing import interleaved
from masksem_graph.benchmark.variants import Variant, train_step
from masksem_graph.benchmark.workload import Workload, workload_of
from masksem_graph.cli.train import parse
from masksem_graph.files import shipped, write_beside

PLAIN = "transformer, no bias"


def main() -> None:
    """Measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="model/paper", help="the YAML of the scale")
    parser.add_argument("--sequences", type=int, default=12)
    parser.add_argument("--two_person", type=int, default=2, help="how many of them hold two bodies")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="a JSON file")
    found = parser.parse_args()
    device = torch.device(found.device)
    works = {
        name: work(found.model, name, sequences=found.sequences, two_person=found.two_person, device=device)
        for name in (PLAIN, *backbones())
    }
    runs: dict[str, Any] = {}
    for name, built in works.items():
        runs[f"{name}: step"] = partial(train_step, built, Variant())
        runs[f"{name}: encode"] = partial(encode, built)
    for run in runs.values():  # warm-up: edges are found, memory is taken
        run()
    seconds, processor = interleaved(runs, rounds=found.rounds, device=device, advance=lambda name: None)
    rows = {name: figures(built, name, seconds, processor, found.sequences) for name, built in works.items()}
    report = {
        "model": found.model,
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "sequences": found.sequences,
        "two_person": found.two_person,
        "rounds": found.rounds,
        "backbones": rows,
        "seconds_by_round": seconds,
    }
    show(report)
    if found.output:
        with write_beside(found.output) as partial_file:
            partial_file.write_text(json.dumps(report, indent=1) + "\n")


def backbones() -> list[str]:
    """Names of the shipped YAMLs."""
    return sorted(path.stem for path in (shipped("configs") / "backbone").glob("*.yaml"))


def work(model: str, backbone: str, *, sequences: int, two_person: int, device: torch.device) -> Workload:
    """A task at the model's scale with one backbone, and a batch."""
    names = [model, *([] if backbone == PLAIN else [f"backbone/{backbone}"]), "method/masksem", "data/demo_xsub"]
    config, _ = parse([*(word for name in names for word in ("--config", name)), "--output", "unused"])
    return workload_of(config.model, config.method, sequences=sequences, two_person=two_person, device=device)


@torch.no_grad()
def encode(built: Workload) -> torch.Tensor:
    """Features of all nodes, as every evaluation wants them."""
    return built.task.student.features(built.clips.coordinates)


def figures(
    built: Workload, name: str, seconds: dict[str, list[float]], processor: dict[str, list[float]], sequences: int
) -> dict[str, Any]:
    """One row. ``processor_share`` is well below 1 where other programs kept the machine busy."""
    step, features = median(seconds[f"{name}: step"]), median(seconds[f"{name}: encode"])
    busy = sum(processor[f"{name}: step"]) / (sum(seconds[f"{name}: step"]) * torch.get_num_threads())
    backbone = built.task.student.backbone
    return {
        "masked": backbone.masked,
        "parameters": sum(p.numel() for p in backbone.parameters()),
        "step_milliseconds": 1e3 * step,
        "sequences_per_second": sequences / step,
        "encode_milliseconds": 1e3 * features,
        "encode_clips_per_second": sequences / features,
        "processor_share": busy if built.uniform.device.type == "cpu" else None,
    }


def show(report: dict[str, Any]) -> None:
    """The table of docs/backbones.md."""
    title = f"{report['model']}, {report['sequences']} sequences, {report['device']}, {report['threads']} threads"
    table = Table(title=title, title_justify="left")
    for column in ("backbone", "masked nodes", "parameters (M)", "step (ms)", "encode (ms)", "step, of the plain one's"):
        table.add_column(column, justify="left" if column in ("backbone", "masked nodes") else "right")
    plain = report["backbones"][PLAIN]["step_milliseconds"]
    for name, row in report["backbones"].items():
        step, features = row["step_milliseconds"], row["encode_milliseconds"]
        numbers = f"{row['parameters'] / 1e6:.1f}", f"{step:.0f}", f"{features:.0f}", f"{step / plain:.2f}"
        table.add_row(name, row["masked"], *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
