"""Whole batches at once: clips cropped, resized and transformed on the device that holds the frames."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from masksem_graph.data.store import Store
from masksem_graph.data.transforms import SkeletonTransform, ViewName, ViewOf, to_view
from masksem_graph.data.transforms.view_frame import clip_frames
from masksem_graph.data.views import View
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.topology import Topology, joint_columns

Residency = Literal["disk", "memory", "device"]
AbsentFrames = Literal["hold", "zero"]
Stream = Literal["joint", "bone", "motion"]


@dataclass(frozen=True)
class BodyPlan:
    """Which bodies are present in a view: found on the host, without touching a frame.

    Args:
        view: the crops.
        body: position of each present body in the store.
        sequence: its sequence, ascending.
        slot: its place among the bodies of its clip, 0 for actor 1.
    """

    view: View
    body: Int64[Tensor, " B"]
    sequence: Int64[Tensor, " B"]
    slot: Int64[Tensor, " B"]

    def part(self, first: int, last: int) -> BodyPlan:
        """Sequences ``first`` to ``last`` (exclusive) alone, renumbered from 0."""
        inside = (self.sequence >= first) & (self.sequence < last)
        return BodyPlan(self.view[first:last], self.body[inside], self.sequence[inside] - first, self.slot[inside])


class SkeletonLoader:
    """Reads views of a store as batches; equal to torch_geometric's DataLoader over `SkeletonDataset`, and faster.

    Args:
        store: the clips.
        frames: T.
        segment: l; a body with fewer present frames in a crop counts as absent.
        device: where the clips are wanted.
        residency, absent_frames, stream, view, view_of: as of `masksem_graph.data.config.DataConfig`.
        derivatives: also give velocity and acceleration, differenced before the resize.
        topology: whose input joints are wanted, in that order; the store's own where omitted.
        transforms: what clips go through where their view has numbers for it.
    """

    def __init__(
        self,
        store: Store,
        *,
        frames: int,
        segment: int,
        device: torch.device | str = "cpu",
        residency: Residency = "memory",
        absent_frames: AbsentFrames = "hold",
        stream: Stream = "joint",
        derivatives: bool = False,
        topology: Topology | None = None,
        transforms: Sequence[SkeletonTransform] = (),
        view: ViewName = "recorded",
        view_of: ViewOf = "first",
    ) -> None:
        if stream == "motion" and derivatives:
            raise InputError(
                "data.stream: motion cannot go with targets differenced before the resize; expected joint or bone"
            )
        if derivatives and (bent := [type(each).__name__ for each in transforms if not each.linear]):
            raise InputError(
                f"augment: {bent[0]} is no linear map of a frame, so it cannot go with targets differenced before the resize"
            )
        self.store, self.frames, self.segment = store, frames, segment
        self.topology, self.transforms = topology or store.topology, tuple(transforms)
        self.device = torch.device(device)
        self.absent_frames, self.stream, self.derivatives = absent_frames, stream, derivatives
        home = self.device if residency == "device" else torch.device("cpu")
        data = store.frames if residency == "disk" else np.array(store.frames)
        self.data = _as_tensor(data).to(home)
        self.parents = torch.tensor(store.topology.parents, device=self.device)
        columns = joint_columns(self.topology, store.topology)
        self.columns = None if columns == list(range(data.shape[1])) else torch.tensor(columns, device=self.device)

        self.label, self.length, self.clip_offset, self.body_offset, self.body_start = (
            torch.from_numpy(np.array(table, dtype=np.int64))
            for table in (store.label, store.length, store.clip_offset, store.body_offset, store.body_start)
        )
        self.max_bodies = int(self.clip_offset.diff().max())
        present = np.array(store.present)
        self.present_before = torch.from_numpy(np.concatenate([[0], np.cumsum(present, dtype=np.int64)]))
        self.present = torch.from_numpy(present).to(home)
        self.earlier, self.later = (t.to(home) for t in _nearest_present(present))
        self.view_frames = None if view == "recorded" else clip_frames(store, view, view_of)[:2]

    def resized(self, frames: int) -> SkeletonLoader:
        """The same clips at another number of frames; nothing that is in memory is read again."""
        out = copy.copy(self)
        out.frames = frames
        return out

    def plan(self, view: View) -> BodyPlan:
        """Find the present bodies of a view: those with at least l present frames in the crop, or else the longest one."""
        count = self.clip_offset[view.clips + 1] - self.clip_offset[view.clips]
        sequence = torch.arange(len(count)).repeat_interleave(count)
        slot = torch.arange(len(sequence)) - (count.cumsum(0) - count)[sequence]
        body = self.clip_offset[view.clips][sequence] + slot
        first, frames = self.body_offset[body], self.body_offset[body + 1] - self.body_offset[body]
        low = view.start[sequence] - self.body_start[body]
        high = low + view.length[sequence]
        low, high = (torch.minimum(edge.clamp(min=0), frames) for edge in (low, high))
        seen = self.present_before[first + high] - self.present_before[first + low]
        longest = seen.new_full((len(count),), -1).scatter_reduce_(0, sequence, seen, "amax")
        first_longest = torch.full_like(count, self.max_bodies).scatter_reduce_(
            0, sequence, torch.where(seen == longest[sequence], slot, self.max_bodies), "amin"
        )
        stays = (seen >= self.segment) | (slot == first_longest[sequence])
        return BodyPlan(view=view, body=body[stays], sequence=sequence[stays], slot=slot[stays])

    def load(self, plan: BodyPlan) -> SkeletonBatch:
        """Crop, resize and transform the bodies of a plan."""
        body, view, clips = plan.body, plan.view, plan.view.clips[plan.sequence]
        first = self.body_offset[body]
        low, length = view.start[plan.sequence] - self.body_start[body], view.length[plan.sequence]
        columns = (first, self.body_offset[body + 1] - first, low, length)
        crop = _Crop(self._origin(clips), *(column.to(self.data.device)[:, None] for column in columns))
        index, weight = resize_positions(crop.length[:, 0], self.frames)
        weight = weight[..., None, None]
        before, after = self._frames_at(crop, index), self._frames_at(crop, index + 1)
        values = [torch.lerp(before, after, weight)]
        if self.derivatives:
            second, third = self._frames_at(crop, index + 2), self._frames_at(crop, index + 3)
            exists = [(index + k < crop.length)[..., None, None] for k in (1, 2, 3)]
            velocities = (after - before) * exists[0], (second - after) * exists[1]
            bends = (second - 2 * after + before) * exists[1], (third - 2 * second + after) * exists[2]
            values += [torch.lerp(*pair, weight) for pair in (velocities, bends)]
        values = [self._transformed(value.to(self.device, non_blocking=True), plan, i > 0) for i, value in enumerate(values)]
        return SkeletonBatch.from_frames(
            values[0],
            topology=self.topology,
            segment=self.segment,
            sequence=plan.sequence.to(self.device, non_blocking=True),
            y=self.label[view.clips].to(self.device, non_blocking=True),
            **dict(zip(("velocity", "acceleration"), values[1:], strict=False)),
        )

    def _frames_at(self, crop: _Crop, index: Int64[Tensor, "B T"]) -> Float[Tensor, "B T V C"]:
        """The bodies' frames at positions in their crops; a position past the end means the last."""
        local = crop.low + torch.minimum(index, crop.length - 1)
        inside = local.clamp(min=0).minimum(crop.frames - 1)
        if self.absent_frames == "zero":
            seen = self.present[crop.first + inside] & (local == inside)
            frames = self.data[crop.first + inside]
            return (frames if crop.origin is None else frames - crop.origin) * seen[..., None, None]
        earlier = inside - self.earlier[crop.first + inside]
        later = inside + self.later[crop.first + inside]
        in_crop = earlier >= crop.low, later < crop.low + crop.length
        nearer = (local - earlier).abs() <= (later - local).abs()
        take_earlier = torch.where(in_crop[0] == in_crop[1], nearer, in_crop[0])
        return self.data[crop.first + torch.where(take_earlier, earlier, later)]

    def _origin(self, clips: Int64[Tensor, " B"]) -> Float[Tensor, "B 1 1 C"] | None:
        """Where the view frame begins, if that is to be taken off before absent frames are set to zero, which stays zero."""
        if self.view_frames is None or self.absent_frames == "hold":
            return None
        origin = self.view_frames[0][clips]
        return F.pad(origin, (0, self.data.shape[2] - origin.shape[1])).to(self.data.device)[:, None, None]

    def _transformed(self, values: Float[Tensor, "B T V C"], plan: BodyPlan, derivative: bool) -> Float[Tensor, "B T J C"]:
        """View frame, transforms and stream; a derivative moves with no origin."""
        if self.view_frames is not None:
            origin, rotation = (table[plan.view.clips[plan.sequence]].to(self.device) for table in self.view_frames)
            moved = derivative or self.absent_frames == "zero"  # see `_origin`
            values = to_view(values, torch.zeros_like(origin) if moved else origin, rotation, self.store.topology)
        for transform, uniform in zip(self.transforms, plan.view.uniform, strict=False):
            values = transform.of_clips(values, uniform, plan.sequence.to(self.device), self.store.topology)
        values = to_stream(values, self.stream, self.parents)
        return values if self.columns is None else values[:, :, self.columns]


