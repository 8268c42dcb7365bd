"""Pictures of a run: saliency, smoothing, masks, reconstruction, and a map of the features.

Each function gives its pictures, whose ``figure`` is a matplotlib figure, and writes them where ``output`` says. ``clip`` is a
clip's number in a part of the run's split, its name, or a file. ``data`` are other clips than the run's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.config import parse_mapping
from masksem_graph.data.config import DataConfig
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.loose_clips import gather
from masksem_graph.evaluation.prepared import check_options, prepared_as
from masksem_graph.evaluation.run import labelled_split
from masksem_graph.models.encode import loader_for
from masksem_graph.models.io import describe_encoder, load_encoder
from masksem_graph.pictures.clip import ShownClip, show_clip
from masksem_graph.pictures.picture import Picture, write_pictures
from masksem_graph.pictures.saliency import raw_saliency
from masksem_graph.pictures.tasks import average_motion, operator_name, semantic, task_of
from masksem_graph.protocols import Evaluation
from masksem_graph.run_folder import RunFolder
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.topology import load_topology
from masksem_graph.training.restore import has_method, load_task

Part = Literal["train", "test"]
Where = str | os.PathLike[str]


def saliency(
    run: Where, clip: str | int = 0, *, gif: bool = False, output: Where | None = None, **options: Any
) -> list[Picture]:
    """Where a clip differs from the average motion: a map of joints and segments, and on the skeleton over time.

    Args:
        run: its folder.
        clip: see the module.
        gif: also make the animation.
        output: a folder for the files.
        options: ``data``, ``part`` of the split, and ``rate`` in frames a second.
    """
    from masksem_graph.pictures import saliency as drawing

    with _opened(Path(run), clip, **options) as opened:
        task = opened.semantic()
        values = drawing.saliency(task, opened.clip)
        pictures = drawing.saliency_pictures(opened.clip, values, smoothing=operator_name(task), moving=gif)
    return _written(pictures, output)


def smoothing(
    skeleton: Where | None = None,
    operators: Sequence[str] = (),
    *,
    run: Where | None = None,
    clip: str | int = 0,
    joints: Sequence[str] = (),
    numbers: dict[str, Any] | None = None,
    shared: bool = False,
    gif: bool = False,
    output: Where | None = None,
    **options: Any,
) -> list[Picture]:
    """Smoothing operators: as matrices, on the graph, on an impulse, and with a run on the saliency of a clip.

    Args:
        skeleton: a topology's name or file; the run's own where omitted.
        operators: names such as ``adjacency`` and ``heat``, or dotted paths of classes; all where omitted.
        run: whose saliency is smoothed.
        clip, gif, output, options: as of `saliency`.
        joints: where an impulse starts.
        numbers: options of the operators.
        shared: rows are shares of one largest value instead of their own.
    """
    from masksem_graph.pictures import operators as matrices
    from masksem_graph.pictures import saliency as drawing

    if skeleton is None and run is None:
        raise InputError("--topology: expected the name or path of a topology, or a --run")
    chosen = dict(matrices.SIDE_BY_SIDE)
    if operators:
        chosen = {told: one for name in operators for told, one in matrices.named_operator(name, numbers or {}).items()}
    named = None if skeleton is None else load_topology(skeleton)
    pictures = matrices.operator_pictures(named, chosen, list(joints)) if named else []
    if run is None:
        return _written(pictures, output)
    with _opened(Path(run), clip, **options) as opened:
        own, scored = opened.task.student.topology, opened.semantic()
        eta = raw_saliency(scored, opened.clip)
        values = drawing.smoothed(eta, own.joints, named or own, chosen, scored.scores.after_smoothing, shared=shared)
        pictures = pictures or matrices.operator_pictures(own, chosen, list(joints))
        pictures += drawing.smoothing_pictures(opened.clip, values, topology=named, shared=shared, moving=gif)
    return _written(pictures, output)


def masks(
    run: Where,
    clip: str | int = 0,
    *,
    draws: int = 1000,
    seed: int = 0,
    gif: bool = False,
    output: Where | None = None,
    **options: Any,
) -> list[Picture]:
    """Which nodes each strategy hides: one draw, the frequency over many, next to what moved.

    Args:
        run, clip, gif, output, options: as of `saliency`.
        draws: that the frequency is taken over.
        seed: of the draws.
    """
    from masksem_graph.pictures import masks as drawing

    if draws < 1:
        raise InputError(f"--draws: expected at least 1, found {draws}")
    with _opened(Path(run), clip, **options) as opened:
        chosen = drawing.strategies(opened.task, opened.semantic(), known=has_method(Path(run)))
        drawn = {name: drawing.draw_masks(task, opened.clip, seed=seed, draws=draws) for name, task in chosen.items()}
        pictures = drawing.mask_pictures(opened.clip, drawn, draws=draws, moving=gif)
    return _written(pictures, output)


def reconstruction(
    run: Where,
    clip: str | int = 0,
    *,
    joints: Sequence[str] = (),
    standardised: bool = False,
    shared: bool = True,
    seed: int = 0,
    output: Where | None = None,
    **options: Any,
) -> list[Picture]:
    """What the decoder says of hidden nodes beside what is true, per joint over time.

    Args:
        run, clip, output, options: as of `saliency`.
        joints: to show; those that move most where omitted.
        standardised: show the values that the loss compares.
        shared: one scale for all joints.
        seed: of the mask.
    """
    from masksem_graph.pictures import reconstruction as drawing

    describe_encoder(run)
    if not has_method(Path(run)):
        raise InputError(
            f"--run: {run} cannot reconstruct: it holds no decoder with the targets that it was trained on, "
            "as a converted run or an evaluation; expected a run of train.py"
        )
    with _opened(Path(run), clip, task=load_task(Path(run)), **options) as opened:
        targets = drawing.reconstruct(opened.task, opened.clip, seed=seed, standardised=standardised)
        pictures = drawing.reconstruction_pictures(opened.clip, targets, list(joints), shared=shared)
    return _written(pictures, output)


def embedding(
    run: Where,
    *,
    method: Literal["tsne", "pca"] = "tsne",
    points: int = 2000,
    data: DataConfig | None = None,
    seed: int = 0,
    device: str = "cpu",
    output: Where | None = None,
) -> list[Picture]:
    """A map of the features of a split's test clips, by class, with the k-NN accuracy.

    Args:
        run, data, output: as of `saliency`.
        method: what lays the clips out.
        points: at most so many clips, drawn at random.
        seed: of the map.
        device: where to compute.
    """
    from masksem_graph.pictures import embedding as drawing

    if points < 2:
        raise InputError(f"--points: expected at least 2, found {points}")
    data = data or data_of(run)
    store = _store_of(run, data)
    encoder = load_encoder(run).to(device)
    train, test = labelled_split(data, store)
    evaluation = Evaluation(
        encoder=encoder,
        source=loader_for(encoder, store, residency="disk", device=device),
        train=train,
        test=test,
        classes=store.classes,
        crop=encoder.crop,
    )
    found = drawing.embed(evaluation, method=method, seed=seed, most=points)
    title = f"{Path(run).resolve().name} on {data.format} {data.split}"
    return _written([drawing.embedding_picture(found, store.classes, title=title)], output)


def data_of(run: Where) -> DataConfig:
    """The clips that a run was trained on.

    Raises:
        InputError: the run does not say.
    """
    folder = RunFolder(run)
    fields = folder.read_config().get("data")
    if not isinstance(fields, dict):
        raise InputError(f"--data: {folder} does not say what it was trained on; expected a name, or --data.format and more")
    return parse_mapping(DataConfig, fields, source=folder.config)


@dataclass(frozen=True)
class OpenRun:
    """A run, and the clip that is asked for.

    Args:
        task: in eval mode.
        clip: the clip.
        reference: finds the average motion of its training clips.
    """

    task: Pretrain
    clip: ShownClip
    reference: Callable[[], Float[Tensor, "T J C"]]

    def semantic(self) -> Pretrain:
        """The run's task, under Grad-CAM where its own scores are none."""
        return semantic(self.task, self.reference)


