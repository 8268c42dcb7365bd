"""The view frame: a clip turned so that it no longer matters where the camera stood."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from masksem_graph.data.store import Store
from masksem_graph.data.transforms.base import Draws, Frames, SkeletonTransform, coordinates_of, with_coordinates
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology

ViewName = Literal["recorded", "yaw", "body"]
ViewOf = Literal["first", "mean"]

RECORDED, YAW, BODY = range(3)
"""Kinds of view frames that were found."""
DEGENERATE = 1e-3
"""A direction that is shorter than this share of the hip line is noise."""


@dataclass(frozen=True, kw_only=True)
class ViewFrame(SkeletonTransform):
    """Move and turn each clip into its own view frame, see `view_frames`. Takes no numbers.

    All bodies of a clip get the frame of its first body. What was found for each clip, `RECORDED`, `YAW` or `BODY`, stands in
    the result's ``view_kind`` [S].

    A run's ``data.view`` does the same to whole clips, before they are cropped. This transform sees a clip as it is.

    Args:
        view: ``recorded``, ``yaw`` or ``body``.
        of: the pose that the frame is found from, see `reference_pose`.
        centred: whether the clips were centred, see `view_frames`.
    """

    view: ViewName = "body"
    of: ViewOf = "first"
    centred: bool = True

    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        """Put each body into its own view frame, as if it were the only one of its clip."""
        return self.of_clips(frames, uniform, torch.arange(len(frames), device=frames.device), topology)

    def of_clips(
        self, frames: Frames, uniform: Float[Tensor, "S numbers"], sequence: Int64[Tensor, " B"], topology: Topology
    ) -> Frames:
        origin, rotation, _ = self._found(frames, topology)
        first = torch.searchsorted(sequence, sequence)
        return to_view(frames, origin[first], rotation[first], topology)

    def forward(self, data: SkeletonData, uniform: Float[Tensor, "S numbers"] | None = None) -> SkeletonData:
        out = super().forward(data, uniform)
        clips = torch.arange(data.num_sequences, device=data.sequence.device)
        out.view_kind = self._found(data.frames, data.topology)[2][torch.searchsorted(data.sequence, clips)]
        return out

    def _found(
        self, frames: Frames, topology: Topology
    ) -> tuple[Float[Tensor, "B 3"], Float[Tensor, "B 3 3"], Int64[Tensor, " B"]]:
        coordinates_of(frames, topology)
        if self.view == "recorded":
            return view_frames(frames[:, 0], topology, "recorded")
        pose = reference_pose(frames, topology, self.of, centred=self.centred)
        return view_frames(pose, topology, self.view, centred=self.centred)


def to_view(frames: Frames, origin: Float[Tensor, "B 3"], rotation: Float[Tensor, "B 3 3"], topology: Topology) -> Frames:
    """``rotation (x - origin)`` of each joint; of a skeleton in an image, its part for x and y."""
    coordinates, d = coordinates_of(frames, topology), topology.dimensions
    moved = coordinates - origin[:, None, None, :d]
    return with_coordinates(frames, (moved.flatten(1, 2) @ rotation[:, :d, :d].mT).view(moved.shape))


def reference_pose(
    frames: Float[Tensor, "*clips T V C"], topology: Topology, of: ViewOf, *, centred: bool = True
) -> Float[Tensor, "*clips V C"]:
    """The pose that a clip's view frame is found from.

    Args:
        frames: of one body each; only frames in which it was seen.
        topology: names the joints of the body's frame.
        of: ``first`` takes the first frame in which these joints are all there, or frame 0 where there is no such frame.
            ``mean`` takes each joint's mean over the frames in which it is there, NaN for a joint that never is.
        centred: see `view_frames`.

    Raises:
        InputError: the topology does not name the joints, or is one of an image.
    """
    needed = torch.cat(frame_columns(topology, frames.device))
    there = _there(frames, topology, centred)
    if of == "mean":
        return torch.where(there[..., None], frames, 0.0).sum(-3) / there.sum(-2)[..., None]
    first = there[..., needed].all(-1).to(torch.int64).argmax(-1)
    at = first[..., None, None, None].expand(*first.shape, 1, *frames.shape[-2:])
    return frames.gather(-3, at).squeeze(-3)  # take_along_dim is the same, but cannot be exported for any number of clips


def view_frames(
    pose: Float[Tensor, "*clips V C"], topology: Topology, view: ViewName, *, centred: bool = True
) -> tuple[Float[Tensor, "*clips 3"], Float[Tensor, "*clips 3 3"], Int64[Tensor, "*clips"]]:
    """The view frame of each pose. ``rotation (x - origin)`` puts a joint at x into it.

    ``body``: y points from the hip centre to the spine. x is the hip line less its part along y, and points to the person's
    right. z points to the back. With ``e1 = unit(spine - hip centre)``, ``e2 = unit(hip line less its part along e1)`` and
    ``e3 = e1 x e2``, the rows of the rotation are e2, e1 and -e3; with e3 it would be a reflection.

    ``yaw``: turned about the y axis alone, until the hip line has no part along z and the person's right is at positive x.

    ``recorded``: as the clip is, origin 0.

    The origin of ``body`` and ``yaw`` is the hip centre. No missing joint is used. Where ``body`` cannot be found, because its
    joints are missing or the hips lie on the spine's line, ``yaw`` is found. Where that cannot be found, it is ``recorded``.

    Args:
        pose: one a clip. A joint counts as missing where a coordinate is NaN or all three are zero.
        topology: names the joints in its field ``frame``.
        view: what is wanted.
        centred: the topology's centre joint was made the origin, so that zero does not say it is missing.

    Returns:
        origin, rotation, and kind: what was found, `RECORDED`, `YAW` or `BODY`.

    Raises:
        InputError: the topology does not name the joints, or is one of an image.

    Source: Su et al., Predict & Cluster (CVPR 2020), for the three directions.
    """
    clips, identity = pose.shape[:-2], torch.eye(3, dtype=pose.dtype, device=pose.device)
    kind = torch.full(clips, RECORDED, device=pose.device)
    if view == "recorded":
        return pose.new_zeros(*clips, 3), identity.expand(*clips, 3, 3), kind

    columns, there = frame_columns(topology, pose.device), _there(pose, topology, centred)
    places = torch.where(there[..., None], pose[..., :3], 0.0)
    centre, spine = (places[..., at, :].mean(-2) for at in columns[:2])
    has_centre, has_spine, has_hips = (there[..., at].all(-1) for at in columns)
    right, left = places[..., columns[2], :].unbind(-2)
    hips, vertical = right - left, identity[1].expand(*clips, 3)
    shortest = DEGENERATE * hips.norm(dim=-1)

    level, level_length = _direction(hips, vertical)
    found = has_centre & has_hips & (level_length > shortest)
    kind = kind.masked_fill(found, YAW)
    rotation = torch.where(found[..., None, None], _rows(level, vertical), identity)
    if view == "body":
        up, up_length = _direction(spine - centre)
        side, side_length = _direction(hips, up)
        found = has_centre & has_spine & has_hips & (up_length > shortest) & (side_length > shortest)
        kind = kind.masked_fill(found, BODY)
        rotation = torch.where(found[..., None, None], _rows(side, up), rotation)
    return torch.where(kind[..., None] != RECORDED, centre, 0.0), rotation, kind


def clip_frames(
    store: Store, view: ViewName, of: ViewOf
) -> tuple[Float[Tensor, "clips 3"], Float[Tensor, "clips 3 3"], Int64[Tensor, " clips"]]:
    """The view frame of each clip of a store, found in actor 1's ``first`` present frame or in its ``mean`` pose."""
    centred, poses = store.origin == "centre", []
    for body in store.clip_offset[:-1]:
        part = slice(store.body_offset[body], store.body_offset[body + 1])
        frames = torch.from_numpy(store.frames[part][store.present[part]])
        poses.append(reference_pose(frames, store.topology, of, centred=centred))
    return view_frames(torch.stack(poses), store.topology, view, centred=centred)


