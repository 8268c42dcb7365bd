"""Print the paper's tables with your evaluations beside the published figures."""

import sys
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from masksem_graph.console import console, print_whole
from masksem_graph.files import write_beside
from masksem_graph.parser import Parser
from masksem_graph.report.published import load_published
from masksem_graph.report.tables import FORMATS, Style, build_table, collect


def main(argv: list[str]) -> None:
    """Run ``table RUNS... --style {I,II,III,IV,all}``."""
    parser = Parser(prog="masksem-graph table", description=__doc__)
    parser.add_argument("runs", type=str, nargs="*", help="evaluations, or runs with evaluations below them")
    parser.add_argument("--style", type=Style, default="I", help="I linear, II fine-tuned, III semi-supervised, IV transfer")
    parser.add_argument("--format", type=Literal["terminal", "markdown", "latex"], default="terminal", help="how to write it")
    parser.add_argument("--benchmarks", type=list[str], default=[], help="the only ones to show, such as [nw_ucla_xview]")
    parser.add_argument("--output", type=str, help="a file to write it to, in place of the terminal")
    found = parser.parse_args(argv)
    table = build_table(found.style, collect([Path(run) for run in found.runs]), load_published(), found.benchmarks)

    def write(file: Any, width: int | None = None) -> None:
        if found.format == "terminal":
            print_whole(Console(file=file, width=width), table.terminal())
        else:
            file.write(FORMATS[found.format](table))

    if found.output is None:
        write(sys.stdout)
        return
    with write_beside(found.output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        write(file, width=160)
    console.print(f"written: {found.output}", soft_wrap=True, markup=False)
