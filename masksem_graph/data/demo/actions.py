"""The twelve actions, as key poses that time runs through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from masksem_graph.data.demo.body import CHANNEL, MOTION, SIGNED, both_sides, mirror_name

Keys = list[tuple[float, dict[str, float]]]
"""Key poses with their moment, 0 to 1, in rising order; a channel that a pose does not name stays as it is when idle."""


@dataclass(frozen=True)
class Action:
    """One class.

    Args:
        motion: whose key poses it has; ``backwards`` in time, ``mirrored`` with left and right exchanged.
        repeats: least and largest number of repeats of the repeated part.
        partner: the second person's motion, where there is one.
        contact: (moment, the first person's joints, the second's joints) that meet, where there are two.
        sided: whether the side is part of the class; where it is not, left-handed people do it in the mirror.
    """

    motion: str
    backwards: bool = False
    mirrored: bool = False
    repeats: Sequence[int] = (1, 1)
    partner: str | None = None
    contact: Sequence[Any] | None = None
    sided: bool = False

    def keys(self, repeats: int) -> Keys:
        """The key poses, with so many repeats."""
        keys = key_poses(self.motion, repeats)
        keys = [(1.0 - at, pose) for at, pose in reversed(keys)] if self.backwards else keys
        return mirrored(keys) if self.mirrored else keys


ACTIONS = {name: Action(**{"motion": name, **fields}) for name, fields in MOTION["actions"].items()}
"""Class name -> action, in the order of their labels."""


def key_poses(motion: str, repeats: int) -> Keys:
    """The key poses of a motion, with so many repeats of its repeated part."""
    told = MOTION["motions"][motion]
    keys = dict(told["keys"])
    if "repeat" in told:
        start, end, *in_turn = told["repeat"]
        keys |= {float(at): in_turn[i % 2] for i, at in enumerate(np.linspace(start, end, 2 * repeats + 1))}
    poses = {"idle": {}} | told["poses"]
    return [(at, both_sides(poses[name])) for at, name in sorted(keys.items())]


def mirrored(keys: Keys) -> Keys:
    """The same with left and right exchanged."""
    return [(at, {mirror_name(c): -v if c in SIGNED else v for c, v in pose.items()}) for at, pose in keys]


def course(
    keys: Keys, moments: Float[np.ndarray, " T"], idle: Float[np.ndarray, " K"], vigour: Float[np.ndarray, " K"] | float = 1.0
) -> Float[np.ndarray, "T K"]:
    """The pose at each moment: through the key poses, smoothly and without overshoot.

    Moments are 0 to 1 over the action; ``idle`` is what a channel is when the action does not use it; ``vigour`` is how far a
    key pose is gone for, of the way from idle, 1 as written.
    """
    poses = np.tile(idle, (len(keys), 1))
    for row, (_, pose) in zip(poses, keys, strict=True):
        row[[CHANNEL[channel] for channel in pose]] = list(pose.values())
    return monotone_cubic(np.array([at for at, _ in keys]), idle + (poses - idle) * vigour, moments)


def monotone_cubic(
    at: Float[np.ndarray, " N"], values: Float[np.ndarray, "N K"], moments: Float[np.ndarray, " T"]
) -> Float[np.ndarray, "T K"]:
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
