"""Three depth cameras, and what they get wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from masksem_graph.data.demo.body import INDEX, JOINTS
from masksem_graph.data.demo.pose import turn_x, turn_y

AZIMUTHS_DEG = (-45.0, 0.0, 45.0)
HEIGHTS_M = (0.90, 1.05, 1.25)
DISTANCE_M, DISTANCE_SPREAD_M = 3.5, 0.15
TILT_DEG, TILT_SPREAD_DEG = 4.0, 2.0
"""Sensors look down by this."""

JITTER_M = 0.002
JITTER_OF_JOINT = {
    "wrist": 1.8,
    "hand": 2.4,
    "thumb": 4.0,
    "hand_tip": 3.5,
    "elbow": 1.4,
    "knee": 1.4,
    "ankle": 2.0,
    "foot": 3.0,
}
"""Jitter of a joint, where it is not that of the trunk; in units of ``JITTER_M``, at 3 m."""
JITTER_MEMORY = 0.6
"""Correlation of the jitter from frame to frame."""

HIDDEN_LIMBS = {
    side + limb: tuple(INDEX[f"{side}{joint}"] for joint in joints)
    for side in ("left_", "right_")
    for limb, joints in {"arm": ("elbow", "wrist", "hand", "thumb", "hand_tip"), "leg": ("knee", "ankle", "foot")}.items()
}
BEHIND_M = 0.10
"""A limb whose first joint lies this much farther than the trunk may be lost behind it."""
OCCLUSION_SHARE = 0.4
OCCLUSION_FRAMES = (6, 20)
OCCLUSION_JITTER_M, OCCLUSION_PULL = 0.035, 0.25
"""A hidden limb is guessed: it wanders, and lies nearer to the trunk than it is, by this share of its distance."""

NOBODY_SHARE, NOBODY_FRAMES = 0.25, (1, 3)
"""Share of recordings with a gap in which nobody is tracked, and how long it is."""
LOST_SHARE, LOST_FRAMES = 0.35, (2, 6)
"""Share of two-person recordings in which one of the two is lost for a while, and for how long."""


@dataclass(frozen=True, eq=False)
class Recording:
    """What one camera saw.

    Args:
        joints: camera coordinates, [M, T, 25, 3] in metres: x to the right of a person who looks at the sensor, y up,
            z away from it.
        seen: whether the sensor has this body in this frame, [M, T].
        inferred: whether a joint is guessed, not tracked, [M, T, 25].
    """

    joints: Float64[np.ndarray, "M T V 3"]
    seen: Bool[np.ndarray, "M T"]
    inferred: Bool[np.ndarray, "M T V"]


def record(people: Float[np.ndarray, "M T V 3"], camera: int, rng: np.random.Generator) -> Recording:
    """One camera's recording of a performance.

    Args:
        people: joint positions on the floor, metres, as `performance.perform` returns them.
        camera: 0 to 2, as in ``AZIMUTHS_DEG``.
    """
    joints = look(
        people,
        azimuth_deg=AZIMUTHS_DEG[camera],
        height=HEIGHTS_M[camera],
        distance=DISTANCE_M + rng.uniform(-DISTANCE_SPREAD_M, DISTANCE_SPREAD_M),
        tilt_deg=TILT_DEG + rng.uniform(-TILT_SPREAD_DEG, TILT_SPREAD_DEG),
    )
    inferred = draw_occlusion(joints, rng)
    return Recording(disturb(joints, inferred, rng), draw_seen(people.shape[:2], rng), inferred)


def look(
    people: Float[np.ndarray, "*M V 3"], *, azimuth_deg: float, height: float, distance: float, tilt_deg: float
) -> Float64[np.ndarray, "*M V 3"]:
    """Floor coordinates to those of a camera that looks at the floor's origin from an azimuth, metres."""
    turned = people @ turn_y(np.radians(azimuth_deg)).T
    return (turned + np.array([0.0, -height, distance])) @ turn_x(np.radians(tilt_deg)).T


def disturb(
    joints: Float[np.ndarray, "M T V 3"], inferred: Bool[np.ndarray, "M T V"], rng: np.random.Generator
) -> Float64[np.ndarray, "M T V 3"]:
    """Jitter, correlated in time and growing with the distance; hidden limbs wander and shrink to the trunk."""
    size = np.full(len(JOINTS), JITTER_M)
    for i, joint in enumerate(JOINTS):
        size[i] *= JITTER_OF_JOINT.get(joint.removeprefix("left_").removeprefix("right_"), 1.0)
    scale = size[:, None] * joints[..., 2:] / 3.0 + OCCLUSION_JITTER_M * inferred[..., None]
    trunk = joints[:, :, [INDEX["spine_middle"]]]
    guessed = trunk + (joints - trunk) * (1 - OCCLUSION_PULL * inferred[..., None])
    return guessed + scale * _correlated(joints.shape, rng)


def draw_occlusion(joints: Float[np.ndarray, "M T V 3"], rng: np.random.Generator) -> Bool[np.ndarray, "M T V"]:
    """Spells in which a limb on the far side of the body is hidden."""
    hidden = np.zeros(joints.shape[:3], dtype=bool)
    frames = joints.shape[1]
    for body, depth in enumerate(joints[..., 2]):
        for limb in HIDDEN_LIMBS.values():
            happens, spell = rng.random() < OCCLUSION_SHARE, _spell(frames, OCCLUSION_FRAMES, rng)
            if happens:
                behind = depth[:, limb[0]] > depth[:, INDEX["spine_middle"]] + BEHIND_M
                hidden[body][:, limb] = (spell & behind)[:, None]
    return hidden


def draw_seen(shape: tuple[int, ...], rng: np.random.Generator) -> Bool[np.ndarray, "M T"]:
    """Which bodies are tracked in which frames."""
    bodies, frames = shape
    seen = np.ones((bodies, frames), dtype=bool)
    if rng.random() < NOBODY_SHARE:
        seen &= ~_spell(frames, NOBODY_FRAMES, rng)
    if bodies > 1 and rng.random() < LOST_SHARE:
        seen[rng.integers(bodies)] &= ~_spell(frames, LOST_FRAMES, rng)
    return seen


def _spell(frames: int, lengths: tuple[int, int], rng: np.random.Generator) -> Bool[np.ndarray, " T"]:
    """A random run of frames, not at the clip's very start."""
    length = int(rng.integers(lengths[0], lengths[1] + 1))
    start = int(rng.integers(1, frames - length))
    inside = np.zeros(frames, dtype=bool)
    inside[start : start + length] = True
    return inside


def _correlated(shape: tuple[int, ...], rng: np.random.Generator) -> Float64[np.ndarray, "M T V 3"]:
    """Standard normal noise with memory from frame to frame, stationary from the first on."""
    noise = rng.normal(size=shape)
    noise[:, 1:] *= np.sqrt(1 - JITTER_MEMORY**2)
    for t in range(1, shape[1]):
        noise[:, t] += JITTER_MEMORY * noise[:, t - 1]
    return noise
