"""Write an encoder, with its head or alone, as one ONNX file that takes raw clips and needs no torch."""

from pathlib import Path
from typing import Literal

from masksem_graph.errors import InputError
from masksem_graph.parser import Parser


def main(argv: list[str]) -> None:
    """Run ``export RUN --output model.onnx``."""
    parser = Parser(prog="masksem-graph export", description=__doc__)
    parser.add_argument("run", type=str, help="folder of a run, or of an evaluation that trained a head; or hf://OWNER/NAME")
    parser.add_argument("--output", type=str, required=True, help="the file to write")
    parser.add_argument("--to", type=Literal["onnx", "pt2"], default="onnx", help="pt2: what torch.export.load reads")
    parser.add_argument("--licence", type=str, default="unknown", help="of the weights, as the file is to state it")
    parser.add_argument("--overwrite", type=bool, default=False, help="replace an earlier file")
    found = parser.parse_args(argv)
    output = Path(found.output)
    if output.suffix != f".{found.to}":
        raise InputError(f"--output: expected a name that ends in .{found.to}, found {found.output!r}")
    if output.exists() and not (found.overwrite and output.is_file()):
        raise InputError(f"--output: {output} is there already; expected a new path, or --overwrite true for a file")

    from masksem_graph.console import console
    from masksem_graph.exporting.write import export
    from masksem_graph.hub import local

    made = export(local(found.run), output, to=found.to, licence=found.licence)
    size = output.stat().st_size / 1e6
    what = f"{len(made.about['classes'])} classes" if made.about["classes"] else f"{made.about['outputs']} features"
    console.print(f"{found.run} -> {output} ({what}, {size:.1f} MB)", soft_wrap=True, markup=False)
    console.print(f"held against the run on {made.checked}: at most {made.difference:.1e} apart", soft_wrap=True, markup=False)
