"""Joints that a tracker did not find: which they are, and what stands in their place."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import networkx as nx
import numpy as np
from jaxtyping import Bool, Float32

from masksem_graph.data.cleaning import present_only
from masksem_graph.data.clip import Body, Clip
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology

Missing = Literal["skip", "hold", "interpolate"]
"""``skip`` leaves a clip out in which a joint is missing; ``hold`` repeats the last place where the joint was found;
``interpolate`` goes in a straight line from there to the next."""


def with_score(
    points: Float32[np.ndarray, "*F V 2"], score: Float32[np.ndarray, "*F V"] | None = None
) -> Float32[np.ndarray, "*F V 3"]:
    """Points of an image with their score as third channel, 1 where it is not known.

    A joint was not found where its point is NaN or (0, 0), or its score is 0: it becomes NaN with a score of 0. A frame
    without any found joint is zero.

    Raises:
        InputError: a score is negative.
    """
    known = np.ones(points.shape[:-1], np.float32) if score is None else np.nan_to_num(score, nan=0)
    if (known < 0).any():
        raise InputError(f"found a score of {known.min():g}, expected x, y and a score from 0")
    lost = np.isnan(points).any(-1) | (points == 0).all(-1) | (known == 0)
    scored = np.concatenate([points, known[..., None]], axis=-1, dtype=np.float32)
    scored[lost] = (np.nan, np.nan, 0)
    scored[lost.all(-1)] = 0
    return scored


def mark_missing(clip: Clip, topology: Topology, *, origin: str, zeros: bool = True) -> Clip:
    """The clip with NaN where a joint was not found: where the file has NaN, or in 3D three zeros.

    A frame in which no joint was found is one without this body.

    Args:
        clip: as a reader gives it; points of an image as `with_score` gives them.
        topology: its skeleton.
        origin: with ``centre`` three zeros cannot be a place of the centre joint; with ``none`` they can.
        zeros: whether three zeros mean that.

    Raises:
        InputError: with ``centre``, the centre joint is zero in some frames. It was not found, or the clip is centred already.
    """
    if not zeros and not any(np.isnan(body.frames).any() for body in clip.bodies):
        return clip
    bodies = []
    for body in clip.bodies:
        frames = body.frames.copy()
        lost = np.isnan(frames).any(-1)
        if zeros and topology.dimensions == 3:
            lost |= _zero_joints(frames, lost, topology, origin)
        frames[..., : topology.dimensions][lost] = np.nan
        frames[lost.all(1)] = 0
        bodies.append(replace(body, frames=frames))
    return present_only(replace(clip, bodies=tuple(bodies)))


def _zero_joints(
    frames: Float32[np.ndarray, "F V 3"], lost: Bool[np.ndarray, "F V"], topology: Topology, origin: str
) -> Bool[np.ndarray, "F V"]:
    zero, centre = (frames == 0).all(-1), topology.index[topology.centre]
    doubtful = zero[:, centre] & ~(zero | lost).all(1)
    if origin == "none":
        zero[doubtful, centre] = False
    elif doubtful.any():
        raise InputError(
            f"{topology.centre} is zero in {int(doubtful.sum())} frames: it was not found, expected NaN there then, "
            "or the clip is centred already, expected --origin none then"
        )
    return zero


def fill_missing(clip: Clip, topology: Topology, *, how: Missing, longest: int) -> tuple[Clip, int]:
    """The clip with a place for each joint that is NaN.

    Before its first and after its last place a joint stays there. A joint that is never found, where ``longest`` allows
    that, goes with the nearest one on the skeleton that is.

    Args:
        clip: as `mark_missing` gives it.
        topology: its skeleton.
        how: see `Missing`.
        longest: frames on end that a joint may be missing for.

    Returns:
        the clip, and how many joints were filled.

    Raises:
        InputError: a joint is missing for longer, or at all with ``skip``.
    """
    done, count = [], 0
    for body in clip.bodies:
        lost = np.isnan(body.frames).any(-1) & body.present[:, None]
        if lost.any():
            _check_gaps(lost, body, topology, 0 if how == "skip" else longest)
            body = replace(body, frames=_filled(body.frames, lost, body.present, topology, how))
        done.append(body)
        count += int(lost.sum())
    return (replace(clip, bodies=tuple(done)), count) if count else (clip, 0)


def _check_gaps(lost: Bool[np.ndarray, "F V"], body: Body, topology: Topology, longest: int) -> None:
    run = np.zeros(lost.shape[1], np.int64)
    for frame, here in enumerate(lost):
        run = np.where(here, run + 1, np.where(body.present[frame], 0, run))
        if run.max() > longest:
            joint, start = topology.joints[int(run.argmax())], body.start + frame - longest
            allowed = f"at most {longest} on end, see --missing_frames" if longest else "none, see --missing"
            raise InputError(
                f"{joint} was not found in {longest + 1} or more frames from frame {start} on, expected {allowed}"
            )


def _filled(
    frames: Float32[np.ndarray, "F V C"],
    lost: Bool[np.ndarray, "F V"],
    present: Bool[np.ndarray, " F"],
    topology: Topology,
    how: Missing,
) -> Float32[np.ndarray, "F V C"]:
    frames, at = frames.copy(), np.arange(len(frames))
    places = frames[..., : topology.dimensions]
    found = [joint for joint in range(lost.shape[1]) if not lost[present, joint].all()]
    for joint in found:
        here = np.flatnonzero(lost[:, joint])
        known = np.flatnonzero(present & ~lost[:, joint])
        if how == "hold":
            places[here, joint] = places[known[np.maximum(np.searchsorted(known, here) - 1, 0)], joint]
            continue
        for axis in range(topology.dimensions):
            places[here, joint, axis] = np.interp(at[here], known, places[known, joint, axis])
    for joint in set(range(lost.shape[1])) - set(found):
        distances = nx.single_source_shortest_path_length(topology.graph, topology.joints[joint])
        nearest = min(found, key=lambda other: distances[topology.joints[other]])
        places[present, joint] = places[present, nearest]
    return frames
