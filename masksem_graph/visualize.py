"""Pictures of a run: saliency, smoothing, masks, reconstruction, and a map of the features.

Each function gives its pictures, whose ``figure`` is a matplotlib figure. What several of them take:

* ``run``: its folder;
* ``clip``: its number in a part of the run's split, its name, or a file;
* ``data``, ``part``, ``rate``: other clips than the run's, the part of the split, and frames a second;
* ``gif``: also make the animation;
* ``output``: a folder for the files.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.config import parse_mapping
from masksem_graph.data.config import DataConfig
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError, meant
from masksem_graph.evaluation.loose_clips import gather
from masksem_graph.evaluation.prepared import check_options, prepared_as
from masksem_graph.evaluation.run import labelled_split
from masksem_graph.models.encode import loader_for
from masksem_graph.models.io import describe_encoder, load_encoder
from masksem_graph.pictures import embedding as of_features
from masksem_graph.pictures import masks as of_masks
from masksem_graph.pictures import operators as of_operators
from masksem_graph.pictures import reconstruction as of_reconstruction
from masksem_graph.pictures import saliency as of_saliency
from masksem_graph.pictures.clip import ShownClip, show_clip
from masksem_graph.pictures.picture import Picture, write_pictures
from masksem_graph.pictures.tasks import average_motion, operator_name, semantic, task_of
from masksem_graph.protocols import Evaluation
from masksem_graph.run_folder import RunFolder
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.topology import Topology, load_topology
from masksem_graph.training.restore import has_method, load_task

Part = Literal["train", "test"]
Where = str | os.PathLike[str]


def saliency(
    run: Where, clip: str | int = 0, *, gif: bool = False, output: Where | None = None, **options: Any
) -> list[Picture]:
    """Where a clip differs from the average motion: a map of joints and segments, and on the skeleton over time."""
    with _opened(Path(run), clip, **options) as (_, shown, scored):
        task = scored()
        values = of_saliency.saliency(task, shown)
        pictures = of_saliency.saliency_pictures(shown, values, smoothing=operator_name(task.operator), moving=gif)
    return _written(pictures, output)


def smoothing(
    skeleton: Topology | Where | None = None,
    operators: of_operators.Named | Sequence[of_operators.Named] = (),
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
        skeleton: a topology, its name or its file; the run's own where omitted.
        operators: one or several: names such as ``adjacency`` and ``heat``, classes, or their dotted paths. Where omitted,
            the run's own and all that are shipped.
        run, clip, gif, output, options: see the module.
        joints: where an impulse starts.
        numbers: options of the operators.
        shared: rows are shares of one largest value instead of their own.
    """
    known = [*list(signature(smoothing).parameters)[:-1], "data", "part", "rate"]
    if unknown := options.keys() - known:
        raise InputError(f"{min(unknown)}: smoothing has no such argument; {meant(min(unknown), known)}")
    if skeleton is None and run is None:
        raise InputError("--topology: expected the name or path of a topology, or a --run")
    if numbers and not operators:
        raise InputError(f"--operator.{next(iter(numbers))}: expected together with --operator")
    chosen = {} if operators else dict(of_operators.SIDE_BY_SIDE)
    for one in [operators] if isinstance(operators, str | type) else operators:
        chosen |= of_operators.named_operator(one, numbers or {})
    named = skeleton if isinstance(skeleton, Topology | None) else load_topology(skeleton)
    takes_rate = "rate" not in (numbers or {}) and any("rate" in signature(type(one)).parameters for one in chosen.values())
    if options.get("rate") is not None and (run is None or takes_rate):
        raise InputError("--rate: frames a second of the clip of a --run; a rate of the operator's is --operator.rate")
    if run is None:
        assert named
        return _written(of_operators.operator_pictures(named, chosen, list(joints)), output)
    with _opened(Path(run), clip, **options) as (task, shown, scored):
        own, scoring = task.student.topology, scored()
        if not operators:
            chosen = of_operators.beside_own(task.operator)
        eta = of_saliency.raw_saliency(scoring, shown)
        values = of_saliency.smoothed(eta, own.joints, named or own, chosen, scoring.scores.after_smoothing, shared=shared)
        pictures = of_operators.operator_pictures(named or own, chosen, list(joints))
        pictures += of_saliency.smoothing_pictures(shown, values, topology=named, shared=shared, moving=gif)
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
    """Which nodes each strategy hides: one draw, the frequency over so many ``draws``, next to what moved."""
    if draws < 1:
        raise InputError(f"--draws: expected at least 1, found {draws}")
    with _opened(Path(run), clip, **options) as (task, shown, scored):
        chosen = of_masks.strategies(task, scored(), known=has_method(Path(run)))
        drawn = {name: of_masks.draw_masks(one, shown, seed=seed, draws=draws) for name, one in chosen.items()}
        pictures = of_masks.mask_pictures(shown, drawn, draws=draws, moving=gif)
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
        run, clip, output, options: see the module.
        joints: to show; those that move most where omitted.
        standardised: show the values that the loss compares.
        shared: one scale for all joints.
        seed: of the mask.
    """
    describe_encoder(run)
    if not has_method(Path(run)):
        raise InputError(f"--run: {run} cannot reconstruct: it holds no decoder with its targets; expected a run of train.py")
    with _opened(Path(run), clip, task=load_task(Path(run)), **options) as (task, shown, _):
        targets = of_reconstruction.reconstruct(task, shown, seed=seed, standardised=standardised)
        pictures = of_reconstruction.reconstruction_pictures(shown, targets, list(joints), shared=shared)
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
    """A map of the features of a split's test clips, at most ``points`` of them, by class, with the k-NN accuracy."""
    if points < 2:
        raise InputError(f"--points: expected at least 2, found {points}")
    data = data or _data_of(run)
    store = _store_of(run, data)
    encoder = load_encoder(run).to(device)
    train, test = labelled_split(data, store)
    source = loader_for(encoder, store, residency="disk", device=device)
    evaluation = Evaluation(encoder, source, train, test, store.classes, encoder.crop)
    found = of_features.embed(evaluation, method=method, seed=seed, most=points)
    title = f"{Path(run).resolve().name} on {data.format} {data.split}"
    return _written([of_features.embedding_picture(found, store.classes, title=title)], output)


