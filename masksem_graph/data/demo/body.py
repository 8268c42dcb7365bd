"""A 25-joint body with human proportions, and the joint positions of its poses."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import networkx as nx
import numpy as np
from jaxtyping import Float

from masksem_graph.plain_yaml import read_yaml
from masksem_graph.topology import load_topology

MOTION: dict[str, Any] = read_yaml(Path(__file__).with_name("motion.yaml"))
TOPOLOGY = load_topology("ntu25")
JOINTS, INDEX, ROOT = TOPOLOGY.joints, TOPOLOGY.index, "spine_base"

HEIGHT_M, HEIGHT_SPREAD_M, HEIGHT_RANGE_M = 1.70, 0.09, (1.50, 1.92)
ANKLE_HEIGHT = 0.045
"""Ankle above the sole, in body heights."""

SIDES = ("left", "right")
LENGTHS = ("pelvis_right", "pelvis_up", "pelvis_forward", "foot_out", "foot_up", "foot_forward")
TRUNK = (*LENGTHS[:3], "lean", "turn", "tilt", "spine_bend", "spine_side", "spine_twist", "head_nod", "head_turn")
ARM = ("arm_flex", "arm_spread", "arm_twist", "elbow", "wrist")
CHANNELS = (*TRUNK, *(f"{side}_{name}" for side in SIDES for name in (*ARM, *LENGTHS[3:], "toe_up")))
"""The numbers of a pose, K in all. Lengths in leg lengths, from where they are when standing straight; angles in degrees.

lean, tilt, turn: of the pelvis and all above it: forward, to the right, to the left. spine_bend, spine_side, spine_twist: the
same of what lies above the spine's middle. head_nod is downwards, head_turn to the left. arm_flex raises the arm forward,
arm_spread moves it outward, arm_twist turns it inward about its own axis; elbow and wrist flex. Feet are where the ankles
are: legs follow from pelvis and feet."""
CHANNEL = {name: i for i, name in enumerate(CHANNELS)}
SIGNED = ("pelvis_right", "turn", "tilt", "spine_side", "spine_twist", "head_turn")
"""Channels that change their sign in the mirror."""

STRAIGHTEST_LEG = 0.995
"""Reach of a leg over its length: a knee never locks."""
ON_FLOOR = 0.05
"""A foot lower than this, in leg lengths, is being stood on to the degree that it is."""
SPLAY_DEG = 8.0

Entry = TypeVar("Entry")
Places = Float[np.ndarray, "T 3"]
Turns = Float[np.ndarray, "T 3 3"]


def sideless(name: str) -> str:
    """The name of a joint or a channel without its side."""
    return name.removeprefix("left_").removeprefix("right_")


def both_sides(table: Mapping[str, Entry]) -> dict[str, Entry]:
    """A table over channels, in their order; an entry without a side stands for both."""
    return {c: table[name] for c in CHANNELS for name in dict.fromkeys((sideless(c), c)) if name in table}


def mirror_name(channel: str) -> str:
    """The channel of the other side; a channel of the trunk is its own."""
    side, _, rest = channel.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, channel)


def bounded(rng: np.random.Generator) -> float:
    """A standard normal draw within two standard deviations: nobody is freakish."""
    return float(np.clip(rng.normal(), -2.0, 2.0))


@dataclass(frozen=True, eq=False)
class Body:
    """A person's bones.

    Args:
        offsets: from each joint's parent to the joint, standing at rest, metres; zero for the root.
        ankle_height: ankle above the floor with the sole on it, metres.
    """

    offsets: Float[np.ndarray, "V 3"]
    ankle_height: float

    def length(self, joint: str) -> float:
        """Length of the bone that ends in ``joint``, metres."""
        return float(np.linalg.norm(self.offsets[INDEX[joint]]))

    @property
    def leg(self) -> float:
        """Hip to ankle with a straight knee, metres."""
        return self.length("left_knee") + self.length("left_ankle")


def draw_body(rng: np.random.Generator) -> Body:
    """A person of random height and proportions; both sides are alike."""
    height = float(np.clip(rng.normal(HEIGHT_M, HEIGHT_SPREAD_M), *HEIGHT_RANGE_M))
    groups = MOTION["proportions"].values()
    scale = {bone: height * (1 + spread * bounded(rng)) for spread, bones in groups for bone in bones}
    offsets = np.zeros((len(JOINTS), 3))
    for joint in set(JOINTS) - {ROOT}:
        bone, outward = sideless(joint), -1.0 if joint.startswith("left_") else 1.0
        offsets[INDEX[joint]] = np.array(MOTION["bones"][bone]) * (outward, 1.0, 1.0) * scale[bone]
    return Body(offsets=offsets, ankle_height=ANKLE_HEIGHT * height)


@cache
def bones_from_root() -> tuple[tuple[int, int], ...]:
    """(parent, child) joint numbers of every bone, from the spine's base outwards."""
    return tuple((INDEX[parent], INDEX[child]) for parent, child in nx.bfs_edges(TOPOLOGY.graph, ROOT))


def forward_kinematics(body: Body, root: Places, rotations: Float[np.ndarray, "T V 3 3"]) -> Float[np.ndarray, "T V 3"]:
    """Joint positions, in metres, from that of the root and from each joint's rotation against its parent.

    The root's rotation is against the world. A joint's rotation turns the bones that start in it.
    """
    positions = np.empty((len(root), len(JOINTS), 3))
    turned = rotations.copy()
    positions[:, INDEX[ROOT]] = root
    for parent, child in bones_from_root():
        positions[:, child] = positions[:, parent] + turned[:, parent] @ body.offsets[child]
        turned[:, child] = turned[:, parent] @ turned[:, child]
    return positions


