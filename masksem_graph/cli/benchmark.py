"""Measure the speed of training and what each design choice buys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from rich.console import Console

from masksem_graph.benchmark import BenchmarkConfig, measure, show
from masksem_graph.config import Parser
from masksem_graph.console import progress_bars
from masksem_graph.files import write_beside
from masksem_graph.training.devices import DeviceConfig, launch


def main(argv: Sequence[str]) -> None:
    """Run ``benchmark [--model F] [--device D] [--output FILE.json]``."""
    parser = Parser(prog="masksem-graph benchmark", description=__doc__)
    parser.add_class_arguments(BenchmarkConfig, fail_untyped=True)
    parser.add_argument("--device", type=Literal["cpu", "cuda", "auto"], default="auto", help="where to compute")
    parser.add_argument("--output", type=str, help="a JSON file for every figure by name")
    options = vars(parser.parse_args(list(argv)))
    device, output = options.pop("device"), options.pop("output")
    config = BenchmarkConfig(**options)
    fabric = launch(DeviceConfig(accelerator=device))
    with progress_bars() as progress:
        found = measure(config, fabric.device, progress)
    show(Console(), found)
    if output is not None:
        with write_beside(output) as partial:
            partial.write_text(json.dumps(found, indent=1) + "\n")
