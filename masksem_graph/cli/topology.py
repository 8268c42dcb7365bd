"""Validate and draw a topology, put two side by side, or measure a rest pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from masksem_graph.config import Parser
from masksem_graph.errors import InputError


def main(argv: Sequence[str]) -> None:
    """Run ``topology check FILE``, ``topology compare A B`` or ``topology pose STORE``."""
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: masksem-graph topology ACTION [--help] ...\n")
        print("\n".join(f"  {name:<8} {(action.__doc__ or '').splitlines()[0]}" for name, action in ACTIONS.items()))
        if arguments:
            raise SystemExit(0)
        return
    if arguments[0] not in ACTIONS:
        raise InputError(f"topology {arguments[0]}: no such action, expected one of {', '.join(ACTIONS)}")
    ACTIONS[arguments[0]](arguments[1:])


def check(argv: Sequence[str]) -> None:
    """Validate a topology, say what it is, and draw it."""
    parser = _parser("check", check)
    parser.add_argument("file", type=str, help="a YAML file, or a shipped name")
    parser.add_argument("--output", type=str, default="figures", help="a folder for the picture (PNG and SVG)")
    found = parser.parse_args(list(argv))

    from rich.console import Console

    from masksem_graph.report.figures import save_figure
    from masksem_graph.report.topologies import check_figure, check_table
    from masksem_graph.topology import load_topology

    topology = load_topology(found.file)
    path = Path(found.output) / topology.name
    save_figure(check_figure(topology), path)
    console = Console()
    console.print(check_table(topology))
    console.print(f"valid; drawn: {path}.png and .svg", markup=False)


def compare(argv: Sequence[str]) -> None:
    """Put two topologies side by side: bones, hop distances, spectra, smoothing operators."""
    parser = _parser("compare", compare)
    parser.add_argument("one", type=str, help="a YAML file, or a shipped name")
    parser.add_argument("other", type=str, help="another one")
    parser.add_argument("--output", type=str, default="figures", help="a folder for the picture (PNG and SVG)")
    found = parser.parse_args(list(argv))

    from rich.console import Console

    from masksem_graph.report.figures import save_figure
    from masksem_graph.report.topologies import compare_figure, compare_table
    from masksem_graph.topology import load_topology

    one, other = load_topology(found.one), load_topology(found.other)
    path = Path(found.output) / f"{one.name}_and_{other.name}"
    save_figure(compare_figure(one, other), path)
    console = Console()
    console.print(compare_table(one, other))
    console.print(f"drawn: {path}.png and .svg", markup=False)


def pose(argv: Sequence[str]) -> None:
    """Measure the mean pose of a store's bodies and write its topology with that rest pose."""
    parser = _parser("pose", pose)
    parser.add_argument("store", type=str, help="a store, as `prepare` writes it")
    parser.add_argument("--output", type=str, required=True, help="the topology file to write")
    parser.add_argument("--split", type=str, help="measure the training clips of this split alone")
    found = parser.parse_args(list(argv))

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


ACTIONS: dict[str, Callable[[Sequence[str]], Any]] = {"check": check, "compare": compare, "pose": pose}


def _parser(action: str, function: Callable[..., Any]) -> Parser:
    return Parser(prog=f"masksem-graph topology {action}", description=function.__doc__)
