"""A pre-training run from its configuration to its folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import save

from masksem_graph import trust
from masksem_graph.compose import Competed, flatten
from masksem_graph.console import console, progress_bars
from masksem_graph.data.config import DataConfig, identity, members, on_first, preparation
from masksem_graph.data.loader import BodyPlan, SkeletonLoader
from masksem_graph.data.mixture import TrainingSet
from masksem_graph.data.store import Store
from masksem_graph.data.views import whole_view
from masksem_graph.errors import InputError
from masksem_graph.files import write_beside
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import EncoderDescription, create_encoder
from masksem_graph.pictures.after import draw_training
from masksem_graph.plain_yaml import read_plain
from masksem_graph.protocols import KNN, Evaluation
from masksem_graph.report.page import write_page
from masksem_graph.run_folder import RunFolder
from masksem_graph.tasks.pretrain import Pretrain, build_pretrain
from masksem_graph.tasks.zero_level import zero_levels
from masksem_graph.topology import encoder_topology
from masksem_graph.training.checkpoint import load_checkpoint, newest_checkpoint
from masksem_graph.training.config import RunConfig
from masksem_graph.training.devices import compiler_fault, launch
from masksem_graph.training.pretrain import Interrupted, PretrainLoop, average_clip
from masksem_graph.training.provenance import record_start
from masksem_graph.training.start import start_lines

MAY_CHANGE = {
    "output",
    "overwrite",
    "train.checkpoint_minutes",
    "train.evaluate_every",
    "train.figures",
    "train.init_from",
    "device",
    "data.root",
    "data.also.*.root",
    "data.residency",
}
"""From one start of a run to the next."""


def pretrain(config: RunConfig, plain: dict[str, Any], competed: Sequence[Competed] = ()) -> RunFolder:
    """Train from the start or from the run's last checkpoint, to the end.

    Args:
        config: what to do.
        plain: the same as plain data, saved as the run's ``config.yaml``.
        competed: fields that two sources set; they are told at the start.

    Raises:
        InputError: the folder is not free for this run, or something in the configuration cannot be used.
        Interrupted: a signal; a checkpoint is written.
    """
    folder = RunFolder(config.output)
    first = os.environ.get("RANK", "0") == "0"
    with folder.writing("run") if first else nullcontext():
        _pretrain(config, plain, competed, folder, state=_resumes(folder, plain, overwrite=config.overwrite))
    return folder


def _pretrain(
    config: RunConfig, plain: dict[str, Any], competed: Sequence[Competed], folder: RunFolder, *, state: dict[str, Any] | None
) -> None:
    resume = state is not None
    fabric = launch(config.device)
    stores = on_first(fabric, config.data.open_each)
    identities = _identities(config.data, stores)
    if resume:
        _check_same_data(folder, identities)
    torch.manual_seed(config.train.seed)
    task = build_task(config, plain["model"], stores)
    if config.train.init_from and not resume:
        initialise_from(task, Path(config.train.init_from))
    sets = training_sets(config, stores, fabric.device)
    loop = make_loop(
        config,
        fabric,
        task,
        sets,
        folder=folder.path,
        save_encoder=lambda encoder: encoder.save(folder),
        evaluate=neighbours(config, stores, sets),
    )
    if fabric.is_global_zero:
        for line in start_lines(config, plain, stores, task, steps=loop.steps_per_epoch, competed=competed):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    references = {} if resume else average_clips(task, sets)
    if state is not None:
        loop.resume(state)
        console.print(f"going on in {folder} after epoch {loop.progressed.epoch}, step {loop.progressed.step}", markup=False)
    if fabric.is_global_zero:
        _prepare_folder(folder, plain, identities, references, resume=resume)
        record_start(folder.path, fabric.device, trust.own_parts(plain))
    try:
        with progress_bars(disable=not fabric.is_global_zero) as progress:
            loop.run(progress)
    except Interrupted:
        if fabric.is_global_zero:
            write_page(folder.path)
        raise
    if fabric.is_global_zero:
        console.print(f"finished {config.train.epochs} epochs: {folder}", markup=False)
        if config.train.figures:
            _draw(config, task, sets, folder)
        write_page(folder.path)


def build_task(config: RunConfig, model: dict[str, Any], stores: Mapping[str, Store]) -> Pretrain:
    """The task of a configuration on the skeletons of its stores, freshly initialised.

    Args:
        config: the run's.
        model: its model as plain data, which the encoder saves with itself.
        stores: of the data sets by name; the first says what the encoder's clips are like.
    """
    first = stores[config.data.name]
    topologies = [encoder_topology(config.model.topology, store.topology) for store in stores.values()]
    described = EncoderDescription(
        model=model,
        topologies=[topology.to_dict() for topology in topologies],
        channels=first.frames.shape[-1],
        input_spec=config.data.input_spec(first),
        recorded=[store.topology.to_dict() for store in stores.values()],
    )
    return build_pretrain(
        config.model,
        config.method,
        topologies=topologies,
        channels=described.channels,
        student=lambda: create_encoder(described),
    )


def make_loop(
    config: RunConfig,
    fabric: Fabric,
    task: Pretrain,
    sets: Sequence[TrainingSet],
    *,
    folder: str | os.PathLike[str],
    save_encoder: Callable[[SkeletonEncoder], None],
    evaluate: Callable[[SkeletonEncoder], dict[str, float]] | None,
) -> PretrainLoop:
    """The loop of a configuration, ready to run."""
    compiles = config.device.compile
    if compiles and (fault := compiler_fault(fabric.device)):
        console.print(f"device.compile: skipped, a trial failed: {fault}", markup=False)
        compiles = False
    return PretrainLoop(
        fabric=fabric,
        task=task,
        sets=sets,
        config=config.train,
        crop=config.model.crop,
        folder=Path(folder),
        save_encoder=save_encoder,
        evaluate=evaluate,
        compile=compiles,
        zero_levels=levels_of_zero(config, sets),
    )


def levels_of_zero(config: RunConfig, sets: Sequence[TrainingSet], most: int = 1024) -> dict[str, float]:
    """`zero_levels` of the whole training clips, or of evenly spaced ones where there are many."""

    def chosen(clips: torch.Tensor) -> torch.Tensor:
        return clips[torch.linspace(0, len(clips) - 1, min(most, len(clips))).long()]

    batches = (one.source.load(plan) for one in sets for plan in whole_plans(one.source, chosen(one.clips)))
    return zero_levels(config.method.target, batches, config.model.segment)


def _resumes(folder: RunFolder, plain: dict[str, Any], *, overwrite: bool) -> dict[str, Any] | None:
    """The checkpoint to go on from; None where there is no run yet.

    Raises:
        InputError: a whole run, one that has lost its checkpoints, or one of another configuration, is already there.
    """
    if overwrite:
        return None
    if folder.lost_checkpoint:
        raise InputError(
            f"--output: {folder} holds a run whose {folder.checkpoint.name} is gone; "
            "expected another folder, or --overwrite true to lose it"
        )
    if not (folder.checkpoint.is_file() or folder.previous.is_file()):
        return None  # nothing was saved yet
    before, now = flatten(folder.read_config()), flatten(plain)
    state = newest_checkpoint(folder.path)
    # A run that was stopped after its last checkpoint lacks its page; the same command makes it.
    if state.get("finished") and folder.page.is_file():
        raise InputError(f"--output: {folder} holds a finished run; expected another folder, or --overwrite true to lose it")
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name) and not any(fnmatchcase(f"{name}.", f"{free}.*") for free in MAY_CHANGE):
            raise InputError(
                f"--{name}: {folder} holds an unfinished run with {before.get(name)!r}, found {now.get(name)!r}; "
                "expected the same configuration to go on with, another --output, or --overwrite true"
            )
    return state


def _check_same_data(folder: RunFolder, identities: dict[str, Any]) -> None:
    before = flatten(read_plain(folder / "data.yaml") if (folder / "data.yaml").is_file() else {})
    for name, value in flatten(identities).items():
        if before.get(name, value) != value:
            raise InputError(
                f"data.root: {folder} was trained on other clips: {name} was {before[name]!r} and is {value!r} now; "
                "expected the same data to go on with, another --output, or --overwrite true"
            )


def _prepare_folder(
    folder: RunFolder,
    plain: dict[str, Any],
    identities: dict[str, Any],
    references: Mapping[str, torch.Tensor],
    *,
    resume: bool,
) -> None:
    """Before the first step: what an earlier run left goes, what this one is made of is written down."""
    if resume:
        folder.page.unlink(missing_ok=True)  # its being there says that the run is whole
        return
    folder.clear()
    folder.write_yaml("config.yaml", plain)
    folder.write_yaml("data.yaml", identities)
    if references:
        with write_beside(folder / "reference.safetensors") as partial:
            partial.write_bytes(save(dict(references)))


def _draw(config: RunConfig, task: Pretrain, sets: Sequence[TrainingSet], folder: RunFolder) -> None:
    one = sets[0]
    clip, *_ = *one.source.store.splits[config.data.split]["test"], *one.clips
    try:
        draw_training(task, one.source, train=one.clips, clip=int(clip), folder=folder.figures, seed=config.train.seed)
    except Exception as error:  # a run does not die of its pictures
        console.print(f"not drawn: {type(error).__name__}: {' '.join(str(error).split())[:200]}", markup=False)


def _identities(data: DataConfig, stores: Mapping[str, Store]) -> dict[str, Any]:
    """What a run says of its data: of the first data set, and of the others by name."""
    each = {
        name: identity(stores[name])
        | {"split": one.split, **members(stores[name], one.split), "prepared": preparation(stores[name])}
        for name, one in data.each.items()
    }
    first = each.pop(data.name)
    return first | ({"also": each} if each else {})


def training_sets(config: RunConfig, stores: Mapping[str, Store], device: torch.device) -> list[TrainingSet]:
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


def build_source(store: Store, config: RunConfig, device: torch.device) -> SkeletonLoader:
    """Views of a store as the configuration wants them."""
    return SkeletonLoader(
        store,
        frames=config.model.frames,
        segment=config.model.segment,
        device=device,
        residency=config.data.residency,
        absent_frames=config.data.absent_frames,
        stream=config.data.stream,
        derivatives=config.method.target.before_resize,
        topology=encoder_topology(config.model.topology, store.topology),
        transforms=config.augment,
        view=config.data.view,
        view_of=config.data.view_of,
    )


def whole_plans(source: SkeletonLoader, clips: torch.Tensor, portion: int = 256) -> Iterator[BodyPlan]:
    """Plans of the whole clips, a portion at a time."""
    return (source.plan(whole_view(part, source.length[part])) for part in clips.split(portion))


def average_clips(task: Pretrain, sets: Sequence[TrainingSet]) -> dict[str, torch.Tensor]:
    """Give the task the average clip of each data set where it needs them.

    Returns:
        what ``reference.safetensors`` holds: the first one's as ``reference``, the others' as ``reference_NAME``.
    """
    found: dict[str, torch.Tensor] = {}
    for i, one in enumerate(sets if task.needs_reference and task.config.reference == "dataset" else []):
        reference = task.reference(i)
        reference.copy_(average_clip(one.source, whole_plans(one.source, one.clips)))
        found[f"reference_{one.name}" if found else "reference"] = reference.cpu()
    return found


def neighbours(
    config: RunConfig, stores: Mapping[str, Store], sets: Sequence[TrainingSet]
) -> Callable[[SkeletonEncoder], dict[str, float]] | None:
    """The k-NN check of the training loop, of each data set; None where no split has labelled test clips."""
    datas = config.data.each
    checks = [_neighbours(config, datas[one.name], stores[one.name], one.source) for one in sets]
    if not any(checks):
        return None

    def check(encoder: SkeletonEncoder) -> dict[str, float]:
        found: dict[str, float] = {}
        for one, look in zip(sets, checks, strict=True):
            prefix = f"knn_{one.name}" if len(sets) > 1 else "knn"
            found |= {f"{prefix}_{name}": value for name, value in look(encoder).items()} if look else {}
        return found

    return check


def _neighbours(
    config: RunConfig, data: DataConfig, store: Store, source: SkeletonLoader
) -> Callable[[SkeletonEncoder], dict[str, float]] | None:
    split = {name: torch.from_numpy(store.splits[data.split][name]) for name in ("train", "test")}
    split = {name: clips[source.label[clips] >= 0] for name, clips in split.items()}
    if len(store.classes) < 2 or any(len(clips) == 0 for clips in split.values()):
        return None

    def check(encoder: SkeletonEncoder) -> dict[str, float]:
        was_training = encoder.training
        evaluation = Evaluation(
            encoder=encoder,
            source=source,
            train=split["train"],
            test=split["test"],
            classes=store.classes,
            crop=config.model.crop,
            bf16=config.device.precision == "bf16-mixed",
        )
        with progress_bars(disable=True) as silent:
            figures = KNN().run(evaluation, seed=config.train.seed, progress=silent).figures
        encoder.train(was_training)
        return figures

    return check


def initialise_from(task: Pretrain, run: Path) -> None:
    """Start student, decoder and teacher from an earlier run.

    A teacher that it lacks starts as its student; a decoder that it lacks, as a converted probe does, starts afresh.

    Raises:
        InputError: no checkpoint there, or networks of other shapes.
    """
    weights = load_checkpoint(run / "last.pt").get("task")
    by_part: dict[str, dict[str, torch.Tensor]] = {"student": {}, "decoder": {}, "teacher": {}}
    for name, value in weights.items() if isinstance(weights, dict) else ():
        part, _, rest = name.partition(".")
        if part in by_part:
            by_part[part][rest] = value
    by_part["teacher"] = by_part["teacher"] or by_part["student"]
    for part, state in by_part.items():
        network = getattr(task, part)
        if part == "decoder" and not state:
            console.print(
                f"train.init_from: {run} has no decoder, a new one starts from scratch", soft_wrap=True, markup=False
            )
            continue
        try:
            if network is not None:
                network.load_state_dict(state)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise InputError(
                f"train.init_from: {run}: its {part} does not fit this model: {' '.join(str(error).split())}"
            ) from None
