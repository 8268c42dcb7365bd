"""Run a protocol, once for each seed, and write what it found."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from jaxtyping import Float, Int64
from lightning_fabric import Fabric
from torch import Tensor

from masksem_graph.console import console, progress_bars
from masksem_graph.data.clips import ClipSource
from masksem_graph.data.config import DataConfig, identity, open_on_first
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import SCRATCH, EvaluateConfig
from masksem_graph.evaluation.encoders import describe_model, make_encoder, pretrained_on, pretraining
from masksem_graph.files import digest, require_folder, write_beside
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head
from masksem_graph.models.io import load_head, save_encoder, save_head
from masksem_graph.pictures.embedding import Embedding, embed, embedding_picture
from masksem_graph.pictures.picture import write_pictures
from masksem_graph.protocols import Evaluation, OwnHead, Protocol
from masksem_graph.protocols.metrics import bootstrap_interval, classification_figures, summary
from masksem_graph.report.evaluation import ClassScores, clear_results, refuse_to_overwrite, write_results
from masksem_graph.report.figures import drawing
from masksem_graph.report.page import clear_pictures, write_pages
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
        map: of the test clips' features, where one was asked for and the encoder stayed as it was.
    """

    seed: int
    labelled: Int64[Tensor, " labelled"]
    scores: Float[Tensor, "test classes"]
    figures: dict[str, Any]
    classifier: Classify | None
    seconds: float
    map: Embedding | None = None


def evaluate(config: EvaluateConfig, protocol: Protocol, plain: dict[str, Any]) -> dict[str, Any] | None:
    """Run a protocol and write its folder: results, scores, figures, and the classifier of the last seed.

    Args:
        config: which run, which clips, which seeds.
        protocol: what to do.
        plain: both as plain data, for the record.

    Returns:
        what ``results.json`` holds; None in all processes but the first.
    """
    refuse_to_overwrite(Path(config.output), overwrite=config.overwrite)
    if Path(config.output).resolve() == Path(config.checkpoint).resolve():
        raise InputError(f"--output: {config.output} is the run to evaluate; expected a folder of the evaluation's own")
    require_folder(Path(config.output))
    fabric = launch(config.device)
    store = open_on_first(fabric, config.data)
    began = time.monotonic()
    compiles = config.device.compile
    if compiles and (fault := compiler_fault(fabric.device)):
        console.print(f"device.compile: skipped, a trial failed: {fault}", markup=False)
        compiles = False
    seeds = range(config.seed, config.seed + config.runs)
    runs = [_run(config, protocol, store, fabric, seed, compiles=compiles) for seed in seeds]
    results = _conclude(config, protocol, plain, store, fabric, runs, began) if fabric.is_global_zero else None
    fabric.barrier()
    return results


def _conclude(
    config: EvaluateConfig,
    protocol: Protocol,
    plain: dict[str, Any],
    store: Store,
    fabric: Fabric,
    runs: Sequence[Run],
    began: float,
) -> dict[str, Any]:
    """Write the folder."""
    folder = Path(config.output)
    train, test = labelled_split(config.data, store)
    truth = torch.from_numpy(np.array(store.label))[test]
    scores = torch.stack([run.scores for run in runs])
    results = {
        "protocol": protocol_name(config, protocol, store),
        "data": config.data.format,
        "split": config.data.split,
        "stream": config.data.stream,
        "data_set": identity(store),
        "unit": "per cent",
        **score_figures(scores, truth, store.classes, [run.figures for run in runs]),
        "seeds": [run.seed for run in runs],
        "train_clips": len(train),
        "labelled_clips": len(runs[0].labelled),
        "test_clips": len(test),
        "untrained": config.scratch,
        "encoder_sha256": None if config.scratch else digest(Path(config.checkpoint) / "encoder.safetensors"),
        "checkpoint": config.checkpoint if config.checkpoint == SCRATCH else str(Path(config.checkpoint).resolve()),
        "pretrained_on": None if config.scratch else pretrained_on(config.checkpoint),
        "pretraining": None if config.scratch else pretraining(config.checkpoint),
        "wall_seconds": time.monotonic() - began,
        "seconds_by_seed": [run.seconds for run in runs],
        **provenance(fabric.device),
        "config": plain,
    }
    clear_results(folder)
    clear_pictures(folder)
    if not config.labels.all:
        _write_labelled(folder, store, runs)
    if (classifier := runs[-1].classifier) is not None:
        _save(folder, classifier, config, store, plain)
    scored = ClassScores(scores.numpy(), truth.numpy(), np.array(store.name[test.numpy()]))
    write_results(folder, results, scored, classes=store.classes)
    if (found := runs[0].map) is not None:
        title = f"{config.data.format} {config.data.split}{', untrained encoder' if config.scratch else ''}"
        with drawing("embedding"):
            write_pictures([embedding_picture(found, store.classes, title=title)], folder / "figures")
    write_pages(folder)
    return results


