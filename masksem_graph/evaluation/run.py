"""Run a protocol, once for each seed, and write what it found."""

import csv
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from lightning_fabric import Fabric
from torch import Tensor

from masksem_graph.compose import Competed, part_line
from masksem_graph.console import progress_bars
from masksem_graph.data.config import DataConfig, identity, on_first, preparation
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import SCRATCH, EvaluateConfig
from masksem_graph.evaluation.prepared import check_options, pretrained_on, records_of
from masksem_graph.files import digest, write_beside
from masksem_graph.models.encode import check_units, loader_for
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import create_encoder, load_encoder, load_head, new_encoder, save_head, twin
from masksem_graph.pictures.embedding import Embedding, embed, embedding_picture
from masksem_graph.pictures.picture import write_pictures
from masksem_graph.protocols import KNN, Evaluation, Linear, OwnHead
from masksem_graph.protocols.floors import floors
from masksem_graph.protocols.metrics import bootstrap_interval, classification_figures, summary
from masksem_graph.report.evaluation import ClassScores, write_results
from masksem_graph.report.figures import drawing
from masksem_graph.report.page import write_pages
from masksem_graph.run_folder import RunFolder
from masksem_graph.tasks.classify import Classify
from masksem_graph.training.devices import launch
from masksem_graph.training.provenance import provenance
from masksem_graph.training.run import describe_new, print_start

MAPPED_CLIPS = 1000  # on the map of features; k-NN counts them all


@dataclass(frozen=True)
class Run:
    """What one seed found, with the labels of some training clips: by a classifier, where a head was trained."""

    seed: int
    labelled: Int64[Tensor, " labelled"]
    scores: Float[Tensor, "test classes"]
    figures: dict[str, Any]
    classifier: Classify | None
    seconds: float
    floors: dict[str, float]
    map: Embedding | None


def evaluate(config: EvaluateConfig, plain: dict[str, Any], competed: Sequence[Competed] = ()) -> dict[str, Any] | None:
    """Run a protocol and write its folder: results, scores, figures, and the classifier of the last seed.

    Args:
        config, plain: what to do; the second as plain data, for the record.
        competed: fields that two sources set; they are told at the start.

    Returns:
        what ``results.json`` holds; None in all processes but the first.
    """
    folder = RunFolder(config.output)
    if folder.path.resolve() == Path(config.run).resolve():
        raise InputError(f"--output: {folder} is the run to evaluate; expected a folder of the evaluation's own")
    first = os.environ.get("RANK", "0") == "0"
    with folder.writing("evaluation") if first else nullcontext():
        folder.refuse_results(overwrite=config.overwrite, config=plain)
        fabric = launch(config.device)
        store = on_first(fabric, config.data.open)
        lines, began = list(_start_lines(config, plain, store)), time.monotonic()
        compiles = config.device.compiles(fabric.device)
        if fabric.is_global_zero:
            print_start(lines, competed)
        runs = [_run(config, plain, store, fabric, seed, compiles=compiles) for seed in config.seeds]
        results = _conclude(config, plain, store, fabric, runs, began, folder) if fabric.is_global_zero else None
        fabric.barrier()
    return results


def _start_lines(config: EvaluateConfig, plain: dict[str, Any], store: Store) -> Iterator[tuple[str, str]]:
    """What will be done, and what to know of clips that are few, or known; too few for any figure are refused."""
    (train, test), split = labelled_split(config.data, store), config.data.split
    run = "no run: freshly drawn weights" if config.run == SCRATCH else config.run
    yield "run", f"{run}{', weights drawn anew' if config.untrained else ''}"
    yield "data", f"{config.data.name} {split}: {len(train)} training and {len(test)} test clips with labels"
    yield "protocol", part_line(plain["protocol"])
    yield "seeds", ", ".join(map(str, config.seeds))
    if len(store.classes) < 2:
        one = f"{store.path} has one class, {store.classes[0]}"
        raise InputError(f"data: {one}; expected at least two, which an evaluation tells apart")
    label = torch.from_numpy(np.array(store.label))
    labelled = config.labels.choose(train, label[train], config.seed)
    if (found := len(labelled)) < (least := config.protocol.least):
        raise InputError(f"data.split: found {found} labelled training clips in {split}, expected at least {least}")
    if unseen := sorted(set(label[test].tolist()) - set(label[labelled].tolist())):
        names, clips = ", ".join(store.classes[i] for i in unseen), int(np.isin(label[test], unseen).sum())
        yield "beware", f"no training clip of {names}: its {clips} test clips cannot be recognised"
    known = {one["split"] for one in ([] if config.scratch else records_of(config.run, store)) if "split" in one}
    if known and split not in known:
        seen = f"the run was pre-trained on {', '.join(map(str, known))} of these clips"
        yield "beware", f"{seen}: it has seen, without their labels, what {split} tests"
    if found <= (size := getattr(config.protocol, "batch_size", 0)):
        step = f"one step an epoch: {found} training clips in batches of {size}"
        yield "beware", f"{step}; a smaller --protocol.batch_size or more --protocol.epochs learn more"


