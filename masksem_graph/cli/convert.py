"""Turn a checkpoint of MAMP's or MaskSem's authors into a run, or a run into such a checkpoint."""

from pathlib import Path
from typing import Literal

from masksem_graph.errors import InputError
from masksem_graph.files import followed, remove_leftovers
from masksem_graph.parser import Parser


def main(argv: list[str]) -> None:
    """Run ``convert FILE.pth --output RUN``, or ``convert RUN --to mamp --output FILE.pth``."""
    parser = Parser(prog="masksem-graph convert", description=__doc__)
    parser.add_argument("source", type=str, help="the checkpoint; with --to, the run")
    parser.add_argument("--output", type=str, required=True, help="the run's folder to write; with --to, the checkpoint")
    parser.add_argument("--to", type=Literal["run", "mamp"], default="run", help="mamp: write what MAMP's own code loads")
    parser.add_argument("--topology", type=str, default="ntu25", help="the checkpoint's skeleton: a shipped name or a YAML")
    parser.add_argument("--heads", type=int, help="attention heads, where the file does not say")
    parser.add_argument("--overwrite", type=bool, default=False, help="replace an earlier conversion")
    found = parser.parse_args(argv)
    source, output, to_mamp = Path(found.source), Path(found.output), found.to == "mamp"
    if to_mamp and output.exists() and not output.is_file():
        raise InputError(f"--output: {output} holds something else; expected a new path")
    written = output if to_mamp else output / "encoder.yaml"
    remove_leftovers(followed(output))  # of a conversion that was killed at its very end
    _require_new(output, written, overwrite=found.overwrite)

    from masksem_graph.console import console
    from masksem_graph.published import export_run, import_run
    from masksem_graph.run_folder import RunFolder

    if to_mamp:
        export_run(source, output)
        console.print(f"{source} -> {output}", soft_wrap=True, markup=False)
        return
    with RunFolder(found.output).writing("conversion"):
        _require_new(output, written, overwrite=found.overwrite)  # once more, now that nobody else writes it
        made = import_run(source, output, topology=found.topology, heads=found.heads)
    sizes = {part: sum(value.numel() for value in weights.values()) for part, weights in made.parts.items()}
    parts = ", ".join(f"{part} ({size:,} numbers)" for part, size in sizes.items())
    told = "".join(f", {one}" for one in made.told)
    console.print(f"{source}: {made.kind}{told}: {parts} -> {output}", soft_wrap=True, markup=False)


def _require_new(output: Path, written: Path, *, overwrite: bool) -> None:
    if written.exists() and not overwrite:
        raise InputError(f"--output: {output} is there already; expected a new path, or --overwrite true")
