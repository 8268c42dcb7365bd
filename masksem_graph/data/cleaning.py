"""What happens to the bodies of a recording between the raw file and the store: pure functions on arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Int64

from masksem_graph.data.clip import Body, Clip
from masksem_graph.errors import InputError

SHORT = 11  # a body that is seen in this many frames or fewer is noise
SPREAD = 0.8  # a frame of a body is noisy where its width exceeds this share of its height
NOISY_SHARE = 0.69754  # a body with at least this share of noisy frames is noise

Cleaning = Literal["community", "recorded"]


@dataclass(frozen=True)
class Track:
    """One body id of a recording: its coordinates, and in which frames of the recording it was seen, rising."""

    joints: Float32[np.ndarray, "F V 3"]
    seen: Int64[np.ndarray, " F"]


def clean_tracks(tracks: Sequence[Track], *, length: int, cleaning: Cleaning) -> tuple[Body, ...]:
    """One or two bodies out of what a Kinect saw, as the field's own scripts choose them.

    Args:
        tracks: one per body id, in order of appearance, at least one.
        length: frames of the recording, those without any body left out.
        cleaning: ``community`` closes the gaps of a body that leaves and returns, as the community's arrays do;
            ``recorded`` leaves its frames where they were.

    Returns:
        actor 1 and, where there is one, actor 2; frames in which neither is left are dropped.

    Source: the NTU RGB+D scripts of CTR-GCN (Chen et al., ICCV 2021), after VA-RNN (Zhang et al., ICCV 2017).
    """
    if cleaning == "community":
        tracks = [Track(track.joints, track.seen[0] + np.arange(len(track.seen))) for track in tracks]
    slots = [tracks] if len(tracks) == 1 else _slots(_without_noise(tracks))
    present = np.zeros((len(slots), length), bool)
    joints = np.zeros((len(slots), length, *tracks[0].joints.shape[1:]), np.float32)
    for slot, members in enumerate(slots):
        for track in members:
            joints[slot, track.seen] = track.joints
            present[slot, track.seen] = True
    present &= joints.any(axis=(2, 3))
    kept = present.any(axis=0)
    return tuple(body for slot in range(len(slots)) if (body := trimmed(joints[slot, kept], present[slot, kept])))


def _without_noise(tracks: Sequence[Track]) -> list[Track]:
    """The bodies that are no noise, by falling motion."""
    long = [track for track in tracks if len(track.seen) > SHORT]
    if not long:
        raise InputError(f"every body is seen in {SHORT} frames or fewer, expected one that is seen longer")
    if len(long) == 1:
        return long
    kept: list[tuple[np.floating, Track]] = []
    for i, track in enumerate(long):
        noisy = noisy_frames(track.joints)
        alone = not kept and i == len(long) - 1
        if alone or not noisy.any():
            kept.append((motion(track.joints), track))
        elif noisy.mean() < NOISY_SHARE:
            kept.append((min(motion(track.joints), motion(track.joints[~noisy])), track))
    # Python's sort is stable: of equal motions the one that appeared first comes first.
    return [track for _, track in sorted(kept, key=lambda pair: pair[0], reverse=True)]


def noisy_frames(joints: Float32[np.ndarray, "F V 3"]) -> Bool[np.ndarray, " F"]:
    """Where a body is too wide for its height to be a person."""
    width, height = np.ptp(joints[..., 0], axis=1), np.ptp(joints[..., 1], axis=1)
    return width > SPREAD * height


def motion(joints: Float32[np.ndarray, "F V 3"]) -> np.floating:
    """How much a body moves: the variance over all its joints and frames, summed over x, y, z (square metres)."""
    return np.sum(np.var(joints.reshape(-1, 3), axis=0))


def _slots(ranked: Sequence[Track]) -> list[list[Track]]:
    """Each body's slot: the first actor 1, the others where they share at most one frame with what is there."""
    slots: list[list[Track]] = [[ranked[0]], []]
    hulls = [(ranked[0].seen[0], ranked[0].seen[-1]), (0, 0)]
    for track in ranked[1:]:
        first, last = track.seen[0], track.seen[-1]
        for slot, (start, end) in enumerate(hulls):
            if min(end, last) <= max(start, first):
                slots[slot].append(track)
                hulls[slot] = (min(start, first), max(end, last))
                break
    return slots


def trimmed(frames: Float32[np.ndarray, "F V C"], present: Bool[np.ndarray, " F"], *, start: int = 0) -> Body | None:
    """A body from its first to its last present frame, zero where it is missing; None where it is never present."""
    at = np.flatnonzero(present)
    if not len(at):
        return None
    part = slice(at[0], at[-1] + 1)
    return Body(start=start + int(at[0]), frames=np.where(present[part, None, None], frames[part], 0), present=present[part])


def present_only(clip: Clip) -> Clip:
    """The clip with no body, and no frame of a body, whose joints are all zero: zero is what padded data has for absent."""
    bodies = (trimmed(b.frames, b.present & b.frames.any(axis=(1, 2)), start=b.start) for b in clip.bodies)
    return replace(clip, bodies=tuple(body for body in bodies if body))


def centred(clip: Clip, *, joint: int, dimensions: int = 3) -> Clip:
    """The clip with the joint of actor 1's first present frame as its origin; frames where a body is missing stay zero.

    The first ``dimensions`` channels are coordinates; further ones, such as a score, stay as they are.
    """
    origin = clip.bodies[0].frames[0, joint].copy()
    origin[dimensions:] = 0
    bodies = (replace(b, frames=np.where(b.present[:, None, None], b.frames - origin, 0)) for b in clip.bodies)
    return replace(clip, bodies=tuple(bodies))
