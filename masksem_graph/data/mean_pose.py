"""The mean pose of a store's bodies, as a topology's rest pose."""

import numpy as np
from jaxtyping import Float, Int64

from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology

PORTION = 65536
"""Frames that are read at once."""


def mean_pose(store: Store, clips: Int64[np.ndarray, " n"]) -> dict[str, list[float]]:
    """Joint -> (x, y, z): the mean over all frames in which a body was seen.

    Every frame is first moved to the centre joint and turned about the vertical until the joints' right and left mirror
    partners lie along x. Of image coordinates there is no depth and no turn; x then runs against the image's, as for a person
    who faces the camera.

    Args:
        store: the clips; y points up in those with three coordinates.
        clips: which of them.

    Raises:
        InputError: no frame can be used, for one because the topology has no mirror pairs.
    """
    topology = store.topology
    right, left = sides(topology)
    clip_of_body = np.arange(len(store)).repeat(np.diff(store.clip_offset))
    seen = np.flatnonzero(np.isin(clip_of_body, clips).repeat(np.diff(store.body_offset)) & store.present)
    total, count = np.zeros((len(topology), 3)), 0
    for first in range(0, len(seen), PORTION):
        frames = np.asarray(store.frames[seen[first : first + PORTION]], dtype=np.float64)
        turned = _facing(frames, topology, right, left)
        total, count = total + turned.sum(0), count + len(turned)
    if not count:
        raise InputError(f"{store.path}: no frame from which to tell left from right")
    return {joint: [round(float(x), 4) for x in place] for joint, place in zip(topology.joints, total / count, strict=True)}


def sides(topology: Topology) -> tuple[list[int], list[int]]:
    """Positions of the right joints and of their left partners; raises `InputError` where there are no mirror pairs."""
    partner = [topology.index.get(topology.mirror[joint]) for joint in topology.joints]  # None where that is no node
    right = [i for i in np.flatnonzero(joint_sides(topology) == 2).tolist() if partner[i] is not None]
    if not right:
        raise InputError(f"{topology.name}: mirror: expected pairs of joints, found none; left and right cannot be told apart")
    return right, [topology.index[topology.mirror[topology.joints[place]]] for place in right]


def joint_sides(topology: Topology) -> Int64[np.ndarray, " V"]:
    """0 for a joint without a mirror, 1 for left and 2 for right; where names do not tell, 1 for the first of a pair."""
    sides = np.zeros(len(topology), np.int64)
    for place, joint in enumerate(topology.joints):
        other = topology.mirror[joint]
        if other != joint:
            left = is_left(joint) or is_right(other)
            told = left != (is_left(other) or is_right(joint))
            first = left if told else topology.inputs.index(joint) < topology.inputs.index(other)
            sides[place] = 1 if first else 2
    return sides


def is_left(joint: str) -> bool:
    """Whether a joint is called so."""
    return "left" in joint.lower() or joint.lower().startswith("l_")


def is_right(joint: str) -> bool:
    """Whether a joint is called so."""
    return "right" in joint.lower() or joint.lower().startswith("r_")


def _facing(
    frames: Float[np.ndarray, "F V C"], topology: Topology, right: list[int], left: list[int]
) -> Float[np.ndarray, "kept V 3"]:
    moved = frames - frames[:, [topology.index[topology.centre]]]
    if topology.dimensions == 2:
        return np.concatenate([-moved[:, :, :2], np.zeros_like(moved[:, :, :1])], 2)
    across = (moved[:, right] - moved[:, left]).mean(1)
    length = np.hypot(across[:, 0], across[:, 2])
    usable = length > 1e-6
    cosine, sine = (across[usable, axis, None] / length[usable, None] for axis in (0, 2))
    x, y, z = np.moveaxis(moved[usable], 2, 0)
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], 2)