class _Crop(NamedTuple):
    """`SkeletonLoader._origin`; columns: a body's place in the store, its frames, the crop in its own frame count."""

    origin: Float[Tensor, "B 1 1 C"] | None
    first: Int64[Tensor, "B 1"]
    frames: Int64[Tensor, "B 1"]
    low: Int64[Tensor, "B 1"]
    length: Int64[Tensor, "B 1"]


def resize_positions(length: Int64[Tensor, " B"], frames: int) -> tuple[Int64[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Half-pixel linear resize of ``length`` frames, as torch's ``interpolate(mode="linear", align_corners=False)``.

    Returns:
        for each output frame the input frame before it, and the weight of the next one.
    """
    scale = length[:, None].float() / frames
    position = (scale * (torch.arange(frames, device=length.device) + 0.5) - 0.5).clamp(min=0)
    index = position.floor()
    return index.long(), position - index


def to_stream(values: Float[Tensor, "B T V C"], stream: Stream, parents: Int64[Tensor, " joints"]) -> Float[Tensor, "B T V C"]:
    """Joints as they are, each less its parent, or the next frame less this one; the last frame has no motion."""
    if stream == "bone":
        return values - values[:, :, parents]
    if stream == "motion":
        return torch.cat([values[:, 1:] - values[:, :-1], torch.zeros_like(values[:, :1])], 1)
    return values


def _nearest_present(present: Bool[np.ndarray, " F"]) -> tuple[Int64[Tensor, " F"], Int64[Tensor, " F"]]:
    """Frames back to the last present one, and on to the next; a body's first and last frames are present."""
    position = np.arange(len(present))
    last = np.maximum.accumulate(np.where(present, position, 0))
    following = np.minimum.accumulate(np.where(present, position, len(present))[::-1])[::-1]
    return torch.from_numpy(position - last), torch.from_numpy(following - position)


def _as_tensor(array: Float[np.ndarray, "F V C"]) -> Float[Tensor, "F V C"]:
    # A read-only memory map cannot become a tensor without a warning; nothing here writes to it.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
