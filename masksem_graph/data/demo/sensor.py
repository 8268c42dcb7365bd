"""Three depth cameras, what they get wrong, and the NTU RGB+D ``.skeleton`` text that the Kinect's recorder wrote."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from masksem_graph.data.demo.body import INDEX, JOINTS, sideless, turn

AZIMUTHS_DEG = (-45.0, 0.0, 45.0)
HEIGHTS_M = (0.90, 1.05, 1.25)
DISTANCE_M, DISTANCE_SPREAD_M = 3.5, 0.15
TILT_DEG, TILT_SPREAD_DEG = 4.0, 2.0
"""Sensors look down by this."""

JITTER_M = 0.002
JITTER = {"wrist": 1.8, "hand": 2.4, "thumb": 4.0, "hand_tip": 3.5, "elbow": 1.4, "knee": 1.4, "ankle": 2.0, "foot": 3.0}
"""Jitter of a joint, where it is not that of the trunk; in units of ``JITTER_M``, at 3 m."""
JITTER_MEMORY = 0.6
"""Correlation of the jitter from frame to frame."""

LIMBS = (("elbow", "wrist", "hand", "thumb", "hand_tip"), ("knee", "ankle", "foot"))
BEHIND_M = 0.10
"""A limb whose first joint lies this much farther than the trunk may be lost behind it."""
OCCLUSION_SHARE, OCCLUSION_FRAMES = 0.4, (6, 20)
OCCLUSION_JITTER_M, OCCLUSION_PULL = 0.035, 0.25
"""A hidden limb is guessed: it wanders, and lies nearer to the trunk than it is, by this share of its distance."""
NOBODY_SHARE, NOBODY_FRAMES = 0.25, (1, 3)
"""Share of recordings with a gap in which nobody is tracked, and how long it is."""
LOST_SHARE, LOST_FRAMES = 0.35, (2, 6)
"""Share of two-person recordings in which one of the two is lost for a while, and for how long."""

FOCAL_PX, CENTRE_PX = 365.0, (256.0, 208.0)
"""The Kinect v2's depth camera, seen as a pinhole, in pixels."""
JOINT_LINE = "%.5f %.5f %.5f %.0f %.0f 0 0 0 0 0 0 %d\r\n"
"""Camera space in metres, depth pixel; no colour pixel and no orientation; tracking state: 2 tracked, 1 inferred."""
BODY_LINE = "{} 0 1 1 1 1 0 {:.4f} {:.4f} 2\r\n25\r\n"
"""Id, clipped edges, confidence and state of the left and right hand, restricted, lean to x and y, tracking state."""

People = Float[np.ndarray, "M T V 3"]


class Recording(NamedTuple):
    """What one camera saw.

    Args:
        joints: camera coordinates, metres: x to the right of a person who looks at the sensor, y up, z away from it.
        seen: whether the sensor has this body in this frame.
        inferred: whether a joint is guessed, not tracked.
    """

    joints: People
    seen: Bool[np.ndarray, "M T"]
    inferred: Bool[np.ndarray, "M T V"]


def record(people: People, camera: int, rng: np.random.Generator) -> Recording:
    """One camera's recording of what `performance.perform` returns; cameras count from 0, as in ``AZIMUTHS_DEG``."""
    distance = DISTANCE_M + rng.uniform(-DISTANCE_SPREAD_M, DISTANCE_SPREAD_M)
    tilt = TILT_DEG + rng.uniform(-TILT_SPREAD_DEG, TILT_SPREAD_DEG)
    joints = look(people, azimuth_deg=AZIMUTHS_DEG[camera], height=HEIGHTS_M[camera], distance=distance, tilt_deg=tilt)
    inferred = _draw_occlusion(joints, rng)
    return Recording(_disturbed(joints, inferred, rng), _draw_seen(people.shape[:2], rng), inferred)


def look(
    people: Float[np.ndarray, "*M V 3"], *, azimuth_deg: float, height: float, distance: float, tilt_deg: float
) -> Float[np.ndarray, "*M V 3"]:
    """Floor coordinates to those of a camera that looks at the floor's origin from an azimuth, metres."""
    turned = people @ turn("y", np.radians(azimuth_deg)).T
    return (turned + np.array([0.0, -height, distance])) @ turn("x", np.radians(tilt_deg)).T


