"""The whole path on the embedded data set, in minutes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from masksem_graph.cli.evaluate import main as evaluate
from masksem_graph.cli.train import main as train
from masksem_graph.config import Parser
from masksem_graph.console import console
from masksem_graph.report.evaluation import read_results

PROTOCOLS = {"linear": "linear probe", "knn": "1 nearest neighbour"}
ENCODERS = {"pretrained": "pre-trained (masksem)", "untrained": "the same encoder, untrained"}


def main(argv: Sequence[str]) -> None:
    """The command: write the data set, pre-train, evaluate beside the untrained encoder, compare."""
    parser = Parser(prog="masksem-graph demo", description=__doc__)
    parser.add_argument("--output", type=str, default="runs/demo", help="folder for the run and its evaluations")
    parser.add_argument("--epochs", type=int, default=120, help="epochs of pre-training")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    options = parser.parse_args(argv)
    run = Path(options.output)
    configs = ["data/demo_xsub", "model/tiny", "method/masksem"]
    console.rule("1. pre-training on the embedded data set, cross-subject")
    seed = ["--seed", str(options.seed), "--overwrite", "true"]
    chosen = [argument for name in configs for argument in ("--config", name)]
    train([*chosen, "--epochs", str(options.epochs), "--output", str(run), *seed])
    console.rule("2. evaluation of the frozen encoder")
    results = {}
    for encoder in ENCODERS:
        for protocol in PROTOCOLS:
            folder = run / f"{protocol}_{encoder}"
            untrained = ["--untrained", str(encoder == "untrained").lower()]
            evaluate(
                ["--config", f"protocol/{protocol}", "--checkpoint", str(run), "--output", str(folder), *untrained, *seed]
            )
            results[encoder, protocol] = read_results(folder)["top1"]
    _print(results)
    console.print(f"written: {run}")


def _print(results: dict[tuple[str, str], float]) -> None:
    table = Table(title="Embedded data set, cross-subject: top-1 accuracy (%)", title_justify="left")
    table.add_column("encoder")
    for name in PROTOCOLS.values():
        table.add_column(name, justify="right")
    for encoder, name in ENCODERS.items():
        table.add_row(name, *(f"{results[encoder, protocol]:.1f}" for protocol in PROTOCOLS))
    gains = [results["pretrained", protocol] - results["untrained", protocol] for protocol in PROTOCOLS]
    table.add_section()
    table.add_row("gain by pre-training, points", *(f"{gain:+.1f}" for gain in gains), style="bold")
    console.print(table)