def move(body: Body, pose: Float[np.ndarray, "T K"]) -> Float[np.ndarray, "T V 3"]:
    """Joint positions of a body that goes through poses of `CHANNELS`, standing at the origin of the floor and facing -z.

    In metres; x to the person's right, y up from the floor, z to the back.
    """
    at = {c: pose[:, i] * body.leg if sideless(c) in LENGTHS else np.radians(pose[:, i]) for c, i in CHANNEL.items()}
    rotations = np.tile(np.eye(3), (len(pose), len(JOINTS), 1, 1))
    pelvis = turn("y", at["turn"]) @ turn("z", -at["tilt"]) @ turn("x", -at["lean"])
    rotations[:, INDEX["spine_base"]] = pelvis
    chest = turn("y", at["spine_twist"]) @ turn("z", -at["spine_side"]) @ turn("x", -at["spine_bend"])
    rotations[:, INDEX["spine_middle"]] = chest
    rotations[:, INDEX["neck"]] = turn("y", at["head_turn"]) @ turn("x", -at["head_nod"])
    for side, outward in zip(SIDES, (-1.0, 1.0), strict=True):
        flex, spread, twist, elbow, wrist = (at[f"{side}_{name}"] for name in ARM)
        rotations[:, INDEX[f"{side}_shoulder"]] = turn("x", flex) @ turn("z", outward * spread) @ turn("y", outward * twist)
        rotations[:, INDEX[f"{side}_elbow"]] = turn("x", elbow)
        rotations[:, INDEX[f"{side}_wrist"]] = turn("z", -outward * wrist)

    ankles = {side: _ankle(body, at, side) for side in SIDES}
    height = body.ankle_height + STRAIGHTEST_LEG * body.leg - body.offsets[INDEX["left_hip"], 1]
    root = np.stack([at["pelvis_right"], height + at["pelvis_up"], -at["pelvis_forward"]], axis=1)
    root = _lowered(body, root, pelvis, ankles)
    for side in SIDES:
        solved = _leg(body, side, root, pelvis, ankles[side], at[f"{side}_toe_up"])
        for joint, rotation in zip(("hip", "knee", "ankle"), solved, strict=True):
            rotations[:, INDEX[f"{side}_{joint}"]] = rotation
    return forward_kinematics(body, root, rotations)


def turn(axis: str, angle: Float[np.ndarray, "*T"] | float) -> Float[np.ndarray, "*T 3 3"]:
    """Rotations by an angle in radians: about ``x`` takes y to z, about ``y`` z to x, about ``z`` x to y."""
    c = "xyz".index(axis)
    a, b = (c + 1) % 3, (c + 2) % 3
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[..., c, c] = 1.0
    matrix[..., a, a] = matrix[..., b, b] = np.cos(angle)
    matrix[..., b, a] = np.sin(angle)
    matrix[..., a, b] = -np.sin(angle)
    return matrix


def _ankle(body: Body, at: Mapping[str, np.ndarray], side: str) -> Places:
    hip = body.offsets[INDEX[f"{side}_hip"], 0]
    right = hip + np.sign(hip) * at[f"{side}_foot_out"]
    return np.stack([right, body.ankle_height + np.maximum(at[f"{side}_foot_up"], 0.0), -at[f"{side}_foot_forward"]], axis=1)


def _lowered(body: Body, root: Places, pelvis: Turns, ankles: Mapping[str, Places]) -> Places:
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
    body: Body, side: str, root: Places, pelvis: Turns, ankle: Places, toe_up: Float[np.ndarray, " T"]
) -> tuple[Turns, Turns, Turns]:
    """Rotations of hip, knee and ankle that bring the ankle to its place with the knee bent forward."""
    thigh, shank = body.length(f"{side}_knee"), body.length(f"{side}_ankle")
    towards = ankle - (root + pelvis @ body.offsets[INDEX[f"{side}_hip"]])
    reach = np.linalg.norm(towards, axis=1, keepdims=True)
    towards = towards / reach
    reach = np.clip(reach, 0.3 * (thigh + shank), STRAIGHTEST_LEG * (thigh + shank))
    splay = np.full(len(root), np.radians(SPLAY_DEG) * (1.0 if side == "left" else -1.0))
    # Straight ahead is no direction for the knee of a leg that is itself raised straight ahead.
    ahead = turn("y", splay) @ np.array([0.0, 0.4, -1.0])
    ahead = _unit(ahead - np.sum(ahead * towards, axis=1, keepdims=True) * towards)
    cosine = np.clip((thigh**2 + reach**2 - shank**2) / (2 * thigh * reach), -1.0, 1.0)
    along_thigh = towards * cosine + ahead * np.sqrt(1 - cosine**2)
    along_shank = _unit(towards * reach - along_thigh * thigh)
    right = _unit(np.cross(towards, ahead))
    upper, lower = (np.stack([right, -along, np.cross(right, -along)], axis=2) for along in (along_thigh, along_shank))
    foot = turn("y", splay) @ turn("x", toe_up)
    return pelvis.swapaxes(1, 2) @ upper, upper.swapaxes(1, 2) @ lower, lower.swapaxes(1, 2) @ foot


def _unit(vectors: Places) -> Places:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
