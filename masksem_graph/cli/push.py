"""Put a run on the Hugging Face Hub: weights, plain data and a model card of its own results."""

from pathlib import Path

from masksem_graph.errors import InputError
from masksem_graph.parser import Parser


def main(argv: list[str]) -> None:
    """Run ``push RUN OWNER/NAME``."""
    parser = Parser(prog="masksem-graph push", description=__doc__)
    parser.add_argument("run", type=str, help="folder of a run, or of an evaluation that trained a head")
    parser.add_argument("name", type=str, help="OWNER/NAME on the hub; or, with --output, what the card is to say")
    parser.add_argument("--licence", type=str, default="unknown", help="of the weights, such as cc-by-4.0")
    parser.add_argument("--private", type=bool, default=False, help="a new model that others cannot see")
    parser.add_argument("--output", type=str, help="write what would be uploaded into this folder, and upload nothing")
    found = parser.parse_args(argv)

    from masksem_graph.console import console
    from masksem_graph.exporting.push import push, stage
    from masksem_graph.files import write_beside

    where = found.output
    if where is None:
        where = push(Path(found.run), found.name, licence=found.licence, private=found.private)
    elif Path(where).exists():
        raise InputError(f"--output: {where} is there already; expected a new path")
    else:
        with write_beside(where) as partial:
            partial.mkdir()
            stage(Path(found.run), partial, found.name, licence=found.licence)
    console.print(f"{found.run} -> {where}", soft_wrap=True, markup=False)
