"""The twelve actions, as key poses that time runs through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float64

from masksem_graph.data.demo.pose import CHANNEL, SIGNED, mirror_name

Number = float | int
Pose = dict[str, Number]
"""Channel -> value (degrees or leg lengths); a channel that is not named stays as it is when idle."""
Keys = list[tuple[float, Pose]]
"""Key poses with their moment, 0 to 1, in rising order. Before the first and after the last the pose is held."""

IDLE: Pose = {}


@dataclass(frozen=True)
class Action:
    """One class.

    Args:
        keys: number of repeats of its repeated motion -> key poses.
        repeats: least and largest number of repeats.
        partner: the same for the second person, where there is one.
        contact: (moment, the first person's joints, the second's joints) that meet, where there are two.
        sided: whether the side is part of the class; where it is not, left-handed people do it in the mirror.
    """

    keys: Callable[[int], Keys]
    repeats: tuple[int, int] = (1, 1)
    partner: Callable[[int], Keys] | None = None
    contact: tuple[float, tuple[str, ...], tuple[str, ...]] | None = None
    sided: bool = False


def course(
    keys: Keys, moments: Float[np.ndarray, " T"], idle: Float[np.ndarray, " K"], vigour: Float[np.ndarray, " K"] | float = 1.0
) -> Float64[np.ndarray, "T K"]:
    """The pose at each moment: through the key poses, smoothly and without overshoot.

    Args:
        keys: key poses.
        moments: times, [T], 0 to 1 over the action.
        idle: what each channel is when the action does not use it, [K].
        vigour: how far a key pose is gone for, of the way from idle; 1 is as written.
    """
    at = np.array([moment for moment, _ in keys])
    poses = np.tile(np.asarray(idle, dtype=np.float64), (len(keys), 1))
    for row, (_, pose) in zip(poses, keys, strict=True):
        for channel, value in pose.items():
            row[CHANNEL[channel]] = value
    return monotone_cubic(at, idle + (poses - idle) * vigour, moments)


def monotone_cubic(
    at: Float[np.ndarray, " N"], values: Float[np.ndarray, "N K"], moments: Float[np.ndarray, " T"]
) -> Float64[np.ndarray, "T K"]:
    """Piecewise cubic interpolation that rests at turning points (Fritsch and Butland, 1984), held beyond both ends."""
    width = np.diff(at)[:, None]
    slope = np.diff(values, axis=0) / width
    before, after = slope[:-1], slope[1:]
    turns = before * after <= 0
    tangent = np.zeros_like(values)
    tangent[1:-1] = np.where(turns, 0.0, 2 * before * after / np.where(turns, 1.0, before + after))
    moments = np.clip(moments, at[0], at[-1])
    i = np.clip(np.searchsorted(at, moments, side="right") - 1, 0, len(at) - 2)
    u, w = ((moments - at[i]) / width[i, 0])[:, None], width[i]
    return (
        (2 * u**3 - 3 * u**2 + 1) * values[i]
        + (u**3 - 2 * u**2 + u) * w * tangent[i]
        + (3 * u**2 - 2 * u**3) * values[i + 1]
        + (u**3 - u**2) * w * tangent[i + 1]
    )


def mirrored(keys: Keys) -> Keys:
    """The same with left and right exchanged."""
    return [(at, {mirror_name(c): -v if c in SIGNED else v for c, v in pose.items()}) for at, pose in keys]


def reversed_in_time(keys: Keys) -> Keys:
    """The same from its end to its start."""
    return [(1.0 - at, pose) for at, pose in reversed(keys)]


def both_arms(**angles: Number) -> Pose:
    """The same angles for the left and the right arm."""
    return {f"{side}_{name}": value for side in ("left", "right") for name, value in angles.items()}


def right_arm(**angles: Number) -> Pose:
    """Angles of the right arm."""
    return {f"right_{name}": value for name, value in angles.items()}


def _repeated(first: Pose, second: Pose, *, start: float, end: float, repeats: int) -> Keys:
    """``first`` and ``second`` in turn, both ``repeats`` times, evenly from ``start`` to ``end``, ending with ``first``."""
    return [(float(at), second if i % 2 else first) for i, at in enumerate(np.linspace(start, end, 2 * repeats + 1))]


def _sit_down(_: int) -> Keys:
    hands = both_arms(arm_flex=35, arm_spread=8, arm_twist=12, elbow=62)
    seat: Pose = {"pelvis_up": -0.46, "pelvis_forward": -0.42, "lean": -4, "spine_bend": 10, **hands}
    lowering: Pose = {"pelvis_up": -0.22, "pelvis_forward": -0.27, "lean": 38, "spine_bend": 12, "head_nod": -10}
    return [
        (0.0, IDLE),
        (0.5, lowering | both_arms(arm_flex=32, arm_spread=10, elbow=32)),
        (0.72, seat | {"lean": 16}),
        (1.0, seat),
    ]


def _stand_up(_: int) -> Keys:
    return reversed_in_time(_sit_down(1))


def _pick_up(_: int) -> Keys:
    low: Pose = {"pelvis_up": -0.27, "pelvis_forward": -0.14, "lean": 52, "spine_bend": 28, "spine_side": 4, "head_nod": -12}
    reach: Pose = {**low, **right_arm(arm_flex=66, arm_spread=4, arm_twist=10, elbow=18)}
    halfway: Pose = {"pelvis_up": -0.16, "pelvis_forward": -0.10, "lean": 26, "spine_bend": 16}
    held: Pose = right_arm(arm_flex=16, arm_spread=8, arm_twist=18, elbow=88, wrist=6)
    carrying = halfway | right_arm(arm_flex=44, arm_spread=8, arm_twist=14, elbow=58)
    return [(0.0, IDLE), (0.40, reach), (0.52, reach), (0.72, carrying), (0.92, held), (1.0, held)]


def _put_down(_: int) -> Keys:
    return reversed_in_time(_pick_up(1))


def _wave_right(repeats: int) -> Keys:
    outward = right_arm(arm_flex=88, arm_spread=72, arm_twist=0, elbow=68, wrist=-12)
    inward = right_arm(arm_flex=92, arm_spread=66, arm_twist=6, elbow=122, wrist=14)
    return [(0.0, IDLE), *_repeated(inward, outward, start=0.24, end=0.78, repeats=repeats), (1.0, IDLE)]


def _wave_left(repeats: int) -> Keys:
    return mirrored(_wave_right(repeats))


def _kick(_: int) -> Keys:
    arms_back = {"left_arm_flex": 24, "left_elbow": 30, "right_arm_flex": -16}
    arms_forth = {"left_arm_flex": -18, "left_elbow": 24, "right_arm_flex": 30, "right_elbow": 30}
    over = {"pelvis_right": -0.09, "pelvis_up": -0.03}
    back: Pose = {**over, "right_foot_forward": -0.36, "right_foot_up": 0.30, "right_toe_up": -40, "lean": 9, **arms_back}
    strike: Pose = {**over, "right_foot_forward": 0.70, "right_foot_up": 0.40, "right_toe_up": 18, "lean": -10, **arms_forth}
    return [(0.0, IDLE), (0.18, over), (0.42, back), (0.58, strike), (0.66, strike), (0.88, over), (1.0, IDLE)]


def _throw(_: int) -> Keys:
    cocked: Pose = {
        **right_arm(arm_flex=84, arm_spread=84, arm_twist=-22, elbow=104, wrist=-18),
        **{"turn": -14, "spine_twist": -26, "lean": -7, "left_arm_flex": 42, "left_arm_spread": 22, "left_elbow": 34},
        **{"pelvis_forward": -0.06},
    }
    release: Pose = {
        **right_arm(arm_flex=112, arm_spread=14, arm_twist=6, elbow=24, wrist=6),
        **{"turn": 8, "spine_twist": 14, "lean": 10, "left_arm_flex": 8, "left_elbow": 40, "pelvis_forward": 0.08},
    }
    through: Pose = {
        **right_arm(arm_flex=38, arm_spread=-8, arm_twist=22, elbow=26),
        **{
            "turn": 16,
            "spine_twist": 26,
            "lean": 20,
            "spine_bend": 10,
            "left_arm_flex": -14,
            "left_elbow": 34,
            "pelvis_forward": 0.1,
        },
    }
    return [(0.0, IDLE), (0.42, cocked), (0.50, cocked), (0.60, release), (0.72, through), (1.0, IDLE)]


def _clap(repeats: int) -> Keys:
    apart = both_arms(arm_flex=38, arm_spread=12, arm_twist=4, elbow=84, wrist=0)
    together = both_arms(arm_flex=44, arm_spread=4, arm_twist=41, elbow=82, wrist=4)
    return [(0.0, IDLE), *_repeated(apart, together, start=0.2, end=0.82, repeats=repeats), (1.0, IDLE)]


def _drink(_: int) -> Keys:
    before = right_arm(arm_flex=28, arm_spread=12, arm_twist=24, elbow=92)
    sip = right_arm(arm_flex=62, arm_spread=18, arm_twist=44, elbow=131, wrist=8)
    swallow = right_arm(arm_flex=72, arm_spread=24, arm_twist=46, elbow=132, wrist=14) | {"head_nod": -20, "spine_bend": -5}
    return [(0.0, IDLE), (0.18, before), (0.40, sip), (0.50, swallow), (0.64, swallow), (0.82, before), (1.0, IDLE)]


def _shake_hands(repeats: int) -> Keys:
    bow: Pose = {"lean": 7, "spine_bend": 5, "spine_twist": 10, "pelvis_forward": 0.05}
    up = right_arm(arm_flex=48, arm_spread=6, arm_twist=10, elbow=58) | bow
    down = right_arm(arm_flex=36, arm_spread=6, arm_twist=10, elbow=50) | bow
    return [(0.0, IDLE), *_repeated(up, down, start=0.32, end=0.74, repeats=repeats), (1.0, IDLE)]


def _push(_: int) -> Keys:
    ready: Pose = both_arms(arm_flex=14, arm_spread=16, arm_twist=4, elbow=112, wrist=-20) | {
        "lean": -3,
        "pelvis_forward": -0.04,
    }
    shove: Pose = both_arms(arm_flex=80, arm_spread=4, arm_twist=8, elbow=20, wrist=-40) | {
        **{"lean": 19, "spine_bend": 4, "pelvis_forward": 0.13, "pelvis_up": -0.05, "right_foot_forward": 0.24},
    }
    return [
        (0.0, IDLE),
        (0.26, ready),
        (0.42, shove),
        (0.52, shove),
        (0.76, {"right_foot_forward": 0.2}),
        (1.0, {"right_foot_forward": 0.2}),
    ]


def _pushed(_: int) -> Keys:
    hit: Pose = {"lean": -14, "spine_bend": -8, "head_nod": 12, **both_arms(arm_flex=30, arm_spread=24, elbow=40)}
    step: Pose = {"pelvis_forward": -0.14, "right_foot_forward": -0.22, "right_foot_up": 0.08}
    back: Pose = {"pelvis_forward": -0.26, "right_foot_forward": -0.46, "left_foot_forward": -0.02, "lean": -4}
    follow: Pose = {"pelvis_forward": -0.40, "right_foot_forward": -0.46, "left_foot_forward": -0.24, "left_foot_up": 0.07}
    stand: Pose = {"pelvis_forward": -0.44, "right_foot_forward": -0.46, "left_foot_forward": -0.42}
    recover = both_arms(arm_flex=18, arm_spread=26, elbow=34)
    return [
        (0.0, IDLE),
        (0.40, IDLE),
        (0.48, hit | step),
        (0.56, back | recover),
        (0.66, follow | recover),
        (0.78, stand),
        (1.0, stand),
    ]


ACTIONS = MappingProxyType(
    {
        "sit_down": Action(_sit_down),
        "stand_up": Action(_stand_up),
        "pick_up": Action(_pick_up),
        "put_down": Action(_put_down),
        "wave_left": Action(_wave_left, repeats=(2, 4), sided=True),
        "wave_right": Action(_wave_right, repeats=(2, 4), sided=True),
        "kick": Action(_kick),
        "throw": Action(_throw),
        "clap": Action(_clap, repeats=(2, 5)),
        "drink": Action(_drink),
        "shake_hands": Action(
            _shake_hands, (2, 4), partner=_shake_hands, contact=(0.5, ("right_hand",), ("right_hand",)), sided=True
        ),
        "push": Action(
            _push, partner=_pushed, contact=(0.42, ("left_hand_tip", "right_hand_tip"), ("spine_shoulder",)), sided=True
        ),
    }
)
"""Class name -> action, in the order of their labels."""
