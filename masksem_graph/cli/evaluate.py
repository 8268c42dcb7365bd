"""Evaluate an encoder under a protocol, or add up the scores of evaluations."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonargparse

from masksem_graph.config import Parser, instantiate, resolved, with_config_paths
from masksem_graph.console import console
from masksem_graph.errors import InputError
from masksem_graph.evaluation import SCRATCH, EvaluateConfig, evaluate
from masksem_graph.evaluation.fuse import fuse
from masksem_graph.files import read_yaml
from masksem_graph.models.build import ModelConfig
from masksem_graph.protocols import Protocol
from masksem_graph.report.evaluation import print_results
from masksem_graph.training.processes import leave_together

OF_RUN = ("data", "crop", "augment", "device")
OF_TRAINING = ("data.also", "data.weight")
"""What it says of its data as a mixture: an evaluation is of one data set, the first unless another is named."""
KEPT_ON_OTHER_DATA = ("data.stream", "data.absent_frames", "data.residency", "crop.", "device.")
"""What a run's configuration still says where the evaluation names its own data: how the encoder is used to seeing clips."""


def main(argv: Sequence[str]) -> None:
    """The command."""
    if any(argument == "--fuse" or argument.startswith("--fuse=") for argument in argv):
        _fuse(argv)
    else:
        _evaluate(argv)


def _evaluate(argv: Sequence[str]) -> None:
    parsed = parse(argv)
    results = evaluate(**parsed)
    if results is not None:
        print_results(console, results, Path(parsed["config"].output))
    leave_together()


def parse(argv: Sequence[str], run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read the command line.

    Args:
        argv: the arguments.
        run: the configuration of the run to evaluate, in place of its ``config.yaml``: for a run that is yet to be made.

    Returns:
        the arguments of `evaluate`.
    """
    arguments = with_config_paths(argv)
    peeked = _peek(arguments)
    files = {path: read_yaml(Path(path)) for path in peeked.config}
    if {"-h", "--help"} & set(arguments) and not peeked.protocol and not files:
        peeked.protocol = "masksem_graph.protocols.Linear"
    protocol_class = _protocol_class(peeked.protocol, files)
    scratch = peeked.checkpoint == SCRATCH
    parser = _parser(protocol_class, scratch=scratch)
    if scratch:
        if not any("model" in fields for fields in files.values() if isinstance(fields, dict)):
            raise InputError(f"model: --checkpoint {SCRATCH} expects a model, such as --config model/small")
        arguments, defaults = _without_models(arguments, files)
        parser.set_defaults(defaults)
    elif peeked.checkpoint is not None:
        own_data = any(isinstance(fields, dict) and "format" in (fields.get("data") or {}) for fields in files.values())
        fields = _config_of_run(Path(peeked.checkpoint)) if run is None else run
        parser.set_defaults(defaults_of_run(fields, own_data=own_data or peeked.format is not None))
    parsed = parser.parse_args(arguments)
    plain = resolved(parser, parsed)
    options = instantiate(parser, parsed)
    ours = {name: options.pop(name) for name in EvaluateConfig.__dataclass_fields__ if name in options}
    options.pop("protocol")
    return {"config": EvaluateConfig(**ours), "protocol": protocol_class(**options), "plain": plain}


def _fuse(argv: Sequence[str]) -> None:
    parser = Parser(prog="evaluate.py --fuse", description="Add up the class scores of evaluations of the same test clips.")
    parser.add_argument("--fuse", type=str, nargs="+", required=True, help="folders of evaluations, one a stream")
    parser.add_argument("--weights", type=list[float], default=None, help="of each one's scores; all alike by default")
    parser.add_argument("--output", type=str, required=True, help="folder for results.json and figures/")
    parser.add_argument("--overwrite", type=bool, default=False, help="replace results that are already there")
    found = parser.parse_args(argv)
    results = fuse([Path(run) for run in found.fuse], Path(found.output), weights=found.weights, overwrite=found.overwrite)
    print_results(console, results, Path(found.output))


def _peek(arguments: Sequence[str]) -> argparse.Namespace:
    """What decides which other options there are: the protocol's class, the run, the data."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--config", action="append", default=[])
    first.add_argument("--protocol")
    first.add_argument("--checkpoint")
    first.add_argument("--data.format", dest="format")
    try:
        return first.parse_known_args(list(arguments))[0]
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from None


def _protocol_class(named: str | None, files: dict[str, Any]) -> type[Protocol]:
    """The class that ``--protocol``, or else the last configuration that has one, names."""
    for fields in files.values() if named is None else ():
        named = fields.get("protocol", named) if isinstance(fields, dict) else named
    if not named:
        raise InputError("--config: expected a YAML file that says `protocol: CLASS`, such as configs/protocol/linear.yaml")
    module, _, name = str(named).rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"--protocol: {named}: {error}") from None
    if not (isinstance(found, type) and issubclass(found, Protocol)):
        raise InputError(f"--protocol: expected a subclass of masksem_graph.protocols.Protocol, found {named}")
    return found


def _parser(protocol_class: type[Protocol], *, scratch: bool) -> jsonargparse.ArgumentParser:
    parser = Parser(prog="evaluate.py", description=f"Evaluate an encoder: {(protocol_class.__doc__ or '').splitlines()[0]}")
    parser.add_argument("--config", action="config", help="a protocol's YAML file or shipped name; several add up")
    parser.add_argument("--protocol", type=str, help="dotted path of the protocol's class")
    parser.add_class_arguments(EvaluateConfig, skip={"model"}, fail_untyped=True)
    if scratch:
        parser.add_class_arguments(ModelConfig, "model", fail_untyped=True)
    parser.add_class_arguments(protocol_class, fail_untyped=True)
    return parser


def _config_of_run(run: Path) -> Mapping[str, Any]:
    if not (run / "encoder.yaml").is_file():
        raise InputError(f"--checkpoint: expected `{SCRATCH}` or the folder of a run, found no {run / 'encoder.yaml'}")
    return read_yaml(run / "config.yaml") if (run / "config.yaml").is_file() else {}


def defaults_of_run(fields: Mapping[str, Any], *, own_data: bool) -> dict[str, Any]:
    """A run's own data, crop and augmentation, which the command line may override."""
    flat = {f"{section}.{name}": value for section in OF_RUN for name, value in fields.get(section, {}).items()}
    flat = {name: value for name, value in flat.items() if name not in OF_TRAINING}
    if own_data:
        flat = {name: value for name, value in flat.items() if name.startswith(KEPT_ON_OTHER_DATA)}
    return flat


def _without_models(arguments: Sequence[str], files: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The arguments without the files that describe a model, and what of these an evaluation takes as defaults.

    A model's file also says how long and in what batches to pre-train it, which an evaluation's own numbers must not become.
    """
    models = {path: fields for path, fields in files.items() if isinstance(fields, dict) and "model" in fields}
    kept: list[str] = []
    for argument in arguments:
        if kept and kept[-1] == "--config" and argument in models:
            kept.pop()
        elif argument.removeprefix("--config=") not in models or not argument.startswith("--config="):
            kept.append(argument)
    defaults: dict[str, Any] = {}
    for fields in models.values():
        for section in ("model", *OF_RUN):
            defaults |= {f"{section}.{name}": value for name, value in (fields.get(section) or {}).items()}
    return kept, defaults
