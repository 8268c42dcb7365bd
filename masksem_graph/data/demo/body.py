"""A 25-joint body with human proportions, and forward kinematics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import networkx as nx
import numpy as np
from jaxtyping import Float, Float64

from masksem_graph.topology import load_topology

JOINTS: tuple[str, ...] = load_topology("ntu25").joints
INDEX = MappingProxyType({joint: i for i, joint in enumerate(JOINTS)})
ROOT = "spine_base"

HEIGHT_M, HEIGHT_SPREAD_M, HEIGHT_RANGE_M = 1.70, 0.09, (1.50, 1.92)
ANKLE_HEIGHT = 0.045
"""Ankle above the sole, in body heights."""

BONES_IN_HEIGHTS: dict[str, tuple[float, float, float]] = {
    "spine_middle": (0.0, 0.155, 0.0),
    "spine_shoulder": (0.0, 0.125, 0.0),
    "neck": (0.0, 0.042, -0.006),
    "head": (0.0, 0.085, -0.012),
    "shoulder": (0.103, -0.030, 0.0),
    "elbow": (0.0, -0.165, 0.0),
    "wrist": (0.0, -0.145, 0.0),
    "hand": (0.0, -0.045, 0.0),
    "thumb": (-0.012, -0.020, -0.026),
    "hand_tip": (0.012, -0.025, 0.026),
    "hip": (0.047, -0.022, 0.0),
    "knee": (0.0, -0.242, 0.0),
    "ankle": (0.0, -0.235, 0.0),
    "foot": (0.006, -0.036, -0.075),
}
"""Bone from its parent to the named joint, standing with hanging arms, palms inward, right side: x to the person's right,
y up, z to the back. Segment shares after Drillis and Contini (1966); trunk and hands where the Kinect v2 puts its joints."""

PROPORTIONS: dict[str, tuple[float, tuple[str, ...]]] = {
    "trunk": (0.04, ("spine_middle", "spine_shoulder")),
    "head": (0.05, ("neck", "head")),
    "shoulders": (0.08, ("shoulder",)),
    "arms": (0.05, ("elbow", "wrist")),
    "hands": (0.07, ("hand", "thumb", "hand_tip")),
    "hips": (0.09, ("hip",)),
    "legs": (0.04, ("knee", "ankle")),
    "feet": (0.06, ("foot",)),
}
"""What varies together from person to person: relative standard deviation, bones."""


@dataclass(frozen=True, eq=False)
class Body:
    """A person's bones.

    Args:
        offsets: from each joint's parent to the joint, standing at rest, [V, 3] in metres; zero for the root.
        ankle_height: ankle above the floor with the sole on it, metres.
    """

    offsets: Float64[np.ndarray, "V 3"]
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
    scale = {bone: height * (1 + spread * _bounded(rng)) for spread, bones in PROPORTIONS.values() for bone in bones}
    offsets = np.zeros((len(JOINTS), 3))
    for i, joint in enumerate(JOINTS):
        if joint == ROOT:
            continue
        bone = joint.removeprefix("left_").removeprefix("right_")
        outward = -1.0 if joint.startswith("left_") else 1.0
        offsets[i] = np.array(BONES_IN_HEIGHTS[bone]) * (outward, 1.0, 1.0) * scale[bone]
    return Body(offsets=offsets, ankle_height=ANKLE_HEIGHT * height)


def forward_kinematics(
    body: Body, root: Float[np.ndarray, "T 3"], rotations: Float[np.ndarray, "T V 3 3"]
) -> Float64[np.ndarray, "T V 3"]:
    """Joint positions from joint rotations.

    Args:
        body: whose bones.
        root: position of the spine's base, [T, 3] in metres.
        rotations: of each joint against its parent, [T, V, 3, 3]; the root's against the world. A joint's rotation turns
            the bones that start in it.

    Returns:
        positions, [T, V, 3], in metres.
    """
    positions = np.empty((len(root), len(JOINTS), 3))
    turned = np.array(rotations, dtype=np.float64)
    positions[:, INDEX[ROOT]] = root
    for parent, child in bones_from_root():
        positions[:, child] = positions[:, parent] + turned[:, parent] @ body.offsets[child]
        turned[:, child] = turned[:, parent] @ turned[:, child]
    return positions


@cache
def bones_from_root() -> tuple[tuple[int, int], ...]:
    """(parent, child) joint numbers of every bone of ntu25, from the spine's base outwards."""
    graph: nx.Graph[Any] = load_topology("ntu25").graph
    return tuple((INDEX[parent], INDEX[child]) for parent, child in nx.bfs_edges(graph, ROOT))


def _bounded(rng: np.random.Generator) -> float:
    """A standard normal draw within two standard deviations: nobody's bones are freakish."""
    return float(np.clip(rng.normal(), -2.0, 2.0))
