"""What a pose is made of, and the joint rotations that take it."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float64

from masksem_graph.data.demo.body import INDEX, JOINTS, Body, forward_kinematics

TRUNK_LENGTHS = ("pelvis_right", "pelvis_up", "pelvis_forward")
TRUNK_ANGLES = ("lean", "turn", "tilt", "spine_bend", "spine_side", "spine_twist", "head_nod", "head_turn")
ARM_ANGLES = ("arm_flex", "arm_spread", "arm_twist", "elbow", "wrist")
FOOT_LENGTHS = ("foot_out", "foot_up", "foot_forward")
FOOT_ANGLES = ("toe_up",)
SIDES = ("left", "right")

CHANNELS: tuple[str, ...] = (
    *TRUNK_LENGTHS,
    *TRUNK_ANGLES,
    *(f"{side}_{name}" for side in SIDES for name in ARM_ANGLES + FOOT_LENGTHS + FOOT_ANGLES),
)
"""The numbers of a pose, K in all. Lengths in leg lengths, from where they are when standing straight; angles in degrees.

lean, tilt, turn: of the pelvis and all above it: forward, to the right, to the left. spine_bend, spine_side, spine_twist: the
same of what lies above the spine's middle. head_nod is downwards, head_turn to the left. arm_flex raises the arm forward,
arm_spread moves it outward, arm_twist turns it inward about its own axis; elbow and wrist flex. Feet are where the ankles
are: legs follow from pelvis and feet."""
CHANNEL = MappingProxyType({name: i for i, name in enumerate(CHANNELS)})
ANGLES = np.array(
    [name.removeprefix("left_").removeprefix("right_") in TRUNK_ANGLES + ARM_ANGLES + FOOT_ANGLES for name in CHANNELS]
)
SIGNED = ("pelvis_right", "turn", "tilt", "spine_side", "spine_twist", "head_turn")
"""Channels that change their sign in the mirror."""

STRAIGHTEST_LEG = 0.995
"""Reach of a leg over its length: a knee never locks."""
ON_FLOOR = 0.05
"""A foot lower than this, in leg lengths, is being stood on to the degree that it is."""
SPLAY_DEG = 8.0


def mirror_name(channel: str) -> str:
    """The channel of the other side; a channel of the trunk is its own."""
    side, _, rest = channel.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, channel)


def move(body: Body, pose: Float[np.ndarray, "T K"]) -> Float64[np.ndarray, "T V 3"]:
    """Joint positions of a body that goes through poses, standing at the origin of the floor and facing -z.

    Args:
        body: who moves.
        pose: a pose a frame, [T, K], as `CHANNELS` names them.

    Returns:
        positions, [T, V, 3], in metres; x to the person's right, y up from the floor, z to the back.
    """
    at = {name: np.radians(pose[:, i]) if ANGLES[i] else pose[:, i] * body.leg for name, i in CHANNEL.items()}
    rotations = np.broadcast_to(np.eye(3), (len(pose), len(JOINTS), 3, 3)).copy()
    pelvis = turn_y(at["turn"]) @ turn_z(-at["tilt"]) @ turn_x(-at["lean"])
    rotations[:, INDEX["spine_base"]] = pelvis
    rotations[:, INDEX["spine_middle"]] = turn_y(at["spine_twist"]) @ turn_z(-at["spine_side"]) @ turn_x(-at["spine_bend"])
    rotations[:, INDEX["neck"]] = turn_y(at["head_turn"]) @ turn_x(-at["head_nod"])
    for side, outward in (("left", -1.0), ("right", 1.0)):
        flex, spread, twist, elbow, wrist = (at[f"{side}_{name}"] for name in ARM_ANGLES)
        rotations[:, INDEX[f"{side}_shoulder"]] = turn_x(flex) @ turn_z(outward * spread) @ turn_y(outward * twist)
        rotations[:, INDEX[f"{side}_elbow"]] = turn_x(elbow)
        rotations[:, INDEX[f"{side}_wrist"]] = turn_z(-outward * wrist)

    ankles = {side: _ankle(body, at, side) for side in SIDES}
    root = _lowered(body, _standing_root(body, at), pelvis, ankles)
    for side in SIDES:
        solved = _leg(body, side, root, pelvis, ankles[side], at[f"{side}_toe_up"])
        for joint, rotation in zip(("hip", "knee", "ankle"), solved, strict=True):
            rotations[:, INDEX[f"{side}_{joint}"]] = rotation
    return forward_kinematics(body, root, rotations)


def turn_x(angle: Float[np.ndarray, "*T"] | float) -> Float64[np.ndarray, "*T 3 3"]:
    """Rotations about x by an angle in radians: takes y to z."""
    return _turn(angle, 1, 2)


def turn_y(angle: Float[np.ndarray, "*T"] | float) -> Float64[np.ndarray, "*T 3 3"]:
    """Rotations about y by an angle in radians: takes z to x."""
    return _turn(angle, 2, 0)


def turn_z(angle: Float[np.ndarray, "*T"] | float) -> Float64[np.ndarray, "*T 3 3"]:
    """Rotations about z by an angle in radians: takes x to y."""
    return _turn(angle, 0, 1)


def _turn(angle: Float[np.ndarray, "*T"] | float, a: int, b: int) -> Float64[np.ndarray, "*T 3 3"]:
    angle = np.asarray(angle, dtype=np.float64)
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., 3 - a - b, 3 - a - b] = 1.0
    matrix[..., a, a] = matrix[..., b, b] = np.cos(angle)
    matrix[..., b, a] = np.sin(angle)
    matrix[..., a, b] = -np.sin(angle)
    return matrix


def _standing_root(body: Body, at: dict[str, np.ndarray]) -> Float64[np.ndarray, "T 3"]:
    hip_drop = -body.offsets[INDEX["left_hip"], 1]
    height = body.ankle_height + STRAIGHTEST_LEG * body.leg + hip_drop
    return np.stack([at["pelvis_right"], height + at["pelvis_up"], -at["pelvis_forward"]], axis=1)


def _ankle(body: Body, at: dict[str, np.ndarray], side: str) -> Float64[np.ndarray, "T 3"]:
    hip = body.offsets[INDEX[f"{side}_hip"], 0]
    right = hip + np.sign(hip) * at[f"{side}_foot_out"]
    return np.stack([right, body.ankle_height + np.maximum(at[f"{side}_foot_up"], 0.0), -at[f"{side}_foot_forward"]], axis=1)


def _lowered(
    body: Body, root: Float[np.ndarray, "T 3"], pelvis: Float[np.ndarray, "T 3 3"], ankles: dict[str, np.ndarray]
) -> Float64[np.ndarray, "T 3"]:
    """The root, let down where a leg that is stood on would otherwise not reach the floor."""
    too_high = np.zeros(len(root))
    for side, ankle in ankles.items():
        hip = root + pelvis @ body.offsets[INDEX[f"{side}_hip"]]
        aside = np.linalg.norm((hip - ankle)[:, [0, 2]], axis=1)
        reach = np.sqrt(np.maximum((STRAIGHTEST_LEG * body.leg) ** 2 - aside**2, 0.0))
        stood_on = np.clip(1.0 - (ankle[:, 1] - body.ankle_height) / (ON_FLOOR * body.leg), 0.0, 1.0)
        too_high = np.maximum(too_high, stood_on * (hip[:, 1] - ankle[:, 1] - reach))
    return root - too_high[:, None] * (0.0, 1.0, 0.0)


def _leg(
    body: Body,
    side: str,
    root: Float[np.ndarray, "T 3"],
    pelvis: Float[np.ndarray, "T 3 3"],
    ankle: Float[np.ndarray, "T 3"],
    toe_up: Float[np.ndarray, " T"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations of hip, knee and ankle, [T, 3, 3] each, that bring the ankle to its place with the knee bent forward."""
    thigh, shank = body.length(f"{side}_knee"), body.length(f"{side}_ankle")
    towards = ankle - (root + pelvis @ body.offsets[INDEX[f"{side}_hip"]])
    reach = np.linalg.norm(towards, axis=1, keepdims=True)
    towards = towards / reach
    reach = np.clip(reach, 0.3 * (thigh + shank), STRAIGHTEST_LEG * (thigh + shank))
    splay = np.full(len(root), np.radians(SPLAY_DEG) * (1.0 if side == "left" else -1.0))
    # Straight ahead is no direction for the knee of a leg that is itself raised straight ahead.
    ahead = (turn_y(splay) @ np.array([0.0, 0.4, -1.0])).reshape(-1, 3)
    ahead = _unit(ahead - np.sum(ahead * towards, axis=1, keepdims=True) * towards)
    cosine = np.clip((thigh**2 + reach**2 - shank**2) / (2 * thigh * reach), -1.0, 1.0)
    along_thigh = towards * cosine + ahead * np.sqrt(1 - cosine**2)
    along_shank = _unit(towards * reach - along_thigh * thigh)
    right = _unit(np.cross(towards, ahead))
    upper, lower = _frame(right, -along_thigh), _frame(right, -along_shank)
    foot = turn_y(splay) @ turn_x(toe_up)
    return _relative(pelvis, upper), _relative(upper, lower), _relative(lower, foot)


def _frame(right: Float[np.ndarray, "T 3"], up: Float[np.ndarray, "T 3"]) -> Float64[np.ndarray, "T 3 3"]:
    return np.stack([right, up, np.cross(right, up)], axis=2)


def _relative(parent: Float[np.ndarray, "T 3 3"], child: Float[np.ndarray, "T 3 3"]) -> Float64[np.ndarray, "T 3 3"]:
    return np.swapaxes(parent, 1, 2) @ child


def _unit(vectors: Float[np.ndarray, "T 3"]) -> Float64[np.ndarray, "T 3"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
