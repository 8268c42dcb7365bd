"""Write the page of a run or of an evaluation anew."""

from pathlib import Path

from masksem_graph.console import console
from masksem_graph.parser import Parser
from masksem_graph.report.page import write_page


def main(argv: list[str]) -> None:
    """Run ``report RUN``."""
    parser = Parser(prog="masksem-graph report", description=__doc__)
    parser.add_argument("run", type=str, help="the folder of a run or of an evaluation")
    found = parser.parse_args(argv)
    console.print(f"written: {write_page(Path(found.run))}", soft_wrap=True, markup=False)
