"""One performance of an action: who does it, how, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from masksem_graph.data.demo.actions import ACTIONS, Keys, course, mirrored
from masksem_graph.data.demo.body import INDEX, Body, draw_body
from masksem_graph.data.demo.idle import draw_fidgets, draw_idle_pose, draw_sway
from masksem_graph.data.demo.pose import CHANNELS, move, turn_y

CLIP_FRAMES = (50, 75)
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


@dataclass(frozen=True, eq=False)
class Manner:
    """How one person performs once.

    Args:
        idle: the pose before, after and where the action asks for nothing, [K].
        vigour: how far each channel goes of its way, [K].
        besides: sway and fidgets, added to each channel, [T, K].
        left_handed: whether the action is mirrored.
    """

    idle: Float64[np.ndarray, " K"]
    vigour: Float64[np.ndarray, " K"]
    besides: Float64[np.ndarray, "T K"]
    left_handed: bool


def perform(action: str, body: Body, rng: np.random.Generator) -> Float64[np.ndarray, "M T V 3"]:
    """A random performance of an action.

    Args:
        action: a class name.
        body: the subject; a second person is drawn where the action is one for two.

    Returns:
        joint positions of the M people, [M, T, 25, 3], metres: y up from the floor, the middle camera in direction -z.
    """
    spec = ACTIONS[action]
    moments = draw_moments(rng)
    repeats = int(rng.integers(spec.repeats[0], spec.repeats[1] + 1))
    keys = spec.keys(repeats)
    together = spec.partner is not None
    first = act(keys, body, moments, draw_manner(keys, len(moments), rng, sided=spec.sided, together=together))
    if spec.partner is None or spec.contact is None:
        return place(first[None], float(rng.uniform(-FACING_DEG, FACING_DEG)), rng)
    keys = spec.partner(repeats)
    second = act(keys, draw_body(rng), moments, draw_manner(keys, len(moments), rng, sided=True, together=True))
    across = 90.0 if rng.random() < 0.5 else -90.0
    pair = face_each_other(first, second, moments, spec.contact)
    return place(pair, across + float(rng.uniform(-FACING_DEG, FACING_DEG)), rng)


def act(keys: Keys, body: Body, moments: Float[np.ndarray, " T"], manner: Manner) -> Float64[np.ndarray, "T V 3"]:
    """One person's joint positions, in metres, standing at the origin of the floor and facing -z."""
    keys = mirrored(keys) if manner.left_handed else keys
    return move(body, course(keys, moments, manner.idle, manner.vigour) + manner.besides)


def draw_moments(rng: np.random.Generator) -> Float64[np.ndarray, " T"]:
    """When each frame of a clip is in the action's own time, 0 to 1, [T]: idling, the action at its tempo, idling."""
    frames = int(rng.integers(CLIP_FRAMES[0], CLIP_FRAMES[1] + 1))
    share = rng.uniform(SHORTEST_ACTION, 1.0)
    start = rng.uniform(0.0, 1.0 - share)
    bend = np.exp(rng.uniform(-TEMPO_BEND, TEMPO_BEND))
    return np.clip((np.linspace(0.0, 1.0, frames) - start) / share, 0.0, 1.0) ** bend


def draw_manner(keys: Keys, frames: int, rng: np.random.Generator, *, sided: bool, together: bool = False) -> Manner:
    """How somebody performs this time.

    Args:
        keys: the action, as right-handed people do it.
        frames: length of the clip, T.
        rng: where chance comes from.
        sided: whether the hand is part of the class, and so never exchanged.
        together: whether somebody else has to be met.
    """
    left_handed = bool(rng.random() < LEFT_HANDED) and not sided
    used = {channel for _, pose in (mirrored(keys) if left_handed else keys) for channel in pose}
    idle = draw_idle_pose(used, rng)
    besides = draw_sway(frames, rng) + draw_fidgets(idle, used, frames, rng)
    overall, each = np.clip(rng.normal(), -1.5, 1.5), np.clip(rng.normal(size=len(CHANNELS)), -2.0, 2.0)
    vigour = (VIGOUR * overall + VIGOUR_OF_CHANNEL * each) * (TOGETHER if together else 1.0)
    return Manner(idle, 1.0 + vigour, besides, left_handed)


def face_each_other(
    first: Float[np.ndarray, "T V 3"],
    second: Float[np.ndarray, "T V 3"],
    moments: Float[np.ndarray, " T"],
    contact: tuple[float, tuple[str, ...], tuple[str, ...]],
) -> Float64[np.ndarray, "2 T V 3"]:
    """Turn the second person towards the first, so far away that at the moment of contact the joints meant to meet do."""
    moment, mine, yours = contact
    frame = int(np.argmin(np.abs(moments - moment)))
    second = second * (-1.0, 1.0, -1.0)
    ours = first[frame, [INDEX[joint] for joint in mine]].mean(axis=0)
    theirs = second[frame, [INDEX[joint] for joint in yours]].mean(axis=0)
    return np.stack([first, second + (ours - theirs) * (1.0, 0.0, 1.0)])


def place(people: Float[np.ndarray, "M T V 3"], facing_deg: float, rng: np.random.Generator) -> Float64[np.ndarray, "M T V 3"]:
    """Put people, centred, somewhere on the floor in view, the first turned to his left by ``facing_deg``."""
    middle = people[:, :, INDEX["spine_base"]].mean(axis=(0, 1)) * (1.0, 0.0, 1.0)
    spot = np.array([rng.uniform(-PLACE_M[0], PLACE_M[0]), 0.0, rng.uniform(-PLACE_M[1], PLACE_M[1])])
    return (people - middle) @ turn_y(np.radians(facing_deg)).T + spot
