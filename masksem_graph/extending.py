"""``extends:`` in a topology file: another topology with joints left out or set aside, and with other bones."""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

from masksem_graph.errors import shown

REPLACED = ("name", "source", "units", "centre", "bones", "parts", "mirror", "rest_pose", "frame")
FIELDS = {"extends", *REPLACED, "without", "context", "connect", "add_bones", "remove_bones"}

Fault = Callable[[str, str], Exception]
"""Makes the exception to raise from a field's name and a message."""


def extend(base: Mapping[str, Any], changes: Mapping[str, Any], fault: Fault) -> dict[str, Any]:
    """The fields of a topology file that extends another, as if it had been written out in full.

    Args:
        base: the other topology's fields, valid and written out.
        changes: the extending file's fields. ``without`` drops joints, ``context`` makes joints input but no nodes;
            both take their bones, parts and mirror pairs with them. ``connect: parts`` joins every two joints of each of the
            other's body parts that no bone joins yet, ``connect: all`` every two of the body; ``remove_bones`` and
            ``add_bones`` follow. The rest replaces the field of the same name, ``bones`` before they are changed.
        fault: makes the exception to raise.
    """
    if unknown := sorted(set(map(str, changes)) - FIELDS):
        raise fault(unknown[0], f"not a field of a topology that extends another, which has {', '.join(sorted(FIELDS))}")
    for name in ("name", "extends"):
        if not isinstance(changes.get(name), str):
            raise fault(name, f"expected a text, found {shown(changes.get(name))}")
    dropped = _joints(changes, "without", base["joints"], fault)
    aside = _joints(changes, "context", base["joints"], fault)
    for joint in aside:
        if joint in dropped:
            raise fault("context", f"{joint!r} is left out by `without`")
        if joint in base["context"]:
            raise fault("context", f"{joint!r} is context in {base['name']} already")
    inputs = [joint for joint in base["joints"] if joint not in dropped]
    context = [joint for joint in inputs if joint in base["context"] or joint in aside]
    nodes = [joint for joint in inputs if joint not in context]
    frame = base.get("frame", {})
    parts = {part: kept for part, joints in base["parts"].items() if (kept := [j for j in joints if j in nodes])}
    written_out = {
        **base,
        "joints": inputs,
        "context": context,
        "bones": _bones(base, changes, nodes, parts, fault),
        "parts": parts,
        "mirror": [pair for pair in base["mirror"] if set(pair) <= set(inputs)],
        "rest_pose": {joint: place for joint, place in base.get("rest_pose", {}).items() if joint in inputs},
        "frame": frame if all(set(joints) <= set(inputs) for joints in frame.values()) else {},
    }
    return written_out | {name: changes[name] for name in REPLACED if name in changes and name != "bones"}


def joint_pairs(pairs: Any, name: str, fault: Fault) -> list[list[str]]:
    """The pairs, once they are a list of two texts each."""
    if not isinstance(pairs, list):
        raise fault(name, f"expected a list of [joint, joint] pairs, found {shown(pairs)}")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(joint, str) for joint in pair):
            raise fault(name, f"expected a [joint, joint] pair, found {shown(pair)}")
    return pairs


def _joints(changes: Mapping[str, Any], name: str, known: list[str], fault: Fault) -> list[str]:
    joints = changes.get(name) or []
    if not isinstance(joints, list) or not all(isinstance(joint, str) for joint in joints):
        raise fault(name, f"expected a list of joint names, found {shown(joints)}")
    if unknown := [joint for joint in joints if joint not in known]:
        raise fault(name, f"no joint is called {unknown[0]!r} in {changes['extends']}")
    return joints


def _bones(
    base: Mapping[str, Any], changes: Mapping[str, Any], nodes: list[str], parts: Mapping[str, list[str]], fault: Fault
) -> list[list[str]]:
    added, removed, replaced = (
        joint_pairs(changes.get(name) or [], name, fault) for name in ("add_bones", "remove_bones", "bones")
    )
    bones = list(replaced) if "bones" in changes else [bone for bone in base["bones"] if set(bone) <= set(nodes)]
    there_already = {frozenset(bone) for bone in bones}
    connect = changes.get("connect")
    if connect not in (None, "all", "parts"):
        raise fault("connect", f"expected parts or all, found {shown(connect)}")
    for group in [nodes] if connect == "all" else parts.values() if connect == "parts" else ():
        bones += [[child, parent] for parent, child in combinations(group, 2) if {parent, child} not in there_already]
    for bone in removed:
        if not (there := [other for other in bones if set(other) == set(bone)]):
            raise fault("remove_bones", f"there is no bone {' - '.join(bone)} between nodes to remove")
        bones.remove(there[0])
    if unknown := [joint for bone in added for joint in bone if joint not in nodes]:
        raise fault("add_bones", f"no node is called {unknown[0]!r}")
    return bones + added
