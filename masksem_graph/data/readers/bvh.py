"""Motion capture in Biovision's BVH: joint angles over a hierarchy that each file has itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from masksem_graph.data.readers.folder import FolderReader
from masksem_graph.data.source import parse_numbers, read_lines, require_clip_size
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, parse_topology

CHANNELS = [axis + kind for axis in "xyz" for kind in ("position", "rotation")]
SIDES = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
JOINTS_AT_MOST = 500
NEAR = 1e-3  # two places that are nearer than this share of a bone are one


@dataclass
class Joint:
    """A joint of the hierarchy."""

    name: str
    parent: int  # position in the list of joints; -1 for the root
    offset: Float64[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))
    channels: list[tuple[str, str]] = field(default_factory=list)  # axis and kind, as ("z", "rotation")


class BVHReader(FolderReader):
    """A ``.bvh`` is a clip: places of all joints and end sites by forward kinematics. Folders are laid out as for trackers.

    The topology is made from the hierarchy: its joints in their order, a part for each limb between forks, mirror pairs by
    names (``LeftArm`` and ``RightArm``, ``lHand`` and ``rHand``), the root as centre. All files have to have the same
    hierarchy; offsets may differ from person to person. BVH has no units: coordinates are ``relative``.

    A joint turns by its rotation channels in the order in which they stand, each about the axes that those before have turned.
    Position channels add to the root's offset, and replace that of another joint where they begin with it.

    Source: Meredith and Maddock, Motion capture file formats explained, University of Sheffield, 2001.
    """

    endings: ClassVar[tuple[str, ...]] = (".bvh",)
    described: ClassVar[bool] = False
    zero_is_missing: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()

    def fitting(self, path: Path) -> Sequence[str]:
        self.given = hierarchy_topology(path, read_bvh(path)[0])
        return [self.given.name]

    def _bodies(self, path: Path) -> Float32[np.ndarray, "1 T V 3"]:
        joints, motion = read_bvh(path)
        names, skeleton = [joint.name for joint in joints], self.skeleton
        if names != (known := list(skeleton.inputs)):
            other = next((a for a, b in zip(names, known, strict=False) if a != b), f"{len(names)} joints")
            raise InputError(f"{path}: found {other[:60]!r}, expected the hierarchy of {skeleton.name}, {len(known)} joints")
        return places(path, joints, motion)[None].astype(np.float32)


def read_bvh(path: Path) -> tuple[list[Joint], Float64[np.ndarray, "T channels"]]:
    """The hierarchy of a file, parents first, and its channels in each frame; an `InputError` where it is none or cut off."""
    lines = [(number, line.split()) for number, line in read_lines(path)]
    joints: list[Joint] = []
    stack: list[int] = []
    at = next((i for i, (_, words) in enumerate(lines) if words[0] == "MOTION"), len(lines))
    for number, words in lines[:at]:
        place = f"{path}: line {number}"
        match words:
            case ["HIERARCHY"] | ["{"]:
                pass
            case ["ROOT" | "JOINT", name] if len(joints) < JOINTS_AT_MOST and (words[0] == "JOINT") == bool(stack):
                joints.append(Joint(name, stack[-1] if stack else -1))
                stack.append(len(joints) - 1)
            case ["End", "Site"] if stack:
                joints.append(Joint(f"{joints[stack[-1]].name}_end", stack[-1]))
                stack.append(len(joints) - 1)
            case ["OFFSET", *numbers] if stack and len(numbers) == 3:
                joints[stack[-1]].offset = parse_numbers(place, numbers)
            case ["CHANNELS", count, *channels] if stack and count == str(len(channels)):
                if wrong := [channel for channel in channels if channel.lower() not in CHANNELS]:
                    raise InputError(
                        f"{place}: found the channel {wrong[0][:60]!r}, expected Xposition, Zrotation or the like"
                    )
                joints[stack[-1]].channels = [(channel[0].lower(), channel[1:].lower()) for channel in channels]
            case ["}"] if stack:
                stack.pop()
            case _:
                found = " ".join(words)[:60]
                raise InputError(f"{place}: found {found!r}, expected one ROOT with JOINT, End Site, OFFSET and CHANNELS")
    if not joints or stack or at == len(lines):
        raise InputError(f"{path}: found no whole HIERARCHY and MOTION, expected both")
    width = sum(len(joint.channels) for joint in joints)
    if twice := [joint.name for joint in joints if sum(joint.name == other.name for other in joints) > 1]:
        raise InputError(f"{path}: found two joints called {twice[0][:60]!r}, expected each name once")
    return joints, _motion(path, lines[at + 1 :], width)


def _motion(path: Path, lines: Sequence[tuple[int, list[str]]], width: int) -> Float64[np.ndarray, "T channels"]:
    head = " ".join(word for _, words in lines[:2] for word in words)
    if not (count := re.fullmatch(r"Frames: ?(\d{1,9}) Frame Time: ?\S+", head)):
        raise InputError(f"{path}: MOTION: found {head[:60]!r}, expected Frames: and Frame Time:")
    rows = lines[2:]
    if len(rows) != int(count[1]) or not rows:
        raise InputError(f"{path}: found {len(rows)} lines of motion, expected {count[1]}, as Frames: says")
    return np.array([parse_numbers(f"{path}: line {number}", words, width) for number, words in rows])


def places(path: Path, joints: Sequence[Joint], motion: Float64[np.ndarray, "T channels"]) -> Float64[np.ndarray, "T V 3"]:
    """Where each joint is in each frame: forward kinematics, p = p(parent) + R(parent) t and R = R(parent) R(channels)."""
    require_clip_size(path, len(motion) * len(joints) * 12, f"{len(motion):,} frames")
    out = np.zeros((len(motion), len(joints), 3))
    turned: list[Rotation] = []
    column = 0
    for i, joint in enumerate(joints):
        turn, moved = Rotation.identity(len(motion)), np.zeros((len(motion), 3))
        for axis, kind in joint.channels:
            if kind == "rotation":
                turn = turn * Rotation.from_euler(axis, motion[:, column, None], degrees=True)
            else:
                moved[:, "xyz".index(axis)] = motion[:, column]
            column += 1
        step = _step(path, joint, moved)
        root = joint.parent < 0
        out[:, i] = step if root else out[:, joint.parent] + turned[joint.parent].apply(step)
        turned.append(turn if root else turned[joint.parent] * turn)
    return out


def _step(path: Path, joint: Joint, moved: Float64[np.ndarray, "T 3"]) -> Float64[np.ndarray, "T 3"]:
    """From the parent to the joint: its offset, to which its position channels are added, or which they replace."""
    if joint.parent < 0 or not moved.any():
        return joint.offset + moved
    near = NEAR * max(float(np.linalg.norm(joint.offset)), 1e-9)
    axes = {axis for axis, kind in joint.channels if kind == "position"}
    if len(axes) == 3 and np.abs(moved[0] - joint.offset).max() <= near:
        return moved
    begins = f"its position channels begin with {moved[0].round(4).tolist()}: added to its OFFSET, or in its place?"
    raise InputError(f"{path}: {joint.name}: {begins} Expected {joint.offset.tolist()}, the OFFSET, or zeros")


def hierarchy_topology(path: Path, joints: Sequence[Joint]) -> Topology:
    """The skeleton of a hierarchy, which has to have several joints."""
    names = [joint.name for joint in joints]
    children = [[i for i, joint in enumerate(joints) if joint.parent == parent] for parent in range(len(joints))]
    part: list[int] = []
    for i, joint in enumerate(joints):
        # A limb goes on to an only child; a fork's children begin limbs of their own.
        alone = joint.parent > 0 and len(children[joint.parent]) == 1
        part.append(part[joint.parent] if alone else i)
    fields = {
        "name": f"bvh{len(joints)}",
        "source": "made from the hierarchy of BVH files",
        "units": "relative",
        "centre": names[0],
        "joints": names,
        "bones": [[joint.name, names[joint.parent]] for joint in joints if joint.parent >= 0],
        "parts": {names[p]: [names[i] for i in range(len(joints)) if part[i] == p] for p in sorted(set(part))},
        "mirror": [[name, other] for name in names if (other := _counterpart(name, names))],
    }
    return parse_topology(fields, source_file=path)


def _counterpart(name: str, names: Sequence[str]) -> str | None:
    """The joint on the right of one on the left, by their names."""
    found = [name.replace(left, right, 1) for left, right in SIDES if left in name]
    found += [f"{right}{name[1:]}" for left, right in ("lr", "LR") if name[:1] == left]
    found += [re.sub(rf"([_.]){left}($|[_.])", rf"\g<1>{right}\g<2>", name) for left, right in ("lr", "LR")]
    return next((other for other in found if other in names and other != name), None)
