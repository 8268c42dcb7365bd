"""Pre-train an encoder on a data set."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from masksem_graph.config import Parser, instantiate, resolved
from masksem_graph.console import console, progress_bars
from masksem_graph.data.augment import AugmentConfig, CropConfig, whole_view
from masksem_graph.data.clips import ClipSource, Plan
from masksem_graph.data.config import DataConfig, identity, open_each_on_first
from masksem_graph.data.mixture import TrainingSet
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.files import read_yaml, require_folder, write_beside
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import save_encoder
from masksem_graph.pictures.after import draw_training
from masksem_graph.protocols import KNN, Evaluation
from masksem_graph.report.page import NAME, clear_pictures, write_page
from masksem_graph.tasks.pretrain import MethodConfig, Pretrain
from masksem_graph.tasks.several import SeveralPretrain, build_several
from masksem_graph.topology import encoder_topology
from masksem_graph.training.checkpoint import load_checkpoint
from masksem_graph.training.devices import DeviceConfig, compiler_fault, launch
from masksem_graph.training.optim import OptimConfig
from masksem_graph.training.pretrain import Interrupted, LoopConfig, PretrainLoop, average_clip
from masksem_graph.training.processes import leave_together
from masksem_graph.training.provenance import PROVENANCE, record_start

MAY_CHANGE = {
    "output",
    "overwrite",
    "checkpoint_minutes",
    "evaluate_every",
    "device",
    "data.root",
    "data.also.*.root",
    "data.residency",
    "init_from",
    "figures",
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LoopConfig):
    """A pre-training run.

    Args:
        data: which clips, of one data set or of several.
        model: the networks.
        method: what is masked and predicted.
        output: the run's folder.
        crop, augment: how clips are varied.
        optim: the optimiser.
        device: where to compute.
        figures: draw a test clip when training is over: saliency, smoothing, masks, reconstruction.
        init_from: a run whose student, decoder and teacher to start from.
        overwrite: start afresh where ``output`` already holds a run.
    """

    data: DataConfig
    model: ModelConfig
    method: MethodConfig
    output: str
    epochs: int = 400
    batch_size: int = 128
    crop: CropConfig = field(default_factory=CropConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    figures: bool = True
    init_from: str | None = None
    overwrite: bool = False


def parse(argv: Sequence[str]) -> tuple[TrainConfig, dict[str, Any]]:
    """Read the command line.

    Returns:
        the configuration, and the same as plain data with every default filled in.
    """
    parser = Parser(prog="train.py", description="Pre-train an encoder.")
    parser.add_argument("--config", action="config", help="a YAML file or a shipped name; several add up, the last wins")
    parser.add_class_arguments(TrainConfig, fail_untyped=True)
    parsed = parser.parse_args(argv)
    for data in (parsed.data, *parsed.data.also.values()):
        if data.root is not None:
            data.root = str(Path(data.root).expanduser().resolve())
    return TrainConfig(**instantiate(parser, parsed)), resolved(parser, parsed)


def main(argv: Sequence[str]) -> None:
    """The command."""
    config, plain = parse(argv)
    try:
        pretrain(config, plain)
        leave_together()
    except Interrupted as stopped:
        leave_together()
        again = "the same command, without --overwrite," if config.overwrite else "the same command"
        console.print(f"{stopped}; {again} goes on from there")
        sys.exit(128 + stopped.signal)


def pretrain(config: TrainConfig, plain: dict[str, Any]) -> None:
    """Train from the start or from the run's last checkpoint, to the end.

    Args:
        config: what to do.
        plain: the same as plain data, saved as the run's ``config.yaml``.
    """
    folder = Path(config.output)
    resume = _check_folder(folder, plain, overwrite=config.overwrite)
    fabric = launch(config.device)
    stores = open_each_on_first(fabric, config.data)
    torch.manual_seed(config.seed)
    topologies = [encoder_topology(config.model.topology, store.topology) for store in stores.values()]
    channels = stores[config.data.name].frames.shape[-1]
    task = build_several(config.model, config.method, topologies=topologies, channels=channels)
    if config.init_from and not resume:
        initialise_from(task.each[0], Path(config.init_from))
    compiles = config.device.compile
    if compiles and (fault := compiler_fault(fabric.device)):
        console.print(f"device.compile: skipped, a trial failed: {fault}", markup=False)
        compiles = False
    sets = training_sets(config, stores, fabric.device)
    loop = PretrainLoop(
        fabric=fabric,
        task=task,
        sets=sets,
        config=config,
        optim=config.optim,
        crop=config.crop,
        augment=config.augment,
        folder=folder,
        save_encoder=lambda encoder: save_encoder(folder, encoder, plain["model"], topologies[1:]),
        evaluate=neighbours(config, stores, sets),
        compile=compiles,
    )
    if resume:
        loop.resume()
        console.print(f"going on in {folder} after epoch {loop.progressed.epoch}, step {loop.progressed.step}")
    else:
        references = average_clips(task, sets)
        if fabric.is_global_zero:
            folder.mkdir(parents=True, exist_ok=True)
            _clear(folder)
            with write_beside(folder / "config.yaml") as partial:
                partial.write_text(yaml.safe_dump(plain, sort_keys=False))
            with write_beside(folder / "data.yaml") as partial:
                partial.write_text(yaml.safe_dump(_identities(config.data, stores), sort_keys=False))
            if references:
                with write_beside(folder / "reference.safetensors") as partial:
                    save_file(references, partial)
    if fabric.is_global_zero:
        record_start(folder, fabric.device)
    try:
        with progress_bars(disable=not fabric.is_global_zero) as progress:
            loop.run(progress)
    except Interrupted:
        if fabric.is_global_zero:
            write_page(folder)
        raise
    if fabric.is_global_zero:
        console.print(f"finished {config.epochs} epochs: {folder}")
        if config.figures:
            first = sets[0]
            clip, *_ = *first.source.store.splits[config.data.split]["test"], *first.clips
            draw_training(
                task.each[0], first.source, train=first.clips, clip=int(clip), folder=folder / "figures", seed=config.seed
            )
        write_page(folder)


def _check_folder(folder: Path, plain: dict[str, Any], *, overwrite: bool) -> bool:
    """Whether to resume.

    Raises:
        InputError: a finished run, or one of another configuration, is already there.
    """
    require_folder(folder)
    if overwrite:
        return False
    if not (folder / "last.pt").is_file():
        # A run that was killed before its first checkpoint has its configuration, and may have its encoder.
        encoder_alone = (folder / "encoder.yaml").exists() and not (folder / "config.yaml").exists()
        if (folder / "results.json").exists() or encoder_alone:
            raise InputError(
                f"--output: {folder} holds an evaluation or an encoder; "
                "expected another folder, or --overwrite true to lose it"
            )
        return False
    if load_checkpoint(folder / "last.pt")["finished"]:
        raise InputError(f"--output: {folder} holds a finished run; expected another folder, or --overwrite true to lose it")
    before = flatten(read_yaml(folder / "config.yaml"))
    now = flatten(plain)
    changed = [
        name
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not any(fnmatchcase(name + ".", free + ".*") for free in MAY_CHANGE)
    ]
    if changed:
        name = changed[0]
        raise InputError(
            f"--{name}: {folder} holds an unfinished run with {before.get(name)!r}, found {now.get(name)!r}; "
            "expected the same configuration to go on with, another --output, or --overwrite true"
        )
    return True


def _identities(data: DataConfig, stores: Mapping[str, Store]) -> dict[str, Any]:
    """What a run says of its data: of the first data set, and of the others by name."""
    each = {name: identity(stores[name]) | {"split": one.split} for name, one in data.each.items()}
    first = each.pop(data.name)
    return first | ({"also": each} if each else {})


def _clear(folder: Path) -> None:
    """Remove what an earlier run left, so that nothing of it can be taken for the new one's."""
    if (folder / "last.pt").is_file():
        clear_pictures(folder)
    networks = [f"{network}.{ending}" for network in ("encoder", "head") for ending in ("safetensors", "yaml")]
    results = ("results.json", "scores.npz", "labelled.csv")
    for name in ("last.pt", "metrics.csv", "reference.safetensors", "data.yaml", PROVENANCE, NAME, *networks, *results):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)


