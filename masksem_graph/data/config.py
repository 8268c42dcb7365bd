"""Which clips an experiment reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from lightning_fabric import Fabric

from masksem_graph.data.clips import AbsentFrames, Residency, Stream
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError


@dataclass(frozen=True)
class DataConfig:
    """The data set.

    Args:
        format: what ``prepare`` calls the source's format.
        split: the split's name, as ``inspect`` lists them.
        root: a store, or the source itself, which is then prepared once into the cache.
        origin: ``centre`` puts actor 1's first centre joint at zero, ``none`` keeps coordinates; left out, it is what is usual
            for the format.
        options: options of the format's reader.
        absent_frames: what a body shows where it is missing: its nearest present frame, or zeros.
        stream: joint, bone (child minus parent) or motion (next frame minus this).
        residency: where frames lie while training: on disk, in memory, or on the device.
    """

    format: str
    split: str
    root: str | None = None
    origin: Literal["centre", "none"] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    absent_frames: AbsentFrames = "hold"
    stream: Stream = "joint"
    residency: Residency = "memory"

    def open(self) -> Store:
        """The store that this configuration names, prepared first where it names a source.

        Raises:
            InputError: nothing usable at ``root``, a store that was prepared otherwise than is asked for, or no such split.
        """
        from masksem_graph.data.prepare import cached_store

        store = cached_store(self.format, self.root, origin=self.origin, options=self.options)
        if store.format == self.format:
            self._check_preparation(store)
        if self.split not in store.splits:
            raise InputError(f"data.split: expected one of {', '.join(store.splits) or '(none)'}, found {self.split}")
        return store

    def _check_preparation(self, store: Store) -> None:
        """Only a store that was prepared with what is asked for; what either side leaves open is not compared."""
        asked = {f"options.{name}": (value, store.options.get(name)) for name, value in self.options.items()}
        asked["origin"] = (self.origin, store.origin)
        for name, (wanted, found) in asked.items():
            if None not in (wanted, found) and wanted != found:
                raise InputError(f"data.{name}: expected {wanted}, but {store.path} was prepared with {found}")


def open_on_first(fabric: Fabric, data: DataConfig) -> Store:
    """Open the store in the first process before the others, so that a source is prepared once."""
    if fabric.is_global_zero:
        data.open()
    fabric.barrier()
    return data.open()


def identity(store: Store) -> dict[str, Any]:
    """What tells a data set from another, wherever it lies."""
    return {"format": store.format, "topology": store.topology.name, "classes": len(store.classes), "clips": len(store)}
