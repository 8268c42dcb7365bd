"""The view frame of every clip of a store: found once, before any crop, and the same in training and in testing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.data.store import Store
from masksem_graph.data.transforms.view_frame import ViewName, ViewOf, reference_pose, to_view, view_frames
from masksem_graph.topology import Topology


@dataclass(frozen=True)
class ClipFrames:
    """The view frames of the clips of a store: ``rotation (x - origin)`` puts a joint at x into the frame of its clip."""

    topology: Topology
    origin: Float[Tensor, "clips 3"]
    rotation: Float[Tensor, "clips 3 3"]

    def apply(
        self, values: Float[Tensor, "B T V C"], clips: Int64[Tensor, " B"], derivative: bool = False
    ) -> Float[Tensor, "B T V C"]:
        """Bodies in the frames of their clips, which are positions in the store; what is differenced has no origin."""
        origin, rotation = (table[clips].to(values.device) for table in (self.origin, self.rotation))
        return to_view(values, torch.zeros_like(origin) if derivative else origin, rotation, self.topology)


def clip_frames(store: Store, view: ViewName, of: ViewOf) -> ClipFrames:
    """Find the view frame ``yaw`` or ``body`` of each clip in actor 1's ``first`` present frame, or in its ``mean`` pose."""
    centred, poses = store.origin == "centre", []
    for body in store.clip_offset[:-1]:
        part = slice(store.body_offset[body], store.body_offset[body + 1])
        frames = torch.from_numpy(store.frames[part][store.present[part]])
        poses.append(reference_pose(frames, store.topology, of, centred=centred))
    origin, rotation, _ = view_frames(torch.stack(poses), store.topology, view, centred=centred)
    return ClipFrames(store.topology, origin, rotation)
