"""What is told at the start of a run: everything that it will do, in one block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch_geometric.nn import MessagePassing

from masksem_graph.compose import Competed, part_line
from masksem_graph.data.store import Store
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.training.config import RunConfig


def start_lines(
    config: RunConfig,
    plain: Mapping[str, Any],
    stores: Mapping[str, Store],
    task: Pretrain,
    *,
    steps: int,
    competed: Sequence[Competed] = (),
) -> Iterator[str]:
    """The lines of the block.

    Args:
        config: of the run.
        plain: the same as plain data.
        stores: the data sets by name.
        task: its networks, which know the skeletons.
        steps: of an epoch.
        competed: fields that two sources set.
    """
    for (name, store), data, topology in zip(stores.items(), config.data.each.values(), task.student.topologies, strict=True):
        split = store.splits[data.split]
        yield _line(
            "data",
            f"{name} {data.split}: {len(split['train'])} training and {len(split['test'])} test clips, "
            f"{len(store.classes)} classes, in {store.units}, origin {store.origin}, stream {data.stream}, "
            f"view {data.view}",
        )
        yield _line("skeleton", f"{topology.name}: {len(topology)} joints, {len(topology.bones)} bones")
    model, method, train = plain["model"], plain["method"], config.train
    numbers = sum(p.numel() for p in task.parameters() if p.requires_grad)
    yield _line(
        "model", f"{model['frames']} frames in segments of {model['segment']}, width {model['width']}, {numbers:,} parameters"
    )
    for name, part in (("backbone", model["backbone"]), ("decoder", model["decoder"])):
        yield _line(name, part_line(part))
    for name in ("scores", "operator", "target"):
        yield _line(name, part_line(method.get(name)))
    yield _line("transforms", ", ".join(map(part_line, plain.get("augment") or [])) or "none")
    yield _line(
        "steps",
        f"{train.epochs} epochs of {steps} steps, {train.batch_size} clips each, rate {train.lr:g} to {train.final_lr:g}",
    )
    if isinstance(layer := getattr(task.student.backbone, "model", None), MessagePassing):
        yield _line("beware", f"{type(layer).__name__} is one layer; torch_geometric.nn.models has those of several")
    if steps == 1:
        yield _line("beware", "one step an epoch: a smaller --train.batch_size or more --train.epochs learn more")
    for one in competed:
        yield _line("decided", str(one))


def _line(name: str, text: str) -> str:
    return f"{name:<11}{text}"