def _run(config: EvaluateConfig, protocol: Protocol, store: Store, fabric: Fabric, seed: int, *, compiles: bool) -> Run:
    began = time.monotonic()
    encoder = make_encoder(config, store, seed).to(fabric.device)
    if compiles:
        encoder.compile(dynamic=True)
    train, test = labelled_split(config.data, store)
    labels = torch.from_numpy(np.array(store.label))
    labelled = config.labels.choose(train, labels[train], seed)
    evaluation = Evaluation(
        encoder=encoder,
        source=_source(config, store, encoder, fabric.device),
        train=labelled,
        test=test,
        classes=store.classes,
        crop=config.crop,
        augment=config.augment,
        bf16=config.device.precision == "bf16-mixed",
        head=_own_head(config, fabric.device, store.classes if isinstance(protocol, OwnHead) else None),
        compile=compiles,
    )
    with progress_bars(disable=not fabric.is_global_zero) as progress:
        outcome = protocol.run(evaluation, seed=seed, progress=progress)
    head, trained = outcome.head, outcome.encoder or encoder
    classifier = None if head is None else Classify(encoder=trained, head=head).eval()
    run = Run(seed, labelled, outcome.scores.cpu(), outcome.figures, classifier, time.monotonic() - began)
    if not (config.figures and outcome.encoder is None and seed == config.seed):
        return run
    known = outcome.figures.get("top1_k1")
    with drawing("embedding"):
        run = replace(run, map=embed(evaluation, seed=seed, most=MAPPED_CLIPS, accuracy=known))
    return run


def _own_head(config: EvaluateConfig, device: torch.device, classes: tuple[str, ...] | None) -> Head | None:
    """The run's head; where it is to score ``classes`` as it is, it must have been trained on them in this order."""
    saved = None if config.scratch else load_head(config.checkpoint)
    if saved is not None and classes is not None and saved.classes not in (None, tuple(classes)):
        raise InputError(f"{config.checkpoint}: its head was trained on other classes than the data's, or in another order")
    return None if saved is None else saved.head.to(device)


def _source(config: EvaluateConfig, store: Store, encoder: SkeletonEncoder, device: torch.device) -> ClipSource:
    return ClipSource(
        store,
        frames=encoder.frames,
        segment=encoder.segment,
        device=device,
        residency=config.data.residency,
        absent_frames=config.data.absent_frames,
        stream=config.data.stream,
        topology=encoder.topology,
    )


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


def protocol_name(config: EvaluateConfig, protocol: Protocol, store: Store) -> str:
    """What an evaluation is called in tables: ``linear``, ``finetune``, ``semi_10``, ``transfer``, ``linear_5_per_class``

    It follows from what was done, not from the name of a file.
    """
    name = type(protocol).__name__.lower()
    if not config.labels.all:
        labels = config.labels
        part = f"{100 * labels.share:g}" if labels.per_class is None else f"{labels.per_class}_per_class"
        return f"{'semi' if name == 'finetune' else name}_{part}"
    if name != "finetune" or config.scratch:
        return name
    before = pretrained_on(config.checkpoint) or {}
    known = [before, *before.get("also", {}).values()]
    same = [all(one.get(field, value) == value for field, value in identity(store).items()) for one in known]
    return name if any(same) else "transfer"


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


def _save(folder: Path, network: Classify, config: EvaluateConfig, store: Store, plain: dict[str, Any]) -> None:
    """Encoder, head and configuration: the folder is then a run of its own, to predict with or to evaluate further."""
    encoder = network.encoder
    save_encoder(folder, encoder, describe_model(config, plain))
    save_head(folder, network.head, width=encoder.width, joints=encoder.grid[1], classes=store.classes)
    files = {"config.yaml": plain, "data.yaml": identity(store) | {"split": config.data.split}}
    for name, fields in files.items():
        with write_beside(folder / name) as partial:
            partial.write_text(yaml.safe_dump(fields, sort_keys=False))
