"""Evaluate an encoder under a protocol."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonargparse
import torch
from lightning_fabric import Fabric

from masksem_graph.config import Parser, instantiate, resolved, with_config_paths
from masksem_graph.console import console, progress_bars
from masksem_graph.data.augment import AugmentConfig, CropConfig
from masksem_graph.data.clips import ClipSource
from masksem_graph.data.config import DataConfig
from masksem_graph.data.store import Store
from masksem_graph.engine.devices import DeviceConfig, launch
from masksem_graph.errors import InputError
from masksem_graph.files import PACKAGE, read_yaml
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head
from masksem_graph.models.io import load_encoder, load_head, new_encoder
from masksem_graph.protocols import Evaluation, Protocol
from masksem_graph.protocols.metrics import classification_figures
from masksem_graph.report.evaluation import print_results, write_results

SHARED_WITH_RUN = {"data": DataConfig, "crop": CropConfig, "augment": AugmentConfig, "device": DeviceConfig}


def main(argv: Sequence[str]) -> None:
    """The command."""
    evaluate(**parse(argv))


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
    protocol_class = _protocol_class(peeked.protocol, peeked.config)
    parser = _parser(protocol_class)
    parser.set_defaults(_defaults(_config_of_run(peeked.checkpoint) if run is None else run))
    parsed = parser.parse_args(arguments)
    plain = resolved(parser, parsed)
    options = instantiate(parser, parsed)
    shared = {name: options.pop(name) for name in SHARED_WITH_RUN}
    own = {name: options.pop(name) for name in ("checkpoint", "output", "untrained", "seed", "runs", "overwrite", "protocol")}
    own["protocol"] = protocol_class(**options)
    return {"plain": plain, **shared, **own}


def _peek(arguments: Sequence[str]) -> argparse.Namespace:
    """What decides which other options there are: the protocol's class and the run."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--config", action="append", default=[])
    first.add_argument("--protocol")
    first.add_argument("--checkpoint")
    try:
        return first.parse_known_args(list(arguments))[0]
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from None


def _protocol_class(named: str | None, configs: Sequence[str]) -> type[Protocol]:
    """The class that ``--protocol``, or else the last configuration that has one, names."""
    for path in configs if named is None else ():
        fields = read_yaml(Path(path))
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


def _parser(protocol_class: type[Protocol]) -> jsonargparse.ArgumentParser:
    parser = Parser(prog="evaluate.py", description=f"Evaluate an encoder: {(protocol_class.__doc__ or '').splitlines()[0]}")
    parser.add_argument("--config", action="config", help="a protocol's YAML file or shipped name; several add up")
    parser.add_argument("--protocol", type=str, help="dotted path of the protocol's class")
    parser.add_argument("--checkpoint", type=str, required=True, help="the run to evaluate")
    parser.add_argument("--output", type=str, required=True, help="folder for results.json and figures/")
    parser.add_argument("--untrained", type=bool, default=False, help="the run's encoder with freshly drawn weights instead")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first run")
    parser.add_argument("--runs", type=int, default=1, help="runs, each with the next seed; mean and deviation are reported")
    parser.add_argument("--overwrite", type=bool, default=False, help="replace results that are already there")
    for name, kind in SHARED_WITH_RUN.items():
        parser.add_class_arguments(kind, name, fail_untyped=True)
    parser.add_class_arguments(protocol_class, fail_untyped=True)
    return parser


def _config_of_run(checkpoint: str | None) -> dict[str, Any]:
    if checkpoint is None:
        return {}
    path = Path(checkpoint) / "config.yaml"
    if not path.is_file():
        raise InputError(f"--checkpoint: expected the folder of a run, found no {path}")
    return read_yaml(path)


