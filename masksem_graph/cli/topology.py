"""Validate and draw a topology, put two side by side, or measure a rest pose."""

from pathlib import Path

from masksem_graph.cli import chosen
from masksem_graph.errors import InputError
from masksem_graph.parser import Parser

ACTIONS = {
    "check": "Validate a topology, say what it is, and draw it.",
    "compare": "Put two topologies side by side: bones, hop distances, spectra, smoothing operators.",
    "pose": "Measure the mean pose of a store's bodies and write its topology with that rest pose.",
}


def main(argv: list[str]) -> None:
    """Run ``topology check FILE``, ``topology compare A B`` or ``topology pose STORE``."""
    if not (action := chosen(argv, "topology ACTION", ACTIONS, "action")):
        return
    parser = Parser(prog=f"masksem-graph topology {action}", description=ACTIONS[action])
    if action == "pose":
        _measure(parser, argv[1:])
    else:
        _draw(parser, argv[1:], two=action == "compare")


def _draw(parser: Parser, argv: list[str], *, two: bool) -> None:
    parser.add_argument("one" if two else "file", type=str, help="a YAML file, or a shipped name")
    if two:
        parser.add_argument("other", type=str, help="another one")
    parser.add_argument("--output", type=str, default="figures", help="a folder for the picture (PNG and SVG)")
    found = parser.parse_args(argv)

    from rich.console import Console

    from masksem_graph.report.figures import save_figure
    from masksem_graph.report.topologies import check_figure, check_table, compare_figure, compare_table
    from masksem_graph.topology import load_topology

    topologies = [load_topology(name) for name in ((found.one, found.other) if two else (found.file,))]
    path = Path(found.output) / "_and_".join(topology.name for topology in topologies)
    save_figure(compare_figure(*topologies) if two else check_figure(*topologies), path)
    console = Console()
    console.print(compare_table(*topologies) if two else check_table(*topologies))
    console.print(f"{'' if two else 'valid; '}drawn: {path}.png and .svg", markup=False)


def _measure(parser: Parser, argv: list[str]) -> None:
    parser.add_argument("store", type=str, help="a store, as `prepare` writes it")
    parser.add_argument("--output", type=str, required=True, help="the topology file to write")
    parser.add_argument("--split", type=str, help="measure the training clips of this split alone")
    found = parser.parse_args(argv)

    import numpy as np
    import yaml
    from rich.console import Console

    from masksem_graph.data.mean_pose import mean_pose
    from masksem_graph.data.store import open_store
    from masksem_graph.files import write_beside
    from masksem_graph.topology import parse_topology

    store = open_store(found.store)
    if found.split is not None and found.split not in store.splits:
        raise InputError(f"--split: expected one of {', '.join(store.splits)}, found {found.split}")
    clips = np.arange(len(store)) if found.split is None else store.splits[found.split]["train"]
    target = Path(found.output)
    fields = {
        **store.topology.to_dict(),
        "name": target.stem,
        "source": f"{store.topology.source}; rest pose: the mean of {len(clips)} clips of {Path(found.store).name}",
        "rest_pose": mean_pose(store, clips),
    }
    parse_topology(fields, source_file=target)
    with write_beside(target) as partial:
        partial.write_text(yaml.safe_dump(fields, sort_keys=False, default_flow_style=None, width=125))
    Console().print(f"written: {target}", markup=False)