def _run(config: EvaluateConfig, plain: dict[str, Any], store: Store, fabric: Fabric, seed: int, *, compiles: bool) -> Run:
    began = time.monotonic()
    encoder = _encoder(config, plain, store, seed).to(fabric.device)
    if compiles:
        encoder.backbone.compile_layers()
    saved = None if config.scratch else load_head(config.run)
    if saved and isinstance(config.protocol, OwnHead) and saved.classes not in (None, tuple(store.classes)):
        raise InputError(f"{config.run}: its head was trained on other classes than the data's, or in another order")
    train, test = labelled_split(config.data, store)
    labelled = config.labels.choose(train, torch.from_numpy(np.array(store.label))[train], seed)
    evaluation = Evaluation(
        encoder=encoder,
        source=loader_for(encoder, store, device=fabric.device, residency=config.data.residency, transforms=config.augment),
        train=labelled,
        test=test,
        classes=store.classes,
        crop=encoder.crop,
        bf16=config.device.precision == "bf16-mixed",
        head=None if saved is None else saved.head.to(fabric.device),
        compile=compiles,
        untrained=partial(twin, encoder),
    )
    with progress_bars(disable=not fabric.is_global_zero) as progress:
        outcome = config.protocol.run(evaluation, seed=seed, progress=progress)
    classifier = None
    if outcome.head is not None:
        classifier = Classify(encoder=outcome.encoder or encoder, head=outcome.head).eval()
    seconds, figures, first = time.monotonic() - began, dict(outcome.figures), seed == config.seed
    beside, picture = figures.pop("floors", {}), None
    if config.floors and first and isinstance(config.protocol, Linear | KNN):
        beside = {name: evaluation.accuracy(scores) for name, scores in floors(evaluation, seed=seed).items()}
    if config.figures and first and outcome.encoder is None:
        with drawing("embedding"):
            picture = embed(evaluation, seed=seed, most=MAPPED_CLIPS, accuracy=figures.get("top1_k1"))
    return Run(seed, labelled, outcome.scores.cpu(), figures, classifier, seconds, beside, picture)


def _encoder(config: EvaluateConfig, plain: dict[str, Any], store: Store, seed: int) -> SkeletonEncoder:
    """The encoder, in eval mode on the CPU; ``seed`` is that of freshly drawn weights."""
    if config.scratch:
        torch.manual_seed(seed)
    if config.run == SCRATCH:
        assert config.model is not None
        return create_encoder(describe_new(config.model, plain["model"], config.data, [store])).eval()
    encoder = new_encoder(config.run).eval() if config.untrained else load_encoder(config.run)
    seen = encoder.input_spec
    if config.data.origin is None and store.origin != seen.origin:
        raise InputError(
            f"data.origin: {store.path} was prepared with {store.origin}, the encoder's own clips with {seen.origin}; "
            f"expected the same, or --data.origin {store.origin} to say that it is meant"
        )
    check_units(encoder, store)
    check_options(config.run, store, config.data.options)
    # What the configuration says of the clips is what this encoder sees from now on.
    encoder.input_spec = config.data.input_spec(store)
    return encoder


