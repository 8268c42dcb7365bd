"""Run a protocol, once for each seed, and write what it found."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from lightning_fabric import Fabric
from torch import Tensor

from masksem_graph.compose import Competed, part_line
from masksem_graph.console import console, progress_bars
from masksem_graph.data.config import DataConfig, identity, on_first, preparation
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import SCRATCH, EvaluateConfig
from masksem_graph.evaluation.encoders import make_encoder, pretrained_on, pretraining
from masksem_graph.files import digest, write_beside
from masksem_graph.models.encode import loader_for, topology_for
from masksem_graph.models.heads import Head
from masksem_graph.models.io import load_head, save_head, twin
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
from masksem_graph.training.devices import compiler_fault, launch
from masksem_graph.training.provenance import provenance

MAPPED_CLIPS = 1000
"""On the map of features; k-NN counts them all."""


@dataclass(frozen=True)
class Run:
    """One seed's part of an evaluation.

    Args:
        seed: of the run.
        labelled: positions of the training clips whose labels it saw.
        scores, figures: what the protocol found.
        classifier: what made the scores, where a head was trained.
        seconds: wall time.
        floors: what the same clips give without pre-training, where a frozen encoder is read out.
        map: of the test clips' features, where one was asked for and the encoder stayed as it was.
    """

    seed: int
    labelled: Int64[Tensor, " labelled"]
    scores: Float[Tensor, "test classes"]
    figures: dict[str, Any]
    classifier: Classify | None
    seconds: float
    floors: dict[str, float] = field(default_factory=dict)
    map: Embedding | None = None


def evaluate(config: EvaluateConfig, plain: dict[str, Any], competed: Sequence[Competed] = ()) -> dict[str, Any] | None:
    """Run a protocol and write its folder: results, scores, figures, and the classifier of the last seed.

    Args:
        config: which run, which clips, which protocol, which seeds.
        plain: the same as plain data, for the record.
        competed: fields that two sources set; they are told at the start.

    Returns:
        what ``results.json`` holds; None in all processes but the first.

    Raises:
        InputError: the folder is not free for this evaluation, or something in the configuration cannot be used.
    """
    folder = RunFolder(config.output)
    if folder.path.resolve() == Path(config.run).resolve():
        raise InputError(f"--output: {folder} is the run to evaluate; expected a folder of the evaluation's own")
    first = os.environ.get("RANK", "0") == "0"
    with folder.writing("evaluation") if first else nullcontext():
        folder.refuse_results(overwrite=config.overwrite, config=plain)
        return _evaluate(config, plain, competed, folder)


def _evaluate(
    config: EvaluateConfig, plain: dict[str, Any], competed: Sequence[Competed], folder: RunFolder
) -> dict[str, Any] | None:
    fabric = launch(config.device)
    store = on_first(fabric, config.data.open)
    warnings = _warnings(config, store)
    began = time.monotonic()
    compiles = config.device.compile
    if compiles and (fault := compiler_fault(fabric.device)):
        console.print(f"device.compile: skipped, a trial failed: {fault}", markup=False)
        compiles = False
    if fabric.is_global_zero:
        for line in (*_start_lines(config, plain, store, competed), *warnings):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    runs = [_run(config, plain, store, fabric, seed, compiles=compiles) for seed in config.seeds]
    results = _conclude(config, plain, store, fabric, runs, began, folder) if fabric.is_global_zero else None
    fabric.barrier()
    return results


def _start_lines(config: EvaluateConfig, plain: dict[str, Any], store: Store, competed: Sequence[Competed]) -> Iterator[str]:
    train, test = labelled_split(config.data, store)
    run = "no run: freshly drawn weights" if config.run == SCRATCH else config.run
    yield f"run        {run}{', weights drawn anew' if config.untrained else ''}"
    yield f"data       {config.data.name} {config.data.split}: {len(train)} training and {len(test)} test clips with labels"
    yield f"protocol   {part_line(plain['protocol'])}"
    yield f"seeds      {', '.join(map(str, config.seeds))}"
    yield from (f"decided    {one}" for one in competed)


def _warnings(config: EvaluateConfig, store: Store) -> list[str]:
    """What to know before the first epoch about clips that are few.

    Raises:
        InputError: they are too few for any figure.
    """
    train, test = labelled_split(config.data, store)
    if len(store.classes) < 2:
        raise InputError(
            f"data: {store.path} has one class, {store.classes[0]}; expected at least two, which an evaluation tells apart"
        )
    label, found = torch.from_numpy(np.array(store.label)), []
    labelled = config.labels.choose(train, label[train], config.seed)
    if len(labelled) < (least := config.protocol.least):
        raise InputError(
            f"data.split: found {len(labelled)} labelled training clips in {config.data.split}, expected at least {least}"
        )
    if unseen := sorted(set(label[test].tolist()) - set(label[labelled].tolist())):
        names, clips = ", ".join(store.classes[i] for i in unseen), int(np.isin(label[test], unseen).sum())
        found.append(f"beware     no training clip of {names}: its {clips} test clips cannot be recognised")
    if not config.scratch and (before := pretrained_on(config.run)):
        known = {one.get("split") for one in (before, *before.get("also", {}).values()) if is_same(one, store)}
        if known and config.data.split not in known:
            found.append(
                f"beware     the run was pre-trained on {', '.join(map(str, known))} of these clips: "
                f"it has seen, without their labels, what {config.data.split} tests"
            )
    if (size := getattr(config.protocol, "batch_size", 0)) and len(labelled) <= size:
        found.append(
            f"beware     one step an epoch: {len(labelled)} training clips in batches of {size}; a smaller "
            "--protocol.batch_size or more --protocol.epochs learn more"
        )
    return found


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
    train, test = labelled_split(config.data, store)
    truth = torch.from_numpy(np.array(store.label))[test]
    scores = torch.stack([run.scores for run in runs])
    results = {
        "protocol": protocol_name(config, store),
        "data": config.data.format,
        "split": config.data.split,
        "stream": config.data.stream,
        "view": config.data.view if config.data.view == "recorded" else f"{config.data.view}, {config.data.view_of}",
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
        "pretraining": None if config.scratch else pretraining(config.run),
        "wall_seconds": time.monotonic() - began,
        "seconds_by_seed": [run.seconds for run in runs],
        **provenance(fabric.device),
        "config": plain,
    }
    # Old results stay until new ones take their place.
    folder.clear(keep=("results.json",))
    if not config.labels.all:
        _write_labelled(folder.path, store, runs)
    if (classifier := runs[-1].classifier) is not None:
        _save(folder, classifier, config, store, plain)
    scored = ClassScores(scores.numpy(), truth.numpy(), np.array(store.name[test.numpy()]))
    write_results(folder.path, results, scored, classes=store.classes)
    if (found := runs[0].map) is not None:
        title = f"{config.data.format} {config.data.split}{', untrained encoder' if config.scratch else ''}"
        with drawing("embedding"):
            write_pictures([embedding_picture(found, store.classes, title=title)], folder.figures)
    write_pages(folder.path)
    return results


def _run(config: EvaluateConfig, plain: dict[str, Any], store: Store, fabric: Fabric, seed: int, *, compiles: bool) -> Run:
    began = time.monotonic()
    encoder = make_encoder(config, plain, store, seed).to(fabric.device)
    if compiles:
        encoder.backbone.compile_layers()
    train, test = labelled_split(config.data, store)
    labels = torch.from_numpy(np.array(store.label))
    labelled = config.labels.choose(train, labels[train], seed)
    evaluation = Evaluation(
        encoder=encoder,
        source=loader_for(encoder, store, device=fabric.device, residency=config.data.residency, transforms=config.augment),
        train=labelled,
        test=test,
        classes=store.classes,
        crop=encoder.crop,
        bf16=config.device.precision == "bf16-mixed",
        head=_own_head(config, fabric.device, store.classes if isinstance(config.protocol, OwnHead) else None),
        compile=compiles,
        untrained=partial(twin, encoder),
    )
    with progress_bars(disable=not fabric.is_global_zero) as progress:
        outcome = config.protocol.run(evaluation, seed=seed, progress=progress)
    head, trained = outcome.head, outcome.encoder or encoder
    classifier = None if head is None else Classify(encoder=trained, head=head).eval()
    found = {name: value for name, value in outcome.figures.items() if name != "floors"}
    run = Run(seed, labelled, outcome.scores.cpu(), found, classifier, time.monotonic() - began)
    run = replace(run, floors=outcome.figures.get("floors", {}))
    if config.floors and seed == config.seed and isinstance(config.protocol, Linear | KNN):
        run = replace(run, floors=floors(evaluation, seed=seed)[0])
    if not (config.figures and outcome.encoder is None and seed == config.seed):
        return run
    known = outcome.figures.get("top1_k1")
    with drawing("embedding"):
        run = replace(run, map=embed(evaluation, seed=seed, most=MAPPED_CLIPS, accuracy=known))
    return run


def _own_head(config: EvaluateConfig, device: torch.device, classes: tuple[str, ...] | None) -> Head | None:
    """The run's head; where it is to score ``classes`` as it is, it must have been trained on them in this order."""
    saved = None if config.scratch else load_head(config.run)
    if saved is not None and classes is not None and saved.classes not in (None, tuple(classes)):
        raise InputError(f"{config.run}: its head was trained on other classes than the data's, or in another order")
    return None if saved is None else saved.head.to(device)


