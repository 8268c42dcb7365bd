"""A pre-training run from its configuration to its folder."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import save
from torch_geometric.nn import MessagePassing

from masksem_graph import trust
from masksem_graph.compose import Competed, flatten, part_line
from masksem_graph.console import console, counted, progress_bars
from masksem_graph.data.config import DataConfig, identity, members, on_first, preparation
from masksem_graph.data.loader import BodyPlan, SkeletonLoader
from masksem_graph.data.mixture import TrainingSet
from masksem_graph.data.store import Store
from masksem_graph.data.views import whole_view
from masksem_graph.errors import InputError
from masksem_graph.files import write_beside
from masksem_graph.graph import nodes_of, to_segments
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import EncoderDescription, create_encoder
from masksem_graph.pictures.after import draw_training
from masksem_graph.plain_yaml import read_plain
from masksem_graph.protocols import KNN, Evaluation
from masksem_graph.report.page import write_page
from masksem_graph.run_folder import RunFolder
from masksem_graph.targets import standardise
from masksem_graph.tasks.pretrain import Pretrain, build_pretrain
from masksem_graph.topology import encoder_topology
from masksem_graph.training.checkpoint import load_checkpoint, newest_checkpoint
from masksem_graph.training.config import RunConfig
from masksem_graph.training.devices import launch
from masksem_graph.training.pretrain import Interrupted, PretrainLoop, average_clip
from masksem_graph.training.provenance import record_start

MAY_CHANGE = (
    *("output", "overwrite", "device", "data.root", "data.also.*.root", "data.residency"),
    *(f"train.{name}" for name in ("checkpoint_minutes", "evaluate_every", "figures", "init_from")),
)  # from one start of a run to the next


def pretrain(config: RunConfig, plain: dict[str, Any], competed: Sequence[Competed] = ()) -> RunFolder:
    """Train from the start or from the run's last checkpoint, to the end; `Interrupted` by a signal.

    Args:
        config, plain: what to do; the second as plain data, saved as the run's ``config.yaml``.
        competed: fields that two sources set; they are told at the start.
    """
    folder = RunFolder(config.output)
    first = os.environ.get("RANK", "0") == "0"
    with folder.writing("run") if first else nullcontext():
        _pretrain(config, plain, competed, folder, None if config.overwrite else _resumes(folder, plain))
    return folder


def _pretrain(
    config: RunConfig, plain: dict[str, Any], competed: Sequence[Competed], folder: RunFolder, state: dict[str, Any] | None
) -> None:
    fabric = launch(config.device)
    stores = on_first(fabric, config.data.open_each)
    identities = _identities(config.data, stores)
    if state is not None:
        _check_same_data(folder, identities)
    torch.manual_seed(config.train.seed)
    task = build_task(config, plain["model"], stores)
    if config.train.init_from and state is None:
        initialise_from(task, Path(config.train.init_from))
    sets = training_sets(config, stores, fabric.device)
    looks = neighbours(config, sets)
    loop = make_loop(
        config, fabric, task, sets, folder=folder.path, save_encoder=lambda encoder: encoder.save(folder), evaluate=looks
    )
    if fabric.is_global_zero:
        print_start(_start_lines(config, plain, stores, task, loop.steps_per_epoch), competed)
    references = average_clips(task, sets) if state is None else {}
    if state is not None:
        loop.resume(state)
        console.print(f"going on in {folder} after epoch {loop.progressed.epoch}, step {loop.progressed.step}", markup=False)
    if fabric.is_global_zero:
        if state is None:
            folder.clear()
            folder.write_yaml("config.yaml", plain)
            folder.write_yaml("data.yaml", identities)
        if references:
            with write_beside(folder / "reference.safetensors") as partial_file:
                partial_file.write_bytes(save(references))
        folder.page.unlink(missing_ok=True)  # its being there says that the run is whole
        record_start(folder.path, fabric.device, trust.own_parts(plain))
    try:
        with progress_bars(disable=not fabric.is_global_zero) as progress:
            loop.run(progress)
    except Interrupted:
        if fabric.is_global_zero:
            write_page(folder.path)
        raise
    if fabric.is_global_zero:
        console.print(f"finished {counted(config.train.epochs, 'epoch')}: {folder}", markup=False)
        if config.train.figures:
            one = sets[0]
            clip, *_ = *one.source.store.splits[config.data.split]["test"], *one.clips
            draw_training(task, one.source, train=one.clips, clip=int(clip), folder=folder.figures, seed=config.train.seed)
        write_page(folder.path)


def print_start(lines: Iterable[tuple[str, str]], competed: Iterable[Competed]) -> None:
    """Tell everything that will be done, in one block, and which fields two sources set."""
    for name, text in (*lines, *(("decided", str(one)) for one in competed)):
        console.print(f"{name:<11}{text}", markup=False, highlight=False, soft_wrap=True)


def _called(parts: Any) -> str:
    """A part, or several, in a line."""
    return (", ".join(map(part_line, parts)) if isinstance(parts, list) else parts and part_line(parts)) or "none"


def _start_lines(
    config: RunConfig, plain: dict[str, Any], stores: Mapping[str, Store], task: Pretrain, steps: int
) -> Iterator[tuple[str, str]]:
    for (name, store), data, topology in zip(stores.items(), config.data.each.values(), task.student.topologies, strict=True):
        train, test = (len(store.splits[data.split][part]) for part in ("train", "test"))
        clips = f"{train} training and {test} test clips, {len(store.classes)} classes, in {store.units}"
        yield "data", f"{name} {data.split}: {clips}, origin {store.origin}, stream {data.stream}, view {data.view}"
        yield "skeleton", f"{topology.name}: {len(topology)} joints, {counted(len(topology.bones), 'bone')}"
    model, training = plain["model"], config.train
    numbers = sum(p.numel() for p in task.parameters() if p.requires_grad)
    shape = f"{model['frames']} frames in segments of {model['segment']}, width {model['width']}"
    yield "model", f"{shape}, {numbers:,} parameters"
    yield from ((name, _called(model[name])) for name in ("encodings", "backbone", "decoder"))
    yield from ((name, _called(plain["method"].get(name))) for name in ("scores", "operator", "target", "contrast"))
    yield "transforms", _called(plain.get("augment"))
    rate = f"rate {training.lr:g} to {training.final_lr:g}"
    yield "steps", f"{counted(training.epochs, 'epoch')} of {counted(steps, 'step')}, {training.batch_size} clips each, {rate}"
    if isinstance(layer := getattr(task.student.backbone, "model", None), MessagePassing):
        yield "beware", f"{type(layer).__name__} is one layer; torch_geometric.nn.models has those of several"
    if steps == 1:
        yield "beware", "one step an epoch: a smaller --train.batch_size or more --train.epochs learn more"


def build_task(config: RunConfig, model: dict[str, Any], stores: Mapping[str, Store]) -> Pretrain:
    """The task of a configuration, freshly initialised; its model, as plain data too, is saved with the encoder.

    It is on the skeletons of the stores; the first says what the encoder's clips are like.
    """
    described = describe_new(config.model, model, config.data, list(stores.values()))
    topologies = [encoder_topology(config.model.topology, store.topology) for store in stores.values()]
    student = partial(create_encoder, described)
    return build_pretrain(config.model, config.method, topologies=topologies, channels=described.channels, student=student)


def describe_new(config: ModelConfig, model: dict[str, Any], data: DataConfig, stores: Sequence[Store]) -> EncoderDescription:
    """The encoder of a model, also given as plain data, for the clips of one or several stores."""
    return EncoderDescription(
        model=model,
        topologies=[encoder_topology(config.topology, store.topology).to_dict() for store in stores],
        channels=stores[0].frames.shape[-1],
        input_spec=data.input_spec(stores[0]),
        recorded=[store.topology.to_dict() for store in stores],
    )


def make_loop(
    config: RunConfig, fabric: Fabric, task: Pretrain, sets: Sequence[TrainingSet], *, folder: Any, **options: Any
) -> PretrainLoop:
    """The loop of a configuration, ready to run; ``options`` are further ones of `PretrainLoop`."""
    return PretrainLoop(
        fabric=fabric,
        task=task,
        sets=sets,
        config=config.train,
        crop=config.model.crop,
        folder=Path(folder),
        compile=config.device.compiles(fabric.device),
        zero_levels=zero_levels(config, sets),
        **options,
    )


@torch.no_grad()
def zero_levels(config: RunConfig, sets: Sequence[TrainingSet]) -> dict[str, float]:
    """What predicting zero costs for each target: its mean square over the nodes of at most 1024 clips of each set.

    With the unbiased variance over the l * C numbers of a node it is at most 1 - 1 / (l * C), and less where nodes hardly
    move and the eps of the standardisation matters.
    """
    total: dict[str, torch.Tensor] = {}
    nodes = 0
    for one in sets:
        chosen = one.clips[torch.linspace(0, len(one.clips) - 1, min(1024, len(one.clips))).long()]
        for batch in map(one.source.load, whole_plans(one.source, chosen)):
            for name, values in config.method.target.values(batch).items():
                standard = standardise(to_segments(nodes_of(values, batch.topology), config.model.segment)).double()
                total[name] = standard.square().mean(-1).sum() + total.get(name, 0)
            nodes += len(batch.x)
    return {name: (value / nodes).item() for name, value in total.items()}


def _resumes(folder: RunFolder, plain: dict[str, Any]) -> dict[str, Any] | None:
    """The checkpoint to go on from; None where there is no run yet."""
    lose = "expected another folder, or --overwrite true to lose it"
    if folder.lost_checkpoint:
        raise InputError(f"--output: {folder} holds a run whose {folder.checkpoint.name} is gone; {lose}")
    if not (folder.checkpoint.is_file() or folder.previous.is_file()):
        return None  # nothing was saved yet
    before, now = flatten(folder.read_config()), flatten(plain)
    state = newest_checkpoint(folder.path)
    # A run that was stopped after its last checkpoint lacks its page; the same command makes it.
    if state.get("finished") and folder.page.is_file():
        raise InputError(f"--output: {folder} holds a finished run; {lose}")
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


def _identities(data: DataConfig, stores: Mapping[str, Store]) -> dict[str, Any]:
    """What a run says of its data: of the first data set, and of the others by name."""
    each = {}
    for name, one in data.each.items():
        about = {"split": one.split, **members(stores[name], one.split), "prepared": preparation(stores[name])}
        each[name] = identity(stores[name]) | about
    first = each.pop(data.name)
    return first | ({"also": each} if each else {})


def training_sets(config: RunConfig, stores: Mapping[str, Store], device: torch.device) -> list[TrainingSet]:
    """The data sets of a configuration, ready to train on."""
    sets = []
    for name, one in config.data.each.items():
        source, clips = build_source(stores[name], config, device), stores[name].splits[one.split]["train"]
        sets.append(TrainingSet(name=name, source=source, clips=torch.from_numpy(clips), weight=one.weight))
    return sets


def build_source(store: Store, config: RunConfig, device: torch.device) -> SkeletonLoader:
    """Views of a store as the configuration wants them."""
    kept = ("residency", "absent_frames", "stream", "view", "view_of")
    return SkeletonLoader(
        store,
        frames=config.model.frames,
        segment=config.model.segment,
        device=device,
        derivatives=config.method.target.before_resize,
        topology=encoder_topology(config.model.topology, store.topology),
        transforms=config.augment,
        **{name: getattr(config.data, name) for name in kept},
    )


def whole_plans(source: SkeletonLoader, clips: torch.Tensor) -> Iterator[BodyPlan]:
    """Plans of the whole clips, a portion at a time."""
    return (source.plan(whole_view(part, source.length[part])) for part in clips.split(256))


def average_clips(task: Pretrain, sets: Sequence[TrainingSet]) -> dict[str, torch.Tensor]:
    """Give the task the average clip of each data set where it needs them.

    They are returned as ``reference.safetensors`` holds them: ``reference`` of the first, ``reference_NAME`` of the others.
    """
    found: dict[str, torch.Tensor] = {}
    for i, one in enumerate(sets if task.needs_reference and task.config.reference == "dataset" else []):
        reference = task.reference(i)
        reference.copy_(average_clip(one.source, whole_plans(one.source, one.clips)))
        found[f"reference_{one.name}" if found else "reference"] = reference.cpu()
    return found


def neighbours(config: RunConfig, sets: Sequence[TrainingSet]) -> Callable[[SkeletonEncoder], dict[str, float]] | None:
    """The k-NN check of the training loop, of each data set; None where no split has labelled test clips."""
    checks = {}
    for one in sets:
        source, store = one.source, one.source.store
        split = store.splits[config.data.each[one.name].split]
        train, test = (torch.from_numpy(split[part]) for part in ("train", "test"))
        train, test = train[source.label[train] >= 0], test[source.label[test] >= 0]
        if len(store.classes) >= 2 and len(train) and len(test):
            bf16 = config.device.precision == "bf16-mixed"
            look = partial(Evaluation, source=source, train=train, test=test, classes=store.classes, bf16=bf16)
            checks[f"knn_{one.name}" if len(sets) > 1 else "knn"] = look

    def check(encoder: SkeletonEncoder) -> dict[str, float]:
        was_training = encoder.training
        found: dict[str, float] = {}
        for prefix, look in checks.items():
            with progress_bars(disable=True) as silent:
                evaluation = look(encoder=encoder, crop=config.model.crop)
                figures = KNN().run(evaluation, seed=config.train.seed, progress=silent).figures
            found |= {f"{prefix}_{name}": value for name, value in figures.items()}
        encoder.train(was_training)
        return found

    return check if checks else None


def initialise_from(task: Pretrain, run: Path) -> None:
    """Start student, decoder and teacher from an earlier run; `InputError` where its networks have other shapes.

    A teacher that it lacks starts as its student; a decoder that it lacks, as a converted probe does, starts afresh.
    """
    weights = load_checkpoint(run / "last.pt").get("task")
    by_part: dict[str, dict[str, torch.Tensor]] = {"student": {}, "decoder": {}, "teacher": {}}
    for name, value in weights.items() if isinstance(weights, dict) else ():
        part, _, rest = name.partition(".")
        by_part.get(part, {})[rest] = value
    by_part["teacher"] = by_part["teacher"] or by_part["student"]
    for part, state in by_part.items():
        network = getattr(task, part)
        if part == "decoder" and not state:
            told = f"train.init_from: {run} has no decoder, a new one starts from scratch"
            console.print(told, soft_wrap=True, markup=False)
            continue
        try:
            if network is not None:
                network.load_state_dict(state)
        except (RuntimeError, TypeError, AttributeError) as error:
            fault = " ".join(str(error).split())
            raise InputError(f"train.init_from: {run}: its {part} does not fit this model: {fault}") from None
