"""``masksem_graph.pretrain`` and ``masksem_graph.evaluate``: the commands, from Python."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from masksem_graph import trust
from masksem_graph.cli import evaluate as evaluation
from masksem_graph.cli import train
from masksem_graph.compose import CLASS_PATH, GROUPS, INIT_ARGS, load_group, plain_copy
from masksem_graph.console import console
from masksem_graph.data.dataset import OF_CLIPS
from masksem_graph.declared import declared_fields
from masksem_graph.errors import InputError, meant
from masksem_graph.options import HOMES, Options
from masksem_graph.run_folder import RunFolder

OF_FURTHER_DATA = ("format", "split", "root", "origin", "options", "splits", "weight")


@dataclass(frozen=True)
class Result:
    """What an evaluation found, in per cent.

    Args:
        top1: accuracy; of several repetitions the mean.
        interval: its 95 % interval, by bootstrap over test clips.
        top5: how often the class is among the five likeliest.
        std: deviation of ``top1`` over the repetitions; 0 of one.
        floors: accuracies that take no learning.
        folder: where all of it is written.
        figures: the contents of ``results.json``.
    """

    top1: float
    interval: tuple[float, float]
    top5: float
    std: float
    floors: dict[str, float]
    folder: Path
    figures: dict[str, Any]

    def __repr__(self) -> str:
        floors = ", ".join(f"{name}: {value:.1f}" for name, value in self.floors.items())
        low, high = self.interval
        return f"Result(top1={self.top1:.1f}, interval=({low:.1f}, {high:.1f}), top5={self.top5:.1f}, floors={{{floors}}})"


def pretrain(
    data: Any,
    model: Any = "tiny",
    method: Any = "masksem",
    *,
    output: str | os.PathLike[str],
    backbone: Any = None,
    augment: Any = None,
    **fields: Any,
) -> RunFolder:
    """Pre-train an encoder and give the run's folder.

    Args:
        data: a `SkeletonDataset`, the name or file of a data set, its fields, or a list of several of these. The training
            clips of the split are taken, at the model's own number of frames.
        model: a name such as ``small``, a file, or the fields of `ModelConfig`.
        method: a name such as ``masksem``, a file, or the fields of `MethodConfig`.
        output: the run's folder; the same call goes on with a run that was interrupted.
        backbone: a name such as ``gps``, a class, or its dotted path.
        augment: a name such as ``wide_turn``, or a list of parts.
        fields: any other field: ``epochs=20``, ``lr=1e-3``, ``**{"model.backbone.num_layers": 4}``.

    Raises:
        InputError: something cannot be used; the line names the field.
    """
    from masksem_graph.training.run import pretrain as run

    for one in data if isinstance(data, list | tuple) else [data]:
        if getattr(one, "part", None) == "test":
            raise InputError("data: found the test part of a SkeletonDataset, expected its train part, or all of it")
        if hasattr(one, "store") and one.options.get("topology"):
            raise InputError("data: found a SkeletonDataset with a topology, expected none; name its file as 'model.topology'")
    groups = {"data": data_section(data), "model": model, "method": method, "backbone": backbone, "augment": augment}
    return run(*train.read(_options(groups, {**fields, "output": output}, train.ROOT, also="train")))


def evaluate(
    run: str | os.PathLike[str],
    protocol: Any = "linear",
    *,
    data: Any = None,
    labels: Any = None,
    output: str | os.PathLike[str] | None = None,
    **fields: Any,
) -> Result:
    """Evaluate a run.

    Args:
        run: its folder, or ``none`` with a ``model`` for freshly drawn weights.
        protocol: a name such as ``linear``, a file, a class, or its dotted path.
        data: other clips than the run's, as `pretrain` takes them.
        labels: the labelled share, such as ``1%``.
        output: folder for the results; by default one in the run's folder, named after protocol, other data and labels.
        fields: any other field: ``seed=1``, or one of the protocol's, ``epochs=30``.

    Raises:
        InputError: something cannot be used; the line names the field.
    """
    from masksem_graph.evaluation.several import evaluate_all

    groups = {"protocol": protocol, "data": None if data is None else data_section(data), "labels": labels}
    fields |= {"run": run} | ({} if output is None else {"output": output})
    config, plain, competed = evaluation.read(_options(groups, fields, evaluation.ROOT, also="protocol"))
    found = evaluate_all(config, plain, competed)
    if found is None:
        raise InputError("evaluate: the results are in the first process")
    return Result(
        top1=found["top1"],
        interval=tuple(found["top1_interval"]),
        top5=found["top5"],
        std=found.get("std") or 0.0,
        floors=found["floors"],
        folder=Path(config.output),
        figures=found,
    )


def data_section(data: Any) -> Any:
    """What ``data`` means: a name stays one, several data sets become the first and those beside it."""
    if isinstance(data, str):
        return data
    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, Sequence):
        return _several([load_group("data", data_section(one), "data")[0] for one in data])
    if not (hasattr(data, "store") and hasattr(data, "split")):
        raise InputError(f"data: expected a SkeletonDataset, a name, or a list of them, found {type(data).__name__}")
    # What fields cannot say is refused and not left out.
    if getattr(data, "_indices", None) is not None:
        raise InputError("data: found some of a SkeletonDataset's clips, expected the whole of it")
    if data.transform is not None or data.options.get("transforms"):
        raise InputError("data: found a SkeletonDataset with a transform, expected none; give transforms as augment=[...]")
    fields = {"format": data.store.format, "split": data.split, "root": str(data.store.path)}
    return fields | {name: data.options[name] for name in OF_CLIPS if name in data.options}


def _several(sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not sections:
        raise InputError("data: expected at least one data set, found an empty list")
    first, also = sections[0], dict[str, Any]()
    for section in sections[1:]:
        for name, value in section.items():
            if name not in OF_FURTHER_DATA and value != first.get(name):
                raise InputError(f"data: {name} is that of the first data set, found {value!r} for {section['format']} too")
        name = str(section["format"]).rpartition(".")[2]
        while name in {str(first["format"]).rpartition(".")[2], *also}:
            name += "_2"
        also[name] = {key: value for key, value in section.items() if key in OF_FURTHER_DATA}
    return {**first, "also": {**first.get("also", {}), **also}} if also else first


def _options(groups: Mapping[str, Any], fields: Mapping[str, Any], root: str, *, also: str) -> Options:
    chosen = {name: _plain(value, name) for name, value in groups.items() if value is not None}
    overrides = {}
    for name, value in fields.items():
        if name in GROUPS and not isinstance(value, Mapping):
            chosen[name] = _plain(value, name)
        else:
            overrides[_place(name, root, also)] = _plain(value, name)
    return Options(chosen, (), overrides)


def _place(name: str, root: str, also: str) -> str:
    """The dotted name of a field that is given by its own name: of the section ``also``, or of the one that has it."""
    top = declared_fields(root)
    homes = {section: declared_fields(home) for section, home in HOMES.items() if section in top}
    if "." in name or name in top:
        return name
    found = [f"{section}.{name}" for section, fields in homes.items() if name in fields]
    if f"{also}.{name}" in found or (not found and also not in homes):  # the latter: an option of the protocol's class
        return f"{also}.{name}"
    if len(found) > 1:
        raise InputError(f"{name}: expected one of {', '.join(found)}, given as **{{'{found[0]}': ...}}")
    if not found:
        known = [*top, *(key for fields in homes.values() for key in fields)]
        raise InputError(f"{name}: no such field; {meant(name, known)}")
    return found[0]


def _plain(value: Any, name: str) -> Any:
    """A value as a configuration holds it; a class is trusted, since the caller has it already."""
    if isinstance(value, type):
        path = f"{value.__module__}.{value.__qualname__}"
        if value.__module__ == "__main__":
            told = "is of this script or notebook; other processes can load the run only where it is in a module"
            console.print(f"{name}: {path} {told}", markup=False, soft_wrap=True)
        trust.allow(path)
        return {CLASS_PATH: path}
    if isinstance(value, Mapping | list | tuple):
        return plain_copy(value, lambda entry: _plain(entry, name))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, str | int | float):
        return value
    if callable(options := getattr(value, "options", None)):
        return {**_plain(type(value), name), INIT_ARGS: _plain(options(), name)}
    raise InputError(f"{name}: expected plain data, a class, or a part that has `options()`, found a {type(value).__name__}")