def _conclude(
    config: EvaluateConfig,
    plain: dict[str, Any],
    store: Store,
    fabric: Fabric,
    runs: Sequence[Run],
    began: float,
    folder: RunFolder,
) -> dict[str, Any]:
    """Write the folder."""
    (train, test), data = labelled_split(config.data, store), config.data
    truth = torch.from_numpy(np.array(store.label))[test]
    scores = torch.stack([run.scores for run in runs])
    results = {
        "protocol": protocol_name(config, store),
        "data": data.format,
        "split": data.split,
        "stream": data.stream,
        "view": data.view if data.view == "recorded" else f"{data.view}, {data.view_of}",
        "pool": getattr(config.protocol, "pool", None),
        "data_set": identity(store),
        "unit": "per cent",
        **score_figures(scores, truth, store.classes, [run.figures for run in runs]),
        "floors": {"largest_class": 100 * truth.bincount().max().item() / len(truth), **runs[0].floors},
        "seeds": [run.seed for run in runs],
        "train_clips": len(train),
        "labelled_clips": len(runs[0].labelled),
        "test_clips": len(test),
        "untrained": config.scratch,
        "encoder_sha256": None if config.scratch else digest(Path(config.run) / "encoder.safetensors"),
        "checkpoint": config.run if config.run == SCRATCH else str(Path(config.run).resolve()),
        "pretrained_on": None if config.scratch else pretrained_on(config.run),
        "pretraining": None if config.scratch else RunFolder(config.run).read_config() or None,
        "wall_seconds": time.monotonic() - began,
        "seconds_by_seed": [run.seconds for run in runs],
        **provenance(fabric.device),
        "config": plain,
    }
    # Old results stay until new ones take their place.
    folder.clear(keep=("results.json",))
    if not config.labels.all:  # which clips each seed had labels of
        rows = [(run.seed, store.name[i], store.classes[store.label[i]]) for run in runs for i in run.labelled.tolist()]
        with write_beside(folder / "labelled.csv") as partial_file, partial_file.open("w", newline="") as file:
            csv.writer(file).writerows([("seed", "clip", "class"), *rows])
    if (classifier := runs[-1].classifier) is not None:
        _save(folder, classifier, data, store, plain)
    scored = ClassScores(scores.numpy(), truth.numpy(), np.array(store.name[test.numpy()]))
    write_results(folder.path, results, scored, classes=store.classes)
    if (found := runs[0].map) is not None:
        title = f"{data.format} {data.split}{', untrained encoder' if config.scratch else ''}"
        with drawing("embedding"):
            write_pictures([embedding_picture(found, store.classes, title=title)], folder.figures)
    write_pages(folder.path)
    return results


def labelled_split(data: DataConfig, store: Store) -> tuple[Int64[Tensor, " train"], Int64[Tensor, " test"]]:
    """Positions of the clips with a known class, to train and to test on; `InputError` where there are none."""
    split, known = store.splits[data.split], np.array(store.label) >= 0
    parts = {name: torch.from_numpy(split[name][known[split[name]]]) for name in ("train", "test")}
    for name, clips in parts.items():
        if len(clips) == 0:
            lacks = f"{data.split} of {store.path} has no labelled {name} clips"
            raise InputError(f"data.split: {lacks}; this protocol needs some")
    return parts["train"], parts["test"]


def protocol_name(config: EvaluateConfig, store: Store) -> str:
    """What an evaluation is called in tables: ``linear``, ``finetune``, ``semi_10``, ``transfer``, ``linear_5_per_class``.

    It follows from what was done, not from the name of a file.
    """
    name, labels = type(config.protocol).__name__.lower(), config.labels
    if not labels.all:
        part = f"{100 * labels.share:g}" if labels.per_class is None else f"{labels.per_class}_per_class"
        return f"{'semi' if name == 'finetune' else name}_{part}"
    moved = name == "finetune" and not config.scratch and not records_of(config.run, store)
    return "transfer" if moved else name


def score_figures(
    scores: Float[Tensor, "runs S classes"],
    truth: Int64[Tensor, " S"],
    classes: tuple[str, ...],
    further: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The figures of several runs on the same test clips, with what else each run found."""
    runs = [classification_figures(one, truth, classes) for one in scores]
    runs = [run | more for run, more in zip(runs, further or [{}] * len(runs), strict=True)]
    low, high = bootstrap_interval((scores.argmax(2) == truth).numpy())
    return {**summary(runs), "top1_interval": [low, high], "top1_interval_is": "95 %, bootstrap over test clips"}


def _save(folder: RunFolder, network: Classify, data: DataConfig, store: Store, plain: dict[str, Any]) -> None:
    """Encoder, head and configuration: the folder is then a run of its own, to predict with or to evaluate further."""
    encoder, head = network.encoder, network.head
    encoder.save(folder)
    save_head(folder, head, width=encoder.width, joints=len(encoder.topology_for(store.topology)), classes=store.classes)
    folder.write_yaml("config.yaml", plain)
    folder.write_yaml("data.yaml", identity(store) | {"split": data.split, "prepared": preparation(store)})
