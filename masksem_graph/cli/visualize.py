"""Draw a run: saliency, smoothing, masks, reconstruction, features."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.cli.evaluate import defaults_of_run
from masksem_graph.config import Parser, instantiate, with_config_paths
from masksem_graph.console import console
from masksem_graph.data.augment import CropConfig
from masksem_graph.data.clips import ClipSource
from masksem_graph.data.config import DataConfig
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import EvaluateConfig
from masksem_graph.evaluation.encoders import make_encoder
from masksem_graph.evaluation.loose_clips import gather
from masksem_graph.evaluation.run import labelled_split
from masksem_graph.files import read_yaml
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import describe_encoder
from masksem_graph.pictures.clip import ShownClip, show_clip
from masksem_graph.pictures.picture import Picture, require_display, show_pictures, write_pictures
from masksem_graph.pictures.saliency import raw_saliency
from masksem_graph.pictures.tasks import average_motion, operator_name, semantic, task_of
from masksem_graph.protocols import Evaluation
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.topology import load_topology
from masksem_graph.training.devices import DeviceConfig, launch
from masksem_graph.training.restore import has_method, load_task

Part = Literal["train", "test"]
Scale = Literal["own", "shared"]


def main(argv: Sequence[str]) -> None:
    """Run ``visualize KIND ...``."""
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: masksem-graph visualize KIND [--help] ...\n")
        print("\n".join(f"  {name:<14} {(kind.__doc__ or '').splitlines()[0]}" for name, kind in KINDS.items()))
        return
    if arguments[0] not in KINDS:
        raise InputError(f"visualize {arguments[0]}: no such kind of picture, expected one of {', '.join(KINDS)}")
    KINDS[arguments[0]](with_config_paths(arguments[1:]))


def saliency(argv: Sequence[str]) -> None:
    """Where a clip differs from the average motion: a map of joints and segments, and on the skeleton over time."""
    from masksem_graph.pictures import saliency as drawing

    found = _parser("saliency", saliency, argv, clip=True)
    with _opened(found) as run:
        values = drawing.saliency(run.semantic(), run.clip)
        named = operator_name(run.semantic())
        _finish(found, drawing.saliency_pictures(run.clip, values, smoothing=named, moving=found["gif"]))


def smoothing(argv: Sequence[str]) -> None:
    """Smoothing operators: as matrices, on the graph, on an impulse, and with a run on the saliency of a clip."""
    from masksem_graph.pictures import operators as matrices
    from masksem_graph.pictures import smoothing as drawing

    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--checkpoint")
    of_run = first.parse_known_args(list(argv))[0].checkpoint is not None
    found = _parser("smoothing", smoothing, argv, clip=True, data=of_run)
    numbers = {name: found[name] for name in ("hops", "restart", "time") if found[name] is not None}
    if numbers and found["operator"] is None:
        raise InputError(f"--{next(iter(numbers))}: expected together with --operator")
    operators = matrices.SIDE_BY_SIDE if found["operator"] is None else matrices.named_operator(found["operator"], numbers)
    if not of_run and found["topology"] is None:
        raise InputError("--topology: expected the name or path of a topology, or a run's --checkpoint")
    named = found["topology"] and load_topology(found["topology"])
    pictures = matrices.operator_pictures(named, operators, found["joints"]) if named else []
    if not of_run:
        _finish(found, pictures)
        return
    with _opened(found) as run:
        own = run.task.student.topology
        scored = run.semantic()
        eta, shared = raw_saliency(scored, run.clip), found["scale"] == "shared"
        values = drawing.smoothed(eta, own.joints, named or own, operators, scored.scores.after_smoothing, shared=shared)
        pictures = pictures or matrices.operator_pictures(own, operators, found["joints"])
        pictures += drawing.saliency_pictures(run.clip, values, topology=named, shared=shared, moving=found["gif"])
        _finish(found, pictures)


def masks(argv: Sequence[str]) -> None:
    """Which nodes each strategy hides: one draw, the frequency over many, next to what moved."""
    from masksem_graph.pictures import masks as drawing

    found = _parser("masks", masks, argv, clip=True)
    if found["draws"] < 1:
        raise InputError(f"--draws: expected at least 1, found {found['draws']}")
    with _opened(found) as run:
        chosen = drawing.strategies(run.task, run.semantic(), known=has_method(Path(found["checkpoint"])))
        drawn = {
            name: drawing.draw_masks(task, run.clip, seed=found["seed"], draws=found["draws"]) for name, task in chosen.items()
        }
        _finish(found, drawing.mask_pictures(run.clip, drawn, draws=found["draws"], moving=found["gif"]))


def reconstruction(argv: Sequence[str]) -> None:
    """What the decoder says of hidden nodes beside what is true, per joint over time."""
    from masksem_graph.pictures import reconstruction as drawing

    found = _parser("reconstruction", reconstruction, argv, clip=True)
    run_folder = Path(found["checkpoint"])
    describe_encoder(run_folder)
    if not has_method(run_folder):
        raise InputError(
            f"--checkpoint: {run_folder} cannot reconstruct: it holds no decoder with the targets that it was trained on, "
            "as a converted run or an evaluation; expected a run of train.py"
        )
    with _opened(found, load_task(run_folder)) as run:
        targets = drawing.reconstruct(run.task, run.clip, seed=found["seed"], standardised=found["standardised"])
        _finish(found, drawing.reconstruction_pictures(run.clip, targets, found["joints"], shared=found["scale"] == "shared"))


def embedding(argv: Sequence[str]) -> None:
    """A map of the features of a split's test clips, by class, with the k-NN accuracy."""
    from masksem_graph.pictures import embedding as drawing

    found = _parser("embedding", embedding, argv, clip=False)
    if found["points"] < 2:
        raise InputError(f"--points: expected at least 2, found {found['points']}")
    data: DataConfig = found["data"]
    store = data.open()
    config = EvaluateConfig(checkpoint=found["checkpoint"], output=found["output"], data=data, crop=found["crop"])
    device = launch(found["device"]).device
    encoder = make_encoder(config, store, found["seed"]).to(device)
    train, test = labelled_split(data, store)
    evaluation = Evaluation(
        encoder=encoder,
        source=_source(data, store, encoder, device=device),
        train=train,
        test=test,
        classes=store.classes,
        crop=found["crop"],
        augment=config.augment,
        bf16=found["device"].precision == "bf16-mixed",
    )
    map_ = drawing.embed(evaluation, method=found["method"], seed=found["seed"], most=found["points"])
    title = f"{Path(found['checkpoint']).resolve().name} on {data.format} {data.split}"
    _finish(found, [drawing.embedding_picture(map_, store.classes, title=title)])


