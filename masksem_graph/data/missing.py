"""Joints that a tracker did not find: which they are, and what stands in their place."""

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
    """Points of an image with their score as third channel, 1 where it is not known; an `InputError` where one is negative.

    A joint was not found where its point is NaN or (0, 0), or its score is 0: it becomes NaN with a score of 0. A frame
    without any found joint is zero.
    """
    known = np.ones(points.shape[:-1], np.float32) if score is None else np.nan_to_num(score, nan=0)
    if (known < 0).any():
        raise InputError(f"found a score of {known.min():g}, expected x, y and a score from 0")
    lost = np.isnan(points).any(-1) | (points == 0).all(-1) | (known == 0)
    scored = np.concatenate([points, known[..., None]], axis=-1, dtype=np.float32)
    scored[lost] = (np.nan, np.nan, 0)
    scored[lost.all(-1)] = 0
    return scored


def coordinates(
    place: str,
    points: Float32[np.ndarray, "M T V C"],
    topology: str,
    dimensions: int,
    *,
    score: Float32[np.ndarray, "M T V"] | None = None,
    found: str = "found ",
) -> Float32[np.ndarray, "M T V 3"]:
    """The bodies of an array as clips have them: x, y, z, or in an image (of two ``dimensions``) x, y and the score.

    Args:
        place: for messages, as are the ``topology``'s name and ``found``, how what was found begins.
        points: x, y, z, or in an image x, y or x, y, score.
        score: of points in an image, where it stands apart.
    """
    channels, apart = points.shape[-1], "" if score is None else " and keypoint_score"
    if dimensions == 3:
        if channels != 3 or apart:
            expected = f"x, y, z{' alone' if apart else ''}"
            raise InputError(f"{place}: {found}{channels} coordinates{apart}, but {topology} is in 3D, expected {expected}")
        return points
    if channels not in (2, 3) or (channels == 3 and apart):
        expected = "x, y or x, y, score"
        raise InputError(f"{place}: {found}{channels} channels{apart}, but {topology} is in an image, expected {expected}")
    try:
        return with_score(points[..., :2], points[..., 2] if channels == 3 else score)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def mark_missing(clip: Clip, topology: Topology, *, origin: str, zeros: bool = True) -> Clip:
    """The clip with NaN where a joint was not found: where the file has NaN, or in 3D three zeros.

    A frame in which no joint was found is one without this body.

    Args:
        clip, topology: as a reader gives them.
        origin: with ``none`` three zeros can be a place of the centre joint; else they are refused there.
        zeros: whether three zeros mean that.
    """
    bodies = []
    for body in clip.bodies:
        frames = body.frames.copy()
        lost = np.isnan(frames).any(-1)
        if zeros and topology.dimensions == 3:
            zero, centre = (frames == 0).all(-1), topology.index[topology.centre]
            doubtful = zero[:, centre] & ~(zero | lost).all(1)
            if doubtful.any() and origin != "none":
                raise InputError(
                    f"{topology.centre} is zero in {int(doubtful.sum())} frames: it was not found, expected NaN there then, "
                    "or the clip is centred already, expected --origin none then"
                )
            zero[doubtful, centre] = False
            lost |= zero
        frames[..., : topology.dimensions][lost] = np.nan
        frames[lost.all(1)] = 0
        bodies.append(replace(body, frames=frames))
    return present_only(replace(clip, bodies=tuple(bodies)))


def fill_missing(clip: Clip, topology: Topology, *, how: Missing, longest: int) -> tuple[Clip, int]:
    """The clip with a place for each joint that is NaN.

    Before its first and after its last place a joint stays there. A joint that is never found, where ``longest`` allows
    that, goes with the nearest one on the skeleton that is.

    Returns:
        the clip, and how many joints were filled.

    Raises:
        InputError: a joint is missing for more than ``longest`` frames on end, or at all with ``skip``.
    """
    done, count = [], 0
    for body in clip.bodies:
        lost = np.isnan(body.frames).any(-1) & body.present[:, None]
        if lost.any():
            _check_gaps(lost, body, topology, 0 if how == "skip" else longest)
            body = replace(body, frames=_filled(body, lost, topology, how))
        done.append(body)
        count += int(lost.sum())
    return replace(clip, bodies=tuple(done)), count


def _check_gaps(lost: Bool[np.ndarray, "F V"], body: Body, topology: Topology, longest: int) -> None:
    run = np.zeros(lost.shape[1], np.int64)
    for frame in np.flatnonzero(body.present):
        run = np.where(lost[frame], run + 1, 0)
        if run.max() > longest:
            joint, start = topology.joints[int(run.argmax())], body.start + frame - longest
            allowed = f"at most {longest} on end, see --missing_frames" if longest else "none, see --missing"
            raise InputError(
                f"{joint} was not found in {longest + 1} or more frames from frame {start} on, expected {allowed}"
            )


def _filled(body: Body, lost: Bool[np.ndarray, "F V"], topology: Topology, how: Missing) -> Float32[np.ndarray, "F V C"]:
    frames = body.frames.copy()
    places = frames[..., : topology.dimensions]
    found = [joint for joint in range(lost.shape[1]) if not lost[body.present, joint].all()]
    for joint in found:
        here, known = np.flatnonzero(lost[:, joint]), np.flatnonzero(body.present & ~lost[:, joint])
        if how == "hold":
            before = np.maximum(np.searchsorted(known, here) - 1, 0)
            places[here, joint] = places[known[before], joint]
            continue
        for axis in range(topology.dimensions):
            places[here, joint, axis] = np.interp(here, known, places[known, joint, axis])
    for joint in set(range(lost.shape[1])) - set(found):
        distances = nx.single_source_shortest_path_length(topology.graph, topology.joints[joint])
        nearest = min(found, key=lambda other: distances[topology.joints[other]])
        places[body.present, joint] = places[body.present, nearest]
    return frames