def _defaults(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run's own data, crop and augmentation, which the command line may override."""
    return {f"{section}.{name}": value for section in SHARED_WITH_RUN for name, value in run.get(section, {}).items()}


def evaluate(
    *,
    protocol: Protocol,
    checkpoint: str,
    output: str,
    data: DataConfig,
    crop: CropConfig,
    augment: AugmentConfig,
    device: DeviceConfig,
    plain: dict[str, Any],
    untrained: bool = False,
    seed: int = 0,
    runs: int = 1,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run a protocol and write ``results.json`` and its figures.

    Args:
        protocol: what to do.
        checkpoint: the run's folder.
        output: where the results go.
        data, crop, augment, device: which clips, how varied, where.
        plain: the whole configuration as plain data, for the record.
        untrained: evaluate freshly drawn weights.
        seed, runs: seeds ``seed`` to ``seed + runs - 1``.
        overwrite: replace results that are already there.

    Returns:
        what ``results.json`` holds.
    """
    folder = Path(output)
    if (folder / "results.json").exists() and not overwrite:
        raise InputError(f"--output: {folder} already holds results; expected another folder, or --overwrite true")
    if runs < 1:
        raise InputError(f"--runs: expected at least 1, found {runs}")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("evaluate runs in one process; expected it to be started without torchrun")
    fabric = launch(device)
    store = data.open()
    began = time.monotonic()
    outcomes = []
    with progress_bars() as progress:
        for number in range(seed, seed + runs):
            encoder = _encoder(checkpoint, store, untrained=untrained, seed=number).to(fabric.device)
            head = None if (saved := load_head(checkpoint)) is None else saved.head.to(fabric.device)
            evaluation = _evaluation(encoder, head, store, data, crop, augment, fabric, device)
            outcome = protocol.run(evaluation, seed=number, progress=progress)
            labels = evaluation.labels(evaluation.test)
            outcomes.append(classification_figures(outcome.scores, labels, store.classes) | outcome.figures)
    top1 = [figures["top1"] for figures in outcomes]
    results = {
        "protocol": type(protocol).__name__.lower(),
        "data": data.format,
        "split": data.split,
        "unit": "per cent",
        **outcomes[-1],
        "top1": statistics.fmean(top1),
        "top5": statistics.fmean(figures["top5"] for figures in outcomes),
        "mean": statistics.fmean(top1),
        "std": statistics.stdev(top1) if runs > 1 else 0.0,
        "seeds": list(range(seed, seed + runs)),
        "top1_by_seed": top1,
        "train_clips": len(evaluation.train),
        "test_clips": len(evaluation.test),
        "untrained": untrained,
        "checkpoint": str(Path(checkpoint).resolve()),
        "wall_seconds": time.monotonic() - began,
        "device": str(fabric.device),
        "commit": commit(),
        "versions": {name: version(name) for name in ("torch", "torch-geometric", "numpy")}
        | {"python": platform.python_version()},
        "config": plain,
    }
    write_results(folder, results, classes=store.classes)
    print_results(console, results, folder)
    return results


def _encoder(checkpoint: str, store: Store, *, untrained: bool, seed: int) -> SkeletonEncoder:
    own = load_encoder(checkpoint)
    # An encoder reads its own joints by name; on a skeleton that lacks some it is used as a whole, where its parts allow it.
    other = None if set(own.topology.inputs) <= set(store.topology.inputs) else store.topology
    if not untrained:
        return own if other is None else load_encoder(checkpoint, topology=other)
    torch.manual_seed(seed)
    return new_encoder(checkpoint, topology=other).eval()


def _evaluation(
    encoder: SkeletonEncoder,
    head: Head | None,
    store: Store,
    data: DataConfig,
    crop: CropConfig,
    augment: AugmentConfig,
    fabric: Fabric,
    device: DeviceConfig,
) -> Evaluation:
    source = ClipSource(
        store,
        frames=encoder.frames,
        segment=encoder.segment,
        device=fabric.device,
        residency=data.residency,
        absent_frames=data.absent_frames,
        stream=data.stream,
        topology=encoder.topology,
    )
    split = {name: torch.from_numpy(store.splits[data.split][name]) for name in ("train", "test")}
    split = {name: clips[source.label[clips] >= 0] for name, clips in split.items()}
    for name, clips in split.items():
        if len(clips) == 0:
            raise InputError(
                f"data.split: {data.split} of {store.path} has no labelled {name} clips; this protocol needs some"
            )
    bf16 = device.precision == "bf16-mixed"
    return Evaluation(
        encoder=encoder,
        source=source,
        train=split["train"],
        test=split["test"],
        classes=store.classes,
        crop=crop,
        augment=augment,
        bf16=bf16,
        head=head,
    )


def commit() -> str | None:
    """The commit of the checkout that the package runs from; None in an installed wheel."""
    if not (PACKAGE.parent / ".git").exists():
        return None
    answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
