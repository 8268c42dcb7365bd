"""What a body does besides the action: the pose it idles in, its sway, and its fidgets."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Float64

from masksem_graph.data.demo.pose import CHANNEL, CHANNELS, SIDES

Entry = TypeVar("Entry")

FRAMES_PER_SECOND = 30

IDLE_POSE: dict[str, tuple[float, float]] = {
    "pelvis_up": (-0.016, 0.006),
    "lean": (1.0, 4.0),
    "spine_bend": (4.0, 5.0),
    "spine_side": (0.0, 3.0),
    "spine_twist": (0.0, 6.0),
    "head_nod": (6.0, 8.0),
    "head_turn": (0.0, 12.0),
    "arm_flex": (3.0, 8.0),
    "arm_spread": (10.0, 4.0),
    "arm_twist": (12.0, 12.0),
    "elbow": (22.0, 9.0),
    "wrist": (5.0, 8.0),
    "foot_out": (0.06, 0.05),
    "foot_forward": (0.0, 0.06),
}
"""Channel (of either side) -> mean and standard deviation over performances of the pose that one idles in."""
BENT_ARM_SHARE = 0.35
BENT_ARM: dict[str, tuple[float, float]] = {
    "arm_flex": (18.0, 12.0),
    "arm_spread": (12.0, 5.0),
    "arm_twist": (32.0, 12.0),
    "elbow": (80.0, 20.0),
}
"""An arm that the action does not use is held bent, as if carrying something, this often and like this."""

SWAY: dict[str, float] = {
    "pelvis_right": 0.014,
    "pelvis_forward": 0.010,
    "lean": 1.5,
    "turn": 3.0,
    "spine_bend": 2.0,
    "spine_side": 2.0,
    "spine_twist": 3.5,
    "head_nod": 5.0,
    "head_turn": 9.0,
    "arm_flex": 5.0,
    "arm_spread": 2.5,
    "arm_twist": 5.0,
    "elbow": 6.0,
    "wrist": 6.0,
}
"""Channel -> standard deviation of its restlessness, in the channel's unit."""
SWAY_HZ = (0.15, 0.9)
SWAY_WAVES = 3

GESTURE_SHARE = 0.75
GESTURE: dict[str, tuple[float, float]] = {
    "arm_flex": (60.0, 35.0),
    "arm_spread": (25.0, 16.0),
    "arm_twist": (15.0, 20.0),
    "elbow": (90.0, 25.0),
}
"""An arm that the action does not use gestures in passing this often, as far as this."""
STEP_SHARE, STEP_LENGTH, STEP_UP = 0.6, 0.11, 0.06
"""How often a foot that the action does not use is put elsewhere, and how far and how high: standard deviation along each
axis, and height, in leg lengths."""
GLANCE_SHARE, GLANCE_DEG = 0.5, 20.0
"""How often the trunk turns aside for a while, and how far: standard deviation."""
FIDGET_FRAMES = (18, 42)
STEP_FRAMES = (9, 15)


def draw_idle_pose(used: Set[str], rng: np.random.Generator) -> Float64[np.ndarray, " K"]:
    """The pose that a person idles in; arms with ``used`` channels hang."""
    idle = np.zeros(len(CHANNELS))
    for channel, (mean, spread) in per_side(IDLE_POSE).items():
        idle[CHANNEL[channel]] = mean + spread * _bounded(rng)
    for side in SIDES:
        bent = rng.random() < BENT_ARM_SHARE and f"{side}_elbow" not in used
        for name, (mean, spread) in BENT_ARM.items():
            value = mean + spread * _bounded(rng)
            if bent:
                idle[CHANNEL[f"{side}_{name}"]] = value
    return idle


def draw_sway(frames: int, rng: np.random.Generator) -> Float64[np.ndarray, "T K"]:
    """Slow restlessness of a standing person: a few sine waves a channel."""
    seconds = np.arange(frames)[:, None, None] / FRAMES_PER_SECOND
    shape = (SWAY_WAVES, len(CHANNELS))
    hertz, phase = rng.uniform(*SWAY_HZ, size=shape), rng.uniform(0.0, 2 * np.pi, size=shape)
    size = np.zeros(len(CHANNELS))
    for channel, value in per_side(SWAY).items():
        size[CHANNEL[channel]] = value
    waves = np.sin(2 * np.pi * hertz * seconds + phase).sum(axis=1)
    return waves * size * np.sqrt(2 / SWAY_WAVES)


def draw_fidgets(
    idle: Float[np.ndarray, " K"], used: Set[str], frames: int, rng: np.random.Generator
) -> Float64[np.ndarray, "T K"]:
    """Passing movements of what the action does not use: an arm gestures, a foot steps elsewhere, the trunk turns aside."""
    fidgets = np.zeros((frames, len(CHANNELS)))
    if rng.random() < GLANCE_SHARE:
        fidgets[:, CHANNEL["spine_twist"]] = GLANCE_DEG * _bounded(rng) * _passing(frames, FIDGET_FRAMES, rng)
    for side in SIDES:
        if rng.random() < GESTURE_SHARE and f"{side}_elbow" not in used:
            passing = _passing(frames, FIDGET_FRAMES, rng)
            for name, (mean, spread) in GESTURE.items():
                channel = CHANNEL[f"{side}_{name}"]
                fidgets[:, channel] = passing * (mean + spread * _bounded(rng) - idle[channel])
    if rng.random() < STEP_SHARE and not used & {"left_foot_up", "right_foot_up", "pelvis_up"}:
        side = SIDES[rng.integers(2)]
        done = _onset(frames, STEP_FRAMES, rng)
        fidgets[:, CHANNEL[f"{side}_foot_forward"]] = STEP_LENGTH * _bounded(rng) * done
        fidgets[:, CHANNEL[f"{side}_foot_out"]] = STEP_LENGTH * 0.5 * abs(_bounded(rng)) * done
        fidgets[:, CHANNEL[f"{side}_foot_up"]] = STEP_UP * 4 * done * (1 - done)
    return fidgets


def per_side(table: Mapping[str, Entry]) -> dict[str, Entry]:
    """A table over channels in which the entry of an arm or a leg stands for both sides."""
    return {c: table[name] for c in CHANNELS if (name := c.removeprefix("left_").removeprefix("right_")) in table}


def _onset(frames: int, lengths: tuple[int, int], rng: np.random.Generator) -> Float64[np.ndarray, " T"]:
    """From 0 to 1, smoothly, over a random run of frames."""
    length = rng.uniform(*lengths)
    share = np.clip((np.arange(frames) - rng.uniform(0, frames - length)) / length, 0.0, 1.0)
    return share**3 * (10 - 15 * share + 6 * share**2)


def _passing(frames: int, lengths: tuple[int, int], rng: np.random.Generator) -> Float64[np.ndarray, " T"]:
    """From 0 to 1 and back, smoothly, over a random run of frames."""
    done = _onset(frames, lengths, rng)
    return np.sin(np.pi * done)


def _bounded(rng: np.random.Generator) -> float:
    """A standard normal draw within two standard deviations."""
    return float(np.clip(rng.normal(), -2.0, 2.0))