@contextmanager
def _opened(
    run: Path,
    clip: str | int,
    *,
    data: DataConfig | None = None,
    part: Part = "test",
    rate: float | None = None,
    task: Pretrain | None = None,
) -> Iterator[OpenRun]:
    if rate is not None and not rate > 0:
        raise InputError(f"--rate: expected frames a second, more than 0, found {rate}")
    task, data = task or task_of(run), data or data_of(run)
    encoder, derivatives = task.student, task.target.before_resize

    def reference() -> Float[Tensor, "T J C"]:
        store = _store_of(run, data)
        train = torch.from_numpy(store.splits[data.split]["train"])
        return average_motion(loader_for(encoder, store, residency="disk"), train)

    with TemporaryDirectory() as folder:
        if Path(str(clip)).exists():
            found = gather([Path(str(clip))], Path(folder), prepared=prepared_as(run, encoder))
            if not found.stores:
                raise InputError(next(iter(found.failed.values())))
            store, place = found.stores[0], 0
        else:
            store = _store_of(run, data)
            place = _find_clip(store, data.split, part, str(clip))
        source = loader_for(encoder, store, residency="disk", derivatives=derivatives)
        if task.needs_reference and not task.reference().any():  # one of each batch was used, and none saved
            task.reference().copy_(reference())
        yield OpenRun(task, show_clip(source, place, topology=source.topology, rate=rate), reference)


def _store_of(run: Where, data: DataConfig) -> Store:
    try:
        store = data.open()
    except InputError as error:
        raise InputError(f"{run}: {error}") from None
    check_options(run, store, data.options)
    return store


def _find_clip(store: Store, split: str, part: Part, wanted: str) -> int:
    """Where a clip stands in its store: by its name, or by its number in a part of the split."""
    clips = store.splits[split][part]
    if wanted.isdecimal() and int(wanted) < len(clips):
        return int(clips[int(wanted)])
    named = [i for i, name in enumerate(store.name) if name == wanted]
    if not named:
        raise InputError(
            f"--clip: {wanted}: expected a number below {len(clips)}, the {part} clips of {split}, "
            f"the name of a clip such as {store.name[clips[0]] if len(clips) else store.name[0]}, or a file"
        )
    return named[0]


def _written(pictures: list[Picture], output: Where | None) -> list[Picture]:
    if output is not None:
        write_pictures(pictures, Path(output))
    return pictures