def labelled_split(data: DataConfig, store: Store) -> tuple[Int64[Tensor, " train"], Int64[Tensor, " test"]]:
    """Positions of the clips with a known class, to train and to test on.

    Raises:
        InputError: there are none.
    """
    split, known = store.splits[data.split], np.array(store.label) >= 0
    train, test = (torch.from_numpy(split[name][known[split[name]]]) for name in ("train", "test"))
    for name, clips in (("train", train), ("test", test)):
        if len(clips) == 0:
            raise InputError(
                f"data.split: {data.split} of {store.path} has no labelled {name} clips; this protocol needs some"
            )
    return train, test


def protocol_name(config: EvaluateConfig, store: Store) -> str:
    """What an evaluation is called in tables: ``linear``, ``finetune``, ``semi_10``, ``transfer``, ``linear_5_per_class``

    It follows from what was done, not from the name of a file.
    """
    name = type(config.protocol).__name__.lower()
    if not config.labels.all:
        labels = config.labels
        part = f"{100 * labels.share:g}" if labels.per_class is None else f"{labels.per_class}_per_class"
        return f"{'semi' if name == 'finetune' else name}_{part}"
    if name != "finetune" or config.scratch:
        return name
    before = pretrained_on(config.run) or {}
    known = [before, *before.get("also", {}).values()]
    return name if any(is_same(one, store) for one in known) else "transfer"


def is_same(before: Mapping[str, Any], store: Store) -> bool:
    """Whether a store holds the data set that a run recorded."""
    return all(before.get(field, value) == value for field, value in identity(store).items())


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


def _write_labelled(folder: Path, store: Store, runs: Sequence[Run]) -> None:
    """``labelled.csv``: which clips each seed had labels of."""
    rows = [(run.seed, store.name[i], store.classes[store.label[i]]) for run in runs for i in run.labelled.tolist()]
    with write_beside(folder / "labelled.csv") as partial, partial.open("w", newline="") as file:
        csv.writer(file).writerows([("seed", "clip", "class"), *rows])


def _save(folder: RunFolder, network: Classify, config: EvaluateConfig, store: Store, plain: dict[str, Any]) -> None:
    """Encoder, head and configuration: the folder is then a run of its own, to predict with or to evaluate further."""
    encoder = network.encoder
    encoder.save(folder)
    save_head(
        folder, network.head, width=encoder.width, joints=len(topology_for(encoder, store.topology)), classes=store.classes
    )
    folder.write_yaml("config.yaml", plain)
    folder.write_yaml("data.yaml", identity(store) | {"split": config.data.split, "prepared": preparation(store)})