def _disturbed(joints: People, inferred: Bool[np.ndarray, "M T V"], rng: np.random.Generator) -> People:
    """With jitter, which grows with the distance and has memory; hidden limbs wander and shrink to the trunk."""
    size = JITTER_M * np.array([JITTER.get(sideless(joint), 1.0) for joint in JOINTS])
    scale = size[:, None] * joints[..., 2:] / 3.0 + OCCLUSION_JITTER_M * inferred[..., None]
    trunk = joints[:, :, [INDEX["spine_middle"]]]
    guessed = trunk + (joints - trunk) * (1 - OCCLUSION_PULL * inferred[..., None])
    noise = rng.normal(size=joints.shape)
    noise[:, 1:] *= np.sqrt(1 - JITTER_MEMORY**2)  # stationary from the first frame on
    for t in range(1, joints.shape[1]):
        noise[:, t] += JITTER_MEMORY * noise[:, t - 1]
    return guessed + scale * noise


def _draw_occlusion(joints: People, rng: np.random.Generator) -> Bool[np.ndarray, "M T V"]:
    """Spells in which a limb on the far side of the body is hidden."""
    hidden = np.zeros(joints.shape[:3], dtype=bool)
    limbs = [[INDEX[f"{side}_{joint}"] for joint in limb] for side in ("left", "right") for limb in LIMBS]
    for body, depth in enumerate(joints[..., 2]):
        for limb in limbs:
            happens, spell = rng.random() < OCCLUSION_SHARE, _spell(joints.shape[1], OCCLUSION_FRAMES, rng)
            if happens:
                behind = depth[:, limb[0]] > depth[:, INDEX["spine_middle"]] + BEHIND_M
                hidden[body][:, limb] = (spell & behind)[:, None]
    return hidden


def _draw_seen(shape: tuple[int, ...], rng: np.random.Generator) -> Bool[np.ndarray, "M T"]:
    """Which bodies are tracked in which frames."""
    bodies, frames = shape
    seen = np.ones(shape, dtype=bool)
    if rng.random() < NOBODY_SHARE:
        seen &= ~_spell(frames, NOBODY_FRAMES, rng)
    if bodies > 1 and rng.random() < LOST_SHARE:
        seen[rng.integers(bodies)] &= ~_spell(frames, LOST_FRAMES, rng)
    return seen


def _spell(frames: int, lengths: tuple[int, int], rng: np.random.Generator) -> Bool[np.ndarray, " T"]:
    """A random run of frames, not at the clip's very start."""
    length = int(rng.integers(lengths[0], lengths[1] + 1))
    start = int(rng.integers(1, frames - length))
    return (np.arange(frames) >= start) & (np.arange(frames) < start + length)


def skeleton_text(recording: Recording, ids: list[int]) -> str:
    """The text of a file; ``ids`` are the sensor's 64-bit numbers of the bodies."""
    joints = recording.joints
    pixels = np.asarray(CENTRE_PX) + FOCAL_PX * joints[..., :2] * (1.0, -1.0) / joints[..., 2:]
    rows = np.concatenate([joints, pixels, np.where(recording.inferred, 1.0, 2.0)[..., None]], axis=-1)
    # The trunk's lean to the right and towards the sensor, as tangents.
    trunk = joints[:, :, INDEX["spine_shoulder"]] - joints[:, :, INDEX["spine_base"]]
    lean = np.clip(trunk[..., [0, 2]] * (1.0, -1.0) / np.maximum(np.abs(trunk[..., [1]]), 0.1), -1.0, 1.0)
    parts = [f"{joints.shape[1]}\r\n"]
    for t, seen in enumerate(recording.seen.T):
        parts.append(f"{seen.sum()}\r\n")
        for body in np.flatnonzero(seen):
            parts.append(BODY_LINE.format(ids[body], *lean[body, t]))
            parts.append(JOINT_LINE * len(JOINTS) % tuple(rows[body, t].ravel().tolist()))
    return "".join(parts)