KINDS: dict[str, Callable[[Sequence[str]], None]] = {
    "saliency": saliency,
    "smoothing": smoothing,
    "masks": masks,
    "reconstruction": reconstruction,
    "embedding": embedding,
}


@dataclass(frozen=True)
class OpenRun:
    """A run, and the clip of it that is asked for.

    Args:
        task: in eval mode.
        clip: the clip.
        reference: finds the average motion of its training clips.
    """

    task: Pretrain
    clip: ShownClip
    reference: Callable[[], Float[Tensor, "T V C"]]

    def semantic(self) -> Pretrain:
        """The run's task, under Grad-CAM where its own scores are none."""
        return semantic(self.task, self.reference)


@contextmanager
def _opened(found: Mapping[str, Any], task: Pretrain | None = None) -> Iterator[OpenRun]:
    """The run of ``--checkpoint`` and the clip of ``--clip``, which lies in the run's data or in a file of its own."""
    task, data = task or task_of(Path(found["checkpoint"])), found["data"]
    encoder, derivatives = task.student, task.target.before_resize

    def reference() -> Float[Tensor, "T V C"]:
        store = data.open()
        return average_motion(_source(data, store, encoder), torch.from_numpy(store.splits[data.split]["train"]))

    with TemporaryDirectory() as folder:
        if Path(found["clip"]).exists():
            path = Path(found["clip"])
            store, clip = gather([path], Path(folder) / "store", usual=data.format, origin=data.origin), 0
        else:
            store = data.open()
            clip = _find_clip(store, data.split, found["part"], found["clip"])
        source = _source(data, store, encoder, derivatives=derivatives)
        if task.needs_reference and not task.reference.any():  # one of each batch was used, and none saved
            task.reference.copy_(reference())
        yield OpenRun(task, show_clip(source, clip, topology=encoder.topology, rate=found["rate"]), reference)


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


def _source(
    data: DataConfig,
    store: Store,
    encoder: SkeletonEncoder,
    *,
    derivatives: bool = False,
    device: torch.device | str = "cpu",
) -> ClipSource:
    if (channels := store.frames.shape[-1]) != encoder.channels:
        raise InputError(
            f"{store.path}: found {channels} coordinates a joint, expected {encoder.channels}, as the run's encoder"
        )
    return ClipSource(
        store,
        frames=encoder.frames,
        segment=encoder.segment,
        device=device,
        residency="disk",
        absent_frames=data.absent_frames,
        stream=data.stream,
        derivatives=derivatives,
        topology=encoder.topology,
    )


