"""One performance of an action: who does it, how, where, and what the body does besides."""

from collections.abc import Set

import numpy as np
from jaxtyping import Float

from masksem_graph.data.demo.actions import ACTIONS, Action, Keys, course, key_poses, mirrored
from masksem_graph.data.demo.body import CHANNEL, INDEX, MOTION, SIDES, Body, both_sides, bounded, draw_body, move, turn

CLIP_FRAMES, FRAMES_PER_SECOND = (50, 75), 30
LEFT_HANDED = 0.5
FACING_DEG = 75.0
"""People face the middle camera within this; two of them face each other, across its line of sight within this."""
PLACE_M = (0.45, 0.25)
"""Standing place: half-width and half-depth of the patch of floor, metres."""
SHORTEST_ACTION = 0.4
"""Least share of the clip that the action takes; the rest is idling before and after it."""
VIGOUR, VIGOUR_OF_CHANNEL = 0.15, 0.10
"""Standard deviation of a performance's amplitude and, on top, of each channel's."""
TOGETHER = 0.3
"""Share of that which is left when two people do something together and have to meet."""
TEMPO_BEND = 0.3
"""Half-width of the logarithm of the exponent that bends the action's time: a slow or a fast start."""

BENT_ARM_SHARE, GESTURE_SHARE = 0.35, 0.75
"""How often an arm that the action does not use is held bent, and gestures in passing."""
SWAY_HZ, SWAY_WAVES = (0.15, 0.9), 3
STEP_SHARE, STEP_LENGTH, STEP_UP = 0.6, 0.11, 0.06
"""How often a foot that the action does not use is put elsewhere, and how far and how high: standard deviation along each
axis, and height, in leg lengths."""
GLANCE_SHARE, GLANCE_DEG = 0.5, 20.0
"""How often the trunk turns aside for a while, and how far: standard deviation."""
FIDGET_FRAMES, STEP_FRAMES = (18, 42), (9, 15)

People = Float[np.ndarray, "M T V 3"]
Course = Float[np.ndarray, "T K"]
Moments = Float[np.ndarray, " T"]


def perform(action: str, body: Body, rng: np.random.Generator) -> People:
    """A random performance of an action.

    ``body`` is the subject's; a second person is drawn where the action is one for two.

    Returns:
        joint positions of the M people, metres: y up from the floor, the middle camera in direction -z.
    """
    spec = ACTIONS[action]
    moments = _draw_moments(rng)
    repeats = int(rng.integers(spec.repeats[0], spec.repeats[1] + 1))
    first = _act(spec.keys(repeats), body, moments, rng, sided=spec.sided, together=spec.partner is not None)
    if spec.partner is None:
        return _place(first[None], float(rng.uniform(-FACING_DEG, FACING_DEG)), rng)
    second = _act(key_poses(spec.partner, repeats), draw_body(rng), moments, rng, sided=True, together=True)
    across = 90.0 if rng.random() < 0.5 else -90.0
    pair = _face_each_other(first, second, moments, spec)
    return _place(pair, across + float(rng.uniform(-FACING_DEG, FACING_DEG)), rng)


def _draw_moments(rng: np.random.Generator) -> Moments:
    """When each frame of a clip is in the action's own time, 0 to 1: idling, the action at its tempo, idling."""
    frames = int(rng.integers(CLIP_FRAMES[0], CLIP_FRAMES[1] + 1))
    share = rng.uniform(SHORTEST_ACTION, 1.0)
    start = rng.uniform(0.0, 1.0 - share)
    bend = np.exp(rng.uniform(-TEMPO_BEND, TEMPO_BEND))
    return np.clip((np.linspace(0.0, 1.0, frames) - start) / share, 0.0, 1.0) ** bend


def _act(
    keys: Keys, body: Body, moments: Moments, rng: np.random.Generator, *, sided: bool, together: bool
) -> Float[np.ndarray, "T V 3"]:
    """One person's joint positions, in metres, standing at the origin of the floor and facing -z.

    The keys are those of right-handed people; a hand that is part of the class (``sided``) is never exchanged.
    """
    left_handed = bool(rng.random() < LEFT_HANDED) and not sided
    keys = mirrored(keys) if left_handed else keys
    used = {channel for _, pose in keys for channel in pose}
    idle = _draw_idle_pose(used, rng)
    besides = _draw_sway(len(moments), rng) + _draw_fidgets(idle, used, len(moments), rng)
    overall, each = np.clip(rng.normal(), -1.5, 1.5), np.clip(rng.normal(size=len(CHANNEL)), -2.0, 2.0)
    vigour = (VIGOUR * overall + VIGOUR_OF_CHANNEL * each) * (TOGETHER if together else 1.0)
    return move(body, course(keys, moments, idle, 1.0 + vigour) + besides)


