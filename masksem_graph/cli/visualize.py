"""Draw a run: saliency, smoothing, masks, reconstruction, features."""

from pathlib import Path
from typing import Any, Literal

from masksem_graph.cli import chosen, set_apart
from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.options import as_value, read_options
from masksem_graph.parser import Parser

KINDS = {
    "saliency": "Where a clip differs from the average motion",
    "smoothing": "Smoothing operators, as matrices, on the graph, on an impulse and on a clip",
    "masks": "Which nodes each strategy hides",
    "reconstruction": "What the decoder says of hidden nodes beside what is true",
    "embedding": "A map of the features of the test clips, by class",
}


def main(argv: list[str]) -> None:
    """Run ``visualize KIND ...``."""
    if not (kind := chosen(argv, "visualize KIND", KINDS, "kind of picture")):
        return
    own, of_data = set_apart(argv[1:], lambda name: name.partition(".")[0] in ("data", "config"))
    own, of_operator = set_apart(own, lambda name: kind == "smoothing" and name.startswith("operator."))
    # What is not given is the function's own default.
    options = {name: value for name, value in vars(_parser(kind).parse_args(own)).items() if value is not None}
    output, show, seed = Path(options.pop("output")), options.pop("show"), options.pop("seed")
    if seed < 0:
        raise InputError(f"--seed: expected at least 0, found {seed}")

    from masksem_graph import visualize
    from masksem_graph.console import console
    from masksem_graph.pictures.picture import require_display, show_pictures, write_pictures

    if show:
        require_display()
    if of_data:
        options["data"] = _other_data(of_data, options.get("run"))
    if "scale" in options:
        options["shared"] = options.pop("scale") == "shared"
    if "device" in options:
        options["device"] = options["device"].accelerator
    if kind in ("masks", "reconstruction", "embedding"):
        options["seed"] = seed
    if kind == "smoothing":
        options["numbers"] = {name.removeprefix("operator."): as_value(value) for name, value in of_operator}
    pictures = getattr(visualize, kind)(**options)
    for path in write_pictures(pictures, output):
        console.print(f"drawn: {path}", soft_wrap=True, markup=False)
    if show:
        show_pictures(pictures)


def _other_data(given: list[tuple[str, str]], run: str | None) -> Any:
    from masksem_graph.cli.evaluate import ROOT, config_of_run, sections_of_run
    from masksem_graph.cli.train import resolve_roots
    from masksem_graph.data.config import DataConfig

    options = read_options([f"--{name}={value}" for name, value in given], ROOT, ("data",))
    own_data = "format" in (options.compose().fields.get("data") or {})
    of_run = sections_of_run(config_of_run(Path(run)) if run else {}, own_data=own_data)
    composed = options.compose(base={"data": of_run.get("data", {})}, base_source=str(run))
    resolve_roots(composed.fields)
    return parse_mapping(DataConfig, composed.fields["data"], source=composed.source_of("data") or "--data")


def _parser(kind: str) -> Parser:
    parser = Parser(prog=f"masksem-graph visualize {kind}", description=f"{KINDS[kind]}. --data NAME: other clips.")
    parser.add_argument("--run", type=str, required=kind != "smoothing", help="folder of a run")
    parser.add_argument("--output", type=str, default="figures", help="a folder for the PNG, SVG and GIF files")
    parser.add_argument("--show", action="store_true", help="open a window for each")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    if kind != "embedding":
        parts = Literal["train", "test"]
        parser.add_argument("--clip", type=str, default="0", help="its number in the part of the split, its name, or a file")
        parser.add_argument("--part", type=parts, default="test", help="of the split, that --clip counts in")
        parser.add_argument("--rate", type=float, help="frames a second of the clip: time in seconds instead of frames")
    if kind in ("saliency", "smoothing", "masks"):
        parser.add_argument("--gif", type=bool, default=True, help="also make the animation")
    if kind in ("smoothing", "reconstruction"):
        scales = Literal["own", "shared"]
        parser.add_argument("--joints", type=str, nargs="+", help="to show, or where an impulse starts")
        parser.add_argument("--scale", type=scales, help="of the rows: each its own, or one shared")
    if kind == "smoothing":
        known = "none, adjacency, parts, ppr, heat, spatio_temporal, or dotted paths of classes"
        about = f"{known}; by default all of these side by side; --operator.NAME VALUE: an option, as --operator.hops 2"
        parser.add_argument("--topology", dest="skeleton", type=str, help="a YAML file or a shipped name; or the run's own")
        parser.add_argument("--operator", dest="operators", type=str, nargs="+", help=about)
    if kind == "masks":
        parser.add_argument("--draws", type=int, default=1000, help="that the frequency is taken over")
    if kind == "reconstruction":
        parser.add_argument("--standardised", type=bool, default=False, help="show the values that the loss compares")
    if kind == "embedding":
        parser.add_argument("--method", type=Literal["tsne", "pca"], default="tsne", help="what lays the clips out")
        parser.add_argument("--points", type=int, default=2000, help="at most so many clips, drawn at random")
        parser.add_argument("--device.accelerator", type=Literal["cpu", "cuda", "mps"], default="cpu", help="where to compute")
    return parser
