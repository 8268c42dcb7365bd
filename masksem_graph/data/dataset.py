"""A data set as torch_geometric knows it: an item is a clip, as a graph."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch_geometric.data import Dataset

from masksem_graph.compose import group_names, load_group
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import Store, is_store, open_store
from masksem_graph.data.views import whole_view
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology, load_topology

OF_CLIPS = ("view", "view_of", "stream", "absent_frames")
"""Options that are fields of an `InputSpec` too."""


class SkeletonDataset(Dataset):
    """Clips as a torch_geometric `Dataset`: ``dataset[i]`` is the `SkeletonData` of a whole clip, resized to ``frames``.

    Args:
        source: a store, by path or opened; or a format (``"demo"``, ``"nw_ucla"``, ...), prepared once into the cache.
        split: a split's name, as ``masksem-graph inspect`` lists them; the only one where omitted.
        part: ``train`` or ``test`` clips of the split; all clips where omitted.
        root: the source's files, where ``source`` is a format.
        frames: T, what clips are resized to.
        segment: l, frames of a node.
        transform: applied to each item, such as `torch_geometric.transforms.Compose`.
        options: of `SkeletonLoader` (``stream``, ``absent_frames``, ``view``, ...); ``topology`` also by name or path.

    Raises:
        InputError: no such store, format, split, part or option.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Store,
        *,
        split: str | None = None,
        part: Literal["train", "test"] | None = None,
        root: str | os.PathLike[str] | None = None,
        frames: int = 32,
        segment: int = 4,
        transform: Callable[[SkeletonData], SkeletonData] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(None, transform)
        self.store = _open(source, root)
        splits = self.store.splits
        if split is None and len(splits) > 1:
            raise InputError(f"split: expected one of {', '.join(splits)}")
        self.split = split if split is not None else next(iter(splits), "all")
        if self.split not in splits and (split is not None or part is not None):
            raise InputError(f"split: expected one of {', '.join(splits) or '(none)'}, found {self.split}")
        if frames % segment:
            raise InputError(f"frames: expected a multiple of segment = {segment}, found {frames}")
        if part not in (None, "train", "test"):
            raise InputError(f"part: expected train or test, found {part!r}")
        _check_options(options)
        if isinstance(named := options.get("topology"), str | os.PathLike):
            options["topology"] = load_topology(named)
        self.part, self.frames, self.segment, self.options = part, frames, segment, options
        self.clips = torch.arange(len(self.store)) if part is None else torch.from_numpy(splits[self.split][part])

    @cached_property
    def loader(self) -> SkeletonLoader:
        """What reads the clips, whole batches at once."""
        return SkeletonLoader(self.store, frames=self.frames, segment=self.segment, **{"residency": "disk", **self.options})

    @property
    def topology(self) -> Topology:
        """The skeleton."""
        return self.loader.topology

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by label."""
        return self.store.classes

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.store.classes)

    @cached_property
    def prepared(self) -> InputSpec:
        """How its clips are; each carries it, and an encoder refuses those that are not as its own."""
        given = {name: self.options[name] for name in OF_CLIPS if name in self.options}
        return InputSpec(origin=self.store.origin, units=self.store.units, **given)  # type: ignore[arg-type]

    def like(self, encoder: Any) -> SkeletonDataset:
        """The same clips as an encoder takes them: its skeleton, frames, segments and preparation."""
        seen = {name: getattr(encoder.input_spec, name) for name in OF_CLIPS}
        seen["topology"] = encoder.topology_for(self.store.topology)
        return SkeletonDataset(
            self.store,
            split=self.split if self.split in self.store.splits else None,
            part=self.part,
            frames=encoder.frames,
            segment=encoder.segment,
            transform=self.transform,
            **{**self.options, **seen},
        )

    def len(self) -> int:
        """How many clips there are."""
        return len(self.clips)

    def get(self, idx: int) -> SkeletonData:
        """A clip's graph, before the transform."""
        clips = self.clips[idx : idx + 1]
        batch = self.loader.load(self.loader.plan(whole_view(clips, self.loader.length[clips])))
        return SkeletonData.from_frames(
            batch.frames,
            topology=batch.topology,
            segment=self.segment,
            sequence=batch.sequence,
            y=batch.y,
            **{name: batch[name] for name in ("velocity", "acceleration") if name in batch},
            prepared=self.prepared,
        )


def _check_options(options: dict[str, Any]) -> None:
    """Now, and not at the first item."""
    known = get_type_hints(SkeletonLoader.__init__)
    takes = sorted(set(known) - {"store", "frames", "segment", "return"})
    for name, value in options.items():
        if name not in takes:
            hint = "; part='train' or part='test' chooses clips" if name in ("train", "test") else ""
            raise InputError(f"{name}: no such option, expected one of {', '.join(takes)}{hint}")
        if get_origin(known[name]) is Literal and value not in get_args(known[name]):
            raise InputError(f"{name}: expected one of {', '.join(get_args(known[name]))}, found {value!r}")


def _open(source: str | os.PathLike[str] | Store, root: str | os.PathLike[str] | None) -> Store:
    if isinstance(source, Store):
        return source
    if is_store(source) or isinstance(source, os.PathLike) or os.sep in source:
        return open_store(source)
    from masksem_graph.data.prepare import cached_store

    if source in group_names("data"):
        format = load_group("data", source, "data")[0].get("format")
        raise InputError(f"{source}: is a name of --data; a SkeletonDataset takes a store, or a format as {format!r}")
    return cached_store(source, root)