def _draw_idle_pose(used: Set[str], rng: np.random.Generator) -> Float[np.ndarray, " K"]:
    """The pose that a person idles in; arms with ``used`` channels hang."""
    idle = np.zeros(len(CHANNEL))
    for channel, (mean, spread) in both_sides(MOTION["idle"]).items():
        idle[CHANNEL[channel]] = mean + spread * bounded(rng)
    for side in SIDES:
        bent = rng.random() < BENT_ARM_SHARE and f"{side}_elbow" not in used
        for name, (mean, spread) in MOTION["bent_arm"].items():
            value = mean + spread * bounded(rng)
            if bent:
                idle[CHANNEL[f"{side}_{name}"]] = value
    return idle


def _draw_sway(frames: int, rng: np.random.Generator) -> Course:
    """Slow restlessness of a standing person: a few sine waves a channel."""
    seconds = np.arange(frames)[:, None, None] / FRAMES_PER_SECOND
    shape = (SWAY_WAVES, len(CHANNEL))
    hertz, phase = rng.uniform(*SWAY_HZ, size=shape), rng.uniform(0.0, 2 * np.pi, size=shape)
    sizes = both_sides(MOTION["sway"])
    size = np.array([sizes.get(channel, 0.0) for channel in CHANNEL])
    waves = np.sin(2 * np.pi * hertz * seconds + phase).sum(axis=1)
    return waves * size * np.sqrt(2 / SWAY_WAVES)


def _draw_fidgets(idle: Float[np.ndarray, " K"], used: Set[str], frames: int, rng: np.random.Generator) -> Course:
    """Passing movements of what the action does not use: an arm gestures, a foot steps elsewhere, the trunk turns aside."""
    fidgets = np.zeros((frames, len(CHANNEL)))
    if rng.random() < GLANCE_SHARE:
        fidgets[:, CHANNEL["spine_twist"]] = GLANCE_DEG * bounded(rng) * np.sin(np.pi * _onset(frames, FIDGET_FRAMES, rng))
    for side in SIDES:
        if rng.random() < GESTURE_SHARE and f"{side}_elbow" not in used:
            passing = np.sin(np.pi * _onset(frames, FIDGET_FRAMES, rng))
            for name, (mean, spread) in MOTION["gesture"].items():
                channel = CHANNEL[f"{side}_{name}"]
                fidgets[:, channel] = passing * (mean + spread * bounded(rng) - idle[channel])
    if rng.random() < STEP_SHARE and not used & {"left_foot_up", "right_foot_up", "pelvis_up"}:
        side = SIDES[rng.integers(2)]
        done = _onset(frames, STEP_FRAMES, rng)
        fidgets[:, CHANNEL[f"{side}_foot_forward"]] = STEP_LENGTH * bounded(rng) * done
        fidgets[:, CHANNEL[f"{side}_foot_out"]] = STEP_LENGTH * 0.5 * abs(bounded(rng)) * done
        fidgets[:, CHANNEL[f"{side}_foot_up"]] = STEP_UP * 4 * done * (1 - done)
    return fidgets


def _onset(frames: int, lengths: tuple[int, int], rng: np.random.Generator) -> Moments:
    """From 0 to 1, smoothly, over a random run of frames."""
    length = rng.uniform(*lengths)
    share = np.clip((np.arange(frames) - rng.uniform(0, frames - length)) / length, 0.0, 1.0)
    return share**3 * (10 - 15 * share + 6 * share**2)


def _face_each_other(
    first: Float[np.ndarray, "T V 3"], second: Float[np.ndarray, "T V 3"], moments: Moments, action: Action
) -> People:
    """Turn the second person towards the first, so far away that at the moment of contact the joints meant to meet do."""
    assert action.contact is not None
    moment, mine, yours = action.contact
    frame = int(np.argmin(np.abs(moments - moment)))
    second = second * (-1.0, 1.0, -1.0)
    ours = first[frame, [INDEX[joint] for joint in mine]].mean(axis=0)
    theirs = second[frame, [INDEX[joint] for joint in yours]].mean(axis=0)
    return np.stack([first, second + (ours - theirs) * (1.0, 0.0, 1.0)])


def _place(people: People, facing_deg: float, rng: np.random.Generator) -> People:
    """Put people, centred, somewhere on the floor in view, the first turned to his left by ``facing_deg``."""
    middle = people[:, :, INDEX["spine_base"]].mean(axis=(0, 1)) * (1.0, 0.0, 1.0)
    spot = np.array([rng.uniform(-PLACE_M[0], PLACE_M[0]), 0.0, rng.uniform(-PLACE_M[1], PLACE_M[1])])
    return (people - middle) @ turn("y", np.radians(facing_deg)).T + spot