def _data_of(run: Where) -> DataConfig:
    """The clips that a run was trained on."""
    folder = RunFolder(run)
    if not folder.path.is_dir():
        raise InputError(f"--run: {folder}: no such folder, expected a run")
    fields = folder.read_config().get("data")
    if not isinstance(fields, dict):
        raise InputError(f"--data: {folder} does not say what it was trained on; expected a name, or --data.format and more")
    return parse_mapping(DataConfig, fields, source=folder.config)


@contextmanager
def _opened(
    run: Path,
    clip: str | int,
    *,
    data: DataConfig | None = None,
    part: Part = "test",
    rate: float | None = None,
    task: Pretrain | None = None,
) -> Iterator[tuple[Pretrain, ShownClip, Callable[[], Pretrain]]]:
    """A run's task in eval mode, the clip that is asked for, and what makes the task under semantic scores."""
    if rate is not None and not rate > 0:
        raise InputError(f"--rate: expected frames a second, more than 0, found {rate}")
    task, data = task or task_of(run), data or _data_of(run)
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
        yield task, show_clip(source, place, topology=source.topology, rate=rate), partial(semantic, task, reference)


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
    for i, name in enumerate(store.name):
        if name == wanted:
            return i
    known = f"a number below {len(clips)}, the {part} clips of {split}, a clip's name such as {store.name[0]}, or a file"
    raise InputError(f"--clip: {wanted}: expected {known}")


def _written(pictures: list[Picture], output: Where | None) -> list[Picture]:
    if output is not None:
        write_pictures(pictures, Path(output))
    return pictures
