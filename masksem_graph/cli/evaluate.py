"""Evaluate an encoder under a protocol, or add up the scores of evaluations."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from masksem_graph.cli.train import resolve_roots
from masksem_graph.errors import InputError
from masksem_graph.hub import local
from masksem_graph.options import Options, print_help, read_options
from masksem_graph.parser import Parser
from masksem_graph.run_folder import RunFolder

ROOT = "masksem_graph.evaluation.config.EvaluateConfig"
GROUPS = ("protocol", "labels", "data", "augment", "model", "backbone", "encodings")
EXAMPLE = "evaluate --run runs/first --protocol linear"
OF_RUN = ("data", "augment", "device")
"""Sections of a run's configuration that its evaluations begin with."""
OF_MIXTURE = ("also", "weight")
"""What a run says of its data as a mixture: an evaluation is of one data set, the first unless another is named."""
KEPT_ON_OTHER_DATA = ("stream", "absent_frames", "residency", "view", "view_of")
"""What a run still says of other data: how its encoder is used to seeing clips."""


def main(argv: list[str]) -> None:
    """The command."""
    fusing = any(argument.partition("=")[0] == "--fuse" for argument in argv)
    if fusing:
        results, output = _fuse(argv)
    else:
        if {"-h", "--help"} & set(argv):
            print_help(__doc__, EXAMPLE, ROOT, GROUPS)
        config, plain, competed = parse(argv)

        from masksem_graph.evaluation.several import evaluate_all

        results, output = evaluate_all(config, plain, competed), Path(config.output)

    from masksem_graph.console import console
    from masksem_graph.report.evaluation import print_results
    from masksem_graph.training.processes import leave_together

    if results is not None:
        print_results(console, results, output)
    if not fusing:
        leave_together()


def _fuse(argv: list[str]) -> tuple[dict[str, Any] | None, Path]:
    parser = Parser(prog="evaluate.py --fuse", description="Add up the class scores of evaluations of the same test clips.")
    parser.add_argument("--fuse", type=str, nargs="+", required=True, help="folders of evaluations, one a stream")
    parser.add_argument("--weights", type=list[float], default=None, help="of each one's scores; all alike by default")
    parser.add_argument("--output", type=str, required=True, help="folder for results.json and figures/")
    parser.add_argument("--overwrite", type=bool, default=False, help="replace results that are already there")
    found = parser.parse_args(argv)

    from masksem_graph.evaluation.several import fuse

    runs, output = [Path(run) for run in found.fuse], Path(found.output)
    return fuse(runs, output, weights=found.weights, overwrite=found.overwrite), output


def parse(argv: Sequence[str], run: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any], list[Any]]:
    """As `read`, from the arguments."""
    return read(read_options(argv, ROOT, GROUPS), run)


def read(options: Options, run: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any], list[Any]]:
    """The configuration of an evaluation, the same as plain data, and the fields that two sources set.

    ``run`` stands in for the ``config.yaml`` of a run that is yet to be made.
    """
    named = options.compose().fields
    if not named.get("run"):
        raise InputError("--run: expected the folder of a run, or none for freshly drawn weights of --model")
    scratch = named["run"] == "none"
    if not scratch and run is None:
        named["run"] = str(local(named["run"]))
        run = config_of_run(Path(named["run"]))
    own_data = "format" in (named.get("data") or {})
    composed = options.compose(base=sections_of_run(run or {}, own_data=own_data), base_source=str(named["run"]))
    fields = composed.fields
    fields["run"] = named["run"]
    if scratch and "model" not in fields:
        raise InputError("--model: --run none expects a model, such as --model small")
    if "protocol" not in fields:
        raise InputError("--protocol: expected a shipped name such as linear, a file, or the dotted path of a class")

    from masksem_graph.backbones.complete import complete_backbones
    from masksem_graph.config import typed
    from masksem_graph.data.prepare import is_embedded
    from masksem_graph.evaluation.config import EvaluateConfig

    if "output" not in fields:
        composed.put(("output",), _default_output(options, fields), "its default")
    data = fields.get("data")
    data = data if isinstance(data, dict) else {}
    root = data.get("root")
    gone = isinstance(root, str) and not os.path.exists(root) and not is_embedded(str(data.get("format")))
    if gone and composed.source_of("data.root") == str(named["run"]):
        raise InputError(f"{named['run']}: the clips of this run were in {root}, which is gone; expected --data.root")
    resolve_roots(fields)
    return *typed(EvaluateConfig, composed, complete=complete_backbones), composed.competed


def _default_output(options: Options, fields: Mapping[str, Any]) -> str:
    """Where results go that nobody named a folder for: one in the run's, named after protocol, other data and labels."""
    if fields["run"] == "none":
        raise InputError("--output: expected a folder, since there is no run to put the results in")
    protocol, data, labels = (options.groups.get(name) for name in ("protocol", "data", "labels"))
    protocol = protocol if isinstance(protocol, str) else fields["protocol"]["class_path"]
    name = protocol.removesuffix(".yaml").rpartition("/")[2].rpartition(".")[2].lower()
    parts = (name, Path(data).stem if isinstance(data, str) else "", str(labels or "").strip("%"))
    return str(Path(fields["run"]) / "_".join(filter(None, (*parts, "folds" if fields.get("folds") else ""))))


def config_of_run(run: Path) -> dict[str, Any]:
    """The configuration in a run's folder; empty where it has none, as a converted one. `InputError` without an encoder."""
    if not (run / "encoder.yaml").is_file():
        raise InputError(f"--run: expected `none` or the folder of a run, found no {run / 'encoder.yaml'}")
    return RunFolder(run).read_config()


def sections_of_run(fields: Mapping[str, Any], *, own_data: bool) -> dict[str, Any]:
    """A run's own data, transforms and device, which an evaluation, with ``own_data`` or without, may replace."""
    found = {name: fields[name] for name in OF_RUN if name in fields}
    if isinstance(data := found.get("data"), dict):
        kept = KEPT_ON_OTHER_DATA if own_data else [name for name in data if name not in OF_MIXTURE]
        found["data"] = {name: value for name, value in data.items() if name in kept}
    return found