def _finish(found: Mapping[str, Any], pictures: Sequence[Picture]) -> None:
    for path in write_pictures(pictures, Path(found["output"])):
        console.print(f"drawn: {path}", soft_wrap=True, markup=False)
    if found["show"]:
        show_pictures(pictures)


def _parser(kind: str, function: Callable[..., Any], argv: Sequence[str], *, clip: bool, data: bool = True) -> dict[str, Any]:
    """The options of a kind of picture, with the run's own data for defaults."""
    parser = Parser(prog=f"masksem-graph visualize {kind}", description=function.__doc__)
    parser.add_argument(
        "--output", type=str, default="figures", help="a folder for the pictures: PNG and SVG, GIF of what moves"
    )
    parser.add_argument("--show", action="store_true", help="open a window for each")
    required = kind != "smoothing"
    parser.add_argument("--checkpoint", type=str, required=required, help="folder of a run")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    if clip:
        parser.add_argument("--clip", type=str, default="0", help="its number in the part of the split, its name, or a file")
        parser.add_argument("--part", type=Part, default="test", help="of the split, that --clip counts in")
        parser.add_argument("--rate", type=float, help="frames a second of the clip: time in seconds instead of frames")
        if kind != "reconstruction":
            parser.add_argument("--gif", type=bool, default=True, help="also make the animation")
    OPTIONS.get(kind, lambda parser: None)(parser)
    if data:
        parser.add_argument("--config", action="config", help="a YAML file or shipped name; for other data: data/NAME")
        parser.add_class_arguments(DataConfig, "data", fail_untyped=True)
        _set_defaults(parser, argv, sections=("data", *(("crop", "device") if kind == "embedding" else ())))
    parsed = parser.parse_args(list(argv))
    found = instantiate(parser, parsed)
    if found["seed"] < 0:
        raise InputError(f"--seed: expected at least 0, found {found['seed']}")
    if found.get("rate") is not None and not found["rate"] > 0:
        raise InputError(f"--rate: expected frames a second, more than 0, found {found['rate']}")
    if found["show"]:
        require_display()
    return found


def _set_defaults(parser: Parser, argv: Sequence[str], *, sections: Sequence[str]) -> None:
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--checkpoint")
    first.add_argument("--config", action="append", default=[])
    first.add_argument("--data.format", dest="format")
    peeked = first.parse_known_args(list(argv))[0]
    if peeked.checkpoint is None:
        return
    describe_encoder(peeked.checkpoint)
    path = Path(peeked.checkpoint) / "config.yaml"
    fields = read_yaml(path) if path.is_file() else {}
    own_data = peeked.format is not None or bool(peeked.config)
    defaults = defaults_of_run(fields, own_data=own_data)
    parser.set_defaults({name: value for name, value in defaults.items() if name.partition(".")[0] in sections})


def _operator_options(parser: Parser) -> None:
    parser.add_argument("--topology", type=str, help="a YAML file or a shipped name; by default the run's own")
    known = "none, adjacency, parts, ppr, heat, spatio_temporal, or the dotted path of a class"
    parser.add_argument("--operator", type=str, help=f"{known}; by default all of these side by side")
    parser.add_argument("--hops", type=int, help="of adjacency")
    parser.add_argument("--restart", type=float, help="of ppr")
    parser.add_argument("--time", type=float, help="of heat")
    parser.add_argument("--joints", type=str, nargs="+", default=[], help="where an impulse starts")
    parser.add_argument(
        "--scale", type=Scale, default="own", help="rows are shares of their own largest value, or of one shared"
    )


def _mask_options(parser: Parser) -> None:
    parser.add_argument("--draws", type=int, default=1000, help="that the frequency is taken over")


def _reconstruction_options(parser: Parser) -> None:
    parser.add_argument("--joints", type=str, nargs="+", default=[], help="to show; by default those that move most")
    parser.add_argument("--scale", type=Scale, default="shared", help="of the rows: one shared, or each joint its own")
    parser.add_argument("--standardised", type=bool, default=False, help="show the values that the loss compares")


def _embedding_options(parser: Parser) -> None:
    parser.add_argument("--method", type=Literal["tsne", "pca"], default="tsne", help="what lays the clips out")
    parser.add_argument("--points", type=int, default=2000, help="at most so many clips, drawn at random")
    parser.add_class_arguments(CropConfig, "crop", fail_untyped=True)
    parser.add_class_arguments(DeviceConfig, "device", fail_untyped=True)


OPTIONS: dict[str, Callable[[Parser], None]] = {
    "smoothing": _operator_options,
    "masks": _mask_options,
    "reconstruction": _reconstruction_options,
    "embedding": _embedding_options,
}