def _direction(
    vector: Float[Tensor, "*clips 3"], off: Float[Tensor, "*clips 3"] | None = None
) -> tuple[Float[Tensor, "*clips 3"], Float[Tensor, "*clips"]]:
    """The unit vector of a vector, less its part along the unit vector ``off``, and the length it had."""
    if off is not None:
        vector = vector - (vector * off).sum(-1, keepdim=True) * off
    length = vector.norm(dim=-1)
    return vector / length.clamp(min=torch.finfo(length.dtype).tiny)[..., None], length


def _rows(x: Float[Tensor, "*clips 3"], y: Float[Tensor, "*clips 3"]) -> Float[Tensor, "*clips 3 3"]:
    return torch.stack([x, y, torch.linalg.cross(x, y)], -2)


def _there(frames: Float[Tensor, "*frames V C"], topology: Topology, centred: bool) -> Bool[Tensor, "*frames V"]:
    places = frames[..., :3]
    there = places.isfinite().all(-1)
    nonzero = (places != 0).any(-1)
    if centred:
        nonzero[..., topology.inputs.index(topology.centre)] = True
    return there & nonzero


@lru_cache(maxsize=64)
def frame_columns(topology: Topology, device: torch.device) -> tuple[Int64[Tensor, " _"], ...]:
    """Where the centre, spine and hips of the body's frame stand among all input joints; `InputError` if nothing says so."""
    if topology.dimensions != 3:
        raise InputError(f"view: {topology.name} has 2 coordinates in {topology.units}, expected 3; only `recorded` goes")
    if not topology.frame:
        raise InputError(
            f"view: {topology.name} names no joints for the body's frame; expected `frame: {{centre: [...], spine: [...], "
            "hips: [right, left]}` in its file"
        )
    names = (topology.frame[name] for name in ("centre", "spine", "hips"))
    return tuple(torch.tensor([topology.inputs.index(joint) for joint in part], device=device) for part in names)
