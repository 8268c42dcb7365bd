"""Which clips an experiment reads."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from lightning_fabric import Fabric

from masksem_graph.data.input_spec import InputSpec
from masksem_graph.data.loader import AbsentFrames, Residency, Stream
from masksem_graph.data.own_splits import splits_of_file
from masksem_graph.data.store import Store
from masksem_graph.data.transforms import ViewName, ViewOf
from masksem_graph.errors import InputError


@dataclass(frozen=True)
class FurtherData:
    """One more data set to pre-train on; stream, absent frames and residency are those of the first.

    Args:
        format, split, root, origin, options, splits: as of the first, see `DataConfig`.
        weight: how often a step takes this data set, relative to the weights of the others.
    """

    format: str
    split: str
    root: str | None = None
    origin: Literal["centre", "none"] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    splits: str | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class DataConfig:
    """The data set, or several to pre-train on.

    Args:
        format: what ``prepare`` calls the source's format.
        split: the split's name, as ``inspect`` lists them.
        root: a store, or the source itself, which is then prepared once into the cache.
        origin: ``centre`` puts actor 1's first centre joint at zero, ``none`` keeps coordinates; left out, it is what is usual
            for the format.
        options: options of the format's reader.
        splits: a YAML file of further splits, as ``splits`` of one's own clips: lists of clips, groups, folds.
        absent_frames: what a body shows where it is missing: its nearest present frame, or zeros.
        stream: joint, bone (child minus parent) or motion (next frame minus this).
        view: the frame of reference that each clip is put into, in training and in testing: as ``recorded``, turned about the
            vertical (``yaw``), or the ``body``'s own.
        view_of: whether that is found in actor 1's ``first`` present frame or in its ``mean`` pose.
        residency: where frames lie while training: on disk, in memory, or on the device.
        also: further data sets to pre-train on, by a name of your choice; each step takes one of all.
        weight: how often a step takes the first data set, relative to the weights of the others.
    """

    format: str
    split: str
    root: str | None = None
    origin: Literal["centre", "none"] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    splits: str | None = None
    absent_frames: AbsentFrames = "hold"
    stream: Stream = "joint"
    view: ViewName = "recorded"
    view_of: ViewOf = "first"
    residency: Residency = "memory"
    also: dict[str, FurtherData] = field(default_factory=dict)
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.name in self.also:
            raise InputError(f"data.also: {self.name} is what the first data set is called; expected another name")
        for name, weight in {"": self.weight, **{f"also.{name}.": one.weight for name, one in self.also.items()}}.items():
            if not 0 < weight < math.inf:
                raise InputError(f"data.{name}weight: expected a number above 0, found {weight}")

    @property
    def name(self) -> str:
        """What the first of several data sets is called: its format."""
        return self.format.rpartition(".")[2]

    @property
    def each(self) -> dict[str, DataConfig]:
        """All data sets by name, each as if it were alone."""
        further = {name: replace(self, also={}, **vars(one)) for name, one in self.also.items()}
        return {self.name: replace(self, also={}), **further}

    def open(self) -> Store:
        """The store that this configuration names, prepared first where it names a source; of several, the first.

        Raises:
            InputError: nothing usable at ``root``, a store that was prepared otherwise than is asked for, or no such split.
        """
        from masksem_graph.data.prepare import cached_store, is_embedded

        if self.root is not None and not Path(self.root).expanduser().exists() and not is_embedded(self.format):
            raise InputError(f"data.root: {self.root}: no such file or folder, expected a store or the data of {self.format}")
        store = cached_store(self.format, self.root, origin=self.origin, options=self.options)
        self._check_preparation(store)
        if self.splits is not None:
            store.splits |= splits_of_file(Path(self.splits), store)
        if self.split not in store.splits:
            raise InputError(f"data.split: expected one of {', '.join(store.splits) or '(none)'}, found {self.split}")
        return store

    def input_spec(self, store: Store) -> InputSpec:
        """How an encoder sees the clips of this configuration's store."""
        own = {name: getattr(self, name) for name in ("view", "view_of", "stream", "absent_frames")}
        return InputSpec(origin=store.origin, units=store.units, **own)  # type: ignore[arg-type]

    def open_each(self) -> dict[str, Store]:
        """The stores of all data sets by name, see `each` and `open`.

        Raises:
            InputError: as `open`, or a data set has another number of coordinates than the first, other units, or another
                origin that nobody named.
        """
        stores = {self.name: self.open()}
        first = stores[self.name]
        for name, one in self.also.items():
            place = f"data.also.{name}"
            try:
                found = stores[name] = self.each[name].open()
            except InputError as error:
                line = str(error)
                raise InputError(f"{place}.{line[5:]}" if line.startswith("data.") else f"{place}: {line}") from None
            if (channels := found.frames.shape[-1]) != (expected := first.frames.shape[-1]):
                raise InputError(f"{place}: found {channels} coordinates a joint, expected {expected}, as in {self.name}")
            if found.units != first.units:
                raise InputError(f"{place}: found coordinates in {found.units}, expected {first.units}, as in {self.name}")
            if one.origin is None and found.origin != first.origin:
                raise InputError(
                    f"{place}.origin: {found.path} was prepared with {found.origin}, {self.name} with {first.origin}; "
                    f"expected the same, or --{place}.origin {found.origin} to say that it is meant"
                )
        return stores

    def _check_preparation(self, store: Store) -> None:
        """Only a store that was prepared with what is asked for; what either side leaves open is not compared."""
        own = self.options if store.format == self.format else {}  # another reader's options say something else
        asked = {f"options.{name}": (value, store.options.get(name)) for name, value in own.items()}
        for name, (wanted, found) in {**asked, "origin": (self.origin, store.origin)}.items():
            if None not in (wanted, found) and wanted != found:
                raise InputError(f"data.{name}: expected {wanted}, but {store.path} was prepared with {found}")


Opened = TypeVar("Opened")


def on_first(fabric: Fabric, opened: Callable[[], Opened]) -> Opened:
    """What `DataConfig.open` or `open_each` opens, in the first process before the others: a source is prepared once."""
    if fabric.is_global_zero:
        opened()
    fabric.barrier()
    return opened()


def identity(store: Store) -> dict[str, Any]:
    """What tells a data set from another, wherever it lies and however its clips were prepared."""
    about = {"format": store.format, "topology": store.topology.name, "classes": len(store.classes), "clips": len(store)}
    return about | {"labels": _hash((store.name.tolist(), store.label.tolist()))}


def members(store: Store, split: str) -> dict[str, str]:
    """Which clips train and test, as a hash: lists in files change."""
    return {"members": _hash([store.splits[split][part].tolist() for part in ("train", "test")])}


def preparation(store: Store) -> dict[str, Any]:
    """How the clips of a store were prepared: clips that a run meets later have to be prepared alike."""
    about = {"format": store.format, "options": store.options, "origin": store.origin, "units": store.units}
    return about | {"topology": store.topology.to_dict(), "fingerprint": store.fingerprint}


def _hash(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