def flatten(fields: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    if not isinstance(fields, dict):
        return {prefix: fields}
    out: dict[str, Any] = {}
    for name, value in fields.items():
        out |= flatten(value, f"{prefix}.{name}" if prefix else name)
    return out


def training_sets(config: TrainConfig, stores: Mapping[str, Store], device: torch.device) -> list[TrainingSet]:
    """The data sets of a configuration, ready to train on."""
    return [
        TrainingSet(
            name=name,
            source=build_source(stores[name], config, device),
            clips=torch.from_numpy(stores[name].splits[one.split]["train"]),
            weight=one.weight,
        )
        for name, one in config.data.each.items()
    ]


def build_source(store: Store, config: TrainConfig, device: torch.device) -> ClipSource:
    """Views of a store as the configuration wants them."""
    return ClipSource(
        store,
        frames=config.model.frames,
        segment=config.model.segment,
        device=device,
        residency=config.data.residency,
        absent_frames=config.data.absent_frames,
        stream=config.data.stream,
        derivatives=config.method.target.before_resize,
        topology=encoder_topology(config.model.topology, store.topology),
    )


def whole_plans(source: ClipSource, clips: torch.Tensor, portion: int = 256) -> Iterator[Plan]:
    """Plans of the whole clips, a portion at a time."""
    return (source.plan(whole_view(part, source.length[part])) for part in clips.split(portion))


def average_clips(task: Pretrain | SeveralPretrain, sets: Sequence[TrainingSet]) -> dict[str, torch.Tensor]:
    """Give the task the average clip of each data set where it needs them.

    Returns:
        what ``reference.safetensors`` holds: the first one's as ``reference``, the others' as ``reference_NAME``.
    """
    found: dict[str, torch.Tensor] = {}
    for part, one in zip(task.each, sets, strict=True):
        if part.needs_reference and part.config.reference == "dataset":
            part.reference.copy_(average_clip(one.source, whole_plans(one.source, one.clips)))
            found[f"reference_{one.name}" if found else "reference"] = part.reference.cpu()
    return found


def neighbours(
    config: TrainConfig, stores: Mapping[str, Store], sets: Sequence[TrainingSet]
) -> Callable[[Sequence[SkeletonEncoder]], dict[str, float]] | None:
    """The k-NN check of the training loop, of each data set; None where no split has labelled test clips."""
    datas = config.data.each
    checks = [_neighbours(config, datas[one.name], stores[one.name], one.source) for one in sets]
    if not any(checks):
        return None

    def check(encoders: Sequence[SkeletonEncoder]) -> dict[str, float]:
        found: dict[str, float] = {}
        for one, look, encoder in zip(sets, checks, encoders, strict=True):
            prefix = f"knn_{one.name}" if len(sets) > 1 else "knn"
            found |= {f"{prefix}_{name}": value for name, value in look(encoder).items()} if look else {}
        return found

    return check


def _neighbours(
    config: TrainConfig, data: DataConfig, store: Store, source: ClipSource
) -> Callable[[SkeletonEncoder], dict[str, float]] | None:
    split = {name: torch.from_numpy(store.splits[data.split][name]) for name in ("train", "test")}
    split = {name: clips[source.label[clips] >= 0] for name, clips in split.items()}
    if any(len(clips) == 0 for clips in split.values()):
        return None

    def check(encoder: SkeletonEncoder) -> dict[str, float]:
        was_training = encoder.training
        evaluation = Evaluation(
            encoder=encoder,
            source=source,
            train=split["train"],
            test=split["test"],
            classes=store.classes,
            crop=config.crop,
            augment=config.augment,
            bf16=config.device.precision == "bf16-mixed",
        )
        with progress_bars(disable=True) as silent:
            figures = KNN().run(evaluation, seed=config.seed, progress=silent).figures
        encoder.train(was_training)
        return figures

    return check


def initialise_from(task: Pretrain, run: Path) -> None:
    """Start student, decoder and teacher from an earlier run.

    A teacher that it lacks starts as its student; a decoder that it lacks, as a converted probe does, starts afresh.

    Raises:
        InputError: no checkpoint there, or networks of other shapes.
    """
    weights = load_checkpoint(run / "last.pt")["task"]
    by_part: dict[str, dict[str, torch.Tensor]] = {"student": {}, "decoder": {}, "teacher": {}}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        if part in by_part:
            by_part[part][rest] = value
    by_part["teacher"] = by_part["teacher"] or by_part["student"]
    for part, state in by_part.items():
        network = getattr(task, part)
        if part == "decoder" and not state:
            console.print(f"init_from: {run} has no decoder, a new one starts from scratch", soft_wrap=True, markup=False)
            continue
        try:
            if network is not None:
                network.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"init_from: {run}: its {part} does not fit this model: {' '.join(str(error).split())}") from None
