"""Skeleton topologies: a YAML file in, a validated graph of named joints out."""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import networkx as nx

from masksem_graph.errors import InputError, shown
from masksem_graph.extending import Fault, extend, joint_pairs
from masksem_graph.files import find_yaml
from masksem_graph.plain_yaml import read_yaml

FRAME = ("centre", "spine", "hips")
UNITS = ("metres", "centimetres", "millimetres", "relative", "pixels")
"""What coordinates are measured in; ``relative`` is any other unit, a body's height for instance."""

FIELDS = {"name", "source", "units", "centre", "joints", "context", "bones", "parts", "mirror", "rest_pose", "frame"}


@dataclass(frozen=True, eq=False, repr=False)
class Topology:
    """A skeleton: named joints, the bones between them, and what is known of their places.

    docs/topologies.md describes the fields.

    Args:
        name, source, units, centre: as in the file.
        joints: names of the joints that are nodes, in the order of the data's joint axis.
        bones: (child, parent) pairs of joint names.
        parts: body part -> its joints; every joint is in exactly one part.
        mirror: input joint -> its counterpart on the other side; a joint without one maps to itself.
        inputs: all joints on the data's joint axis, in its order: `joints` and `context`.
        rest_pose: joint -> (x, y, z): x to the person's right, y up, z to the back, in any unit; empty where it is not known.
        frame: ``centre``, ``spine`` and ``hips`` (right, left) -> joints, of which the mean counts; empty where not known.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[str, str], ...]
    parts: dict[str, tuple[str, ...]]
    mirror: dict[str, str]
    centre: str
    units: str = "metres"
    source: str = ""
    inputs: tuple[str, ...] = ()
    rest_pose: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    frame: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", self.inputs or self.joints)

    def __len__(self) -> int:
        return len(self.joints)

    def __repr__(self) -> str:
        return f"Topology({self.name!r}: {len(self)} joints, {len(self.bones)} bones)"

    # By content: a topology that came back from a file or from another process is the same skeleton.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topology) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        texts = (self.name, self.joints, self.bones, self.centre, self.units, self.source, self.inputs)
        tables = (self.parts, self.mirror, self.rest_pose, self.frame)
        return (*texts, *(tuple(sorted(table.items())) for table in tables))

    @cached_property
    def graph(self) -> nx.Graph:
        """Joints and bones."""
        graph = nx.Graph(name=self.name)
        graph.add_nodes_from(self.joints)
        graph.add_edges_from(self.bones)
        return graph

    @cached_property
    def index(self) -> dict[str, int]:
        """Joint name -> position on the joint axis."""
        return {joint: i for i, joint in enumerate(self.joints)}

    @cached_property
    def context(self) -> tuple[str, ...]:
        """Joints that are input but no nodes: an encoder may look at them, nothing is masked or predicted there."""
        return tuple(joint for joint in self.inputs if joint not in self.index)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """For each joint the position of its neighbour on the way to the centre; the centre is its own parent."""
        towards = {child: parent for parent, child in nx.bfs_edges(self.graph, self.centre)}
        return tuple(self.index[towards.get(joint, joint)] for joint in self.joints)

    @property
    def dimensions(self) -> int:
        """How many of a joint's channels, from the first, say where it is: 2 in an image, else 3."""
        return 2 if self.units == "pixels" else 3

    def to_dict(self) -> dict[str, Any]:
        """The fields as they stand in a topology file; `parse_topology` reads them back."""
        return {
            **{name: getattr(self, name) for name in ("name", "source", "units", "centre")},
            "joints": list(self.inputs),
            **({"context": list(self.context)} if self.context else {}),
            "bones": [list(bone) for bone in self.bones],
            "parts": {part: list(joints) for part, joints in self.parts.items()},
            "mirror": [[a, b] for a, b in self.mirror.items() if self.inputs.index(a) < self.inputs.index(b)],
            **({"rest_pose": {joint: list(place) for joint, place in self.rest_pose.items()}} if self.rest_pose else {}),
            **({"frame": {name: list(joints) for name, joints in self.frame.items()}} if self.frame else {}),
        }


def load_topology(name_or_path: str | os.PathLike[str]) -> Topology:
    """Load and validate a topology: a YAML file, or the name of one in ``graphs/`` (``ntu25``, ``kinect20``, ...).

    Raises:
        InputError: the file is missing or breaks a rule; the line names the file, the field and the fault.
    """
    return _load(find_yaml(name_or_path, "graphs"), ())


def _load(path: Path, extended_by: tuple[Path, ...]) -> Topology:
    fields, fault = read_yaml(path), partial(_fault, path)
    if not isinstance(fields, dict) or "extends" not in fields:
        return parse_topology(fields, source_file=path)
    if path.resolve() in extended_by:
        chain = [*extended_by[extended_by.index(path.resolve()) :], path]
        raise fault("extends", f"a circle: {' -> '.join(step.name for step in chain)}")
    base = _load(_base(path, fields["extends"], fault), (*extended_by, path.resolve()))
    return parse_topology(extend({"context": [], **base.to_dict()}, fields, fault), source_file=path)


def _base(path: Path, named: Any, fault: Fault) -> Path:
    """The file that ``extends: named`` means: beside the extending one, or found like any other."""
    if not isinstance(named, str):
        raise fault("extends", f"expected the name or path of a topology, found {named!r}")
    for beside in (path.parent / named, path.parent / f"{named}.yaml"):
        if os.path.isfile(beside):  # which takes a name that is too long for one that is not there
            return beside
    try:
        return find_yaml(named, "graphs")
    except InputError as error:
        raise fault("extends", str(error)) from None


def encoder_topology(named: str | None, data: Topology) -> Topology:
    """The skeleton whose joints an encoder's nodes are; an `InputError` where there is none, or the data lack a joint of it.

    Args:
        named: a topology, by name or path, ``{data}`` standing for the data's own name; None for the data's own.
        data: of the clips.
    """
    if named is None:
        return data
    chosen = load_topology(named.replace("{data}", data.name))
    try:
        joint_columns(chosen, data)
    except InputError as error:
        raise InputError(f"model.topology: {error}") from None
    return chosen


def joint_columns(topology: Topology, data: Topology) -> list[int]:
    """Where the inputs of a topology stand on the data's joint axis, by name; an `InputError` where the data lack one."""
    place = {joint: i for i, joint in enumerate(data.inputs)}
    if missing := [joint for joint in topology.inputs if joint not in place]:
        raise InputError(f"{topology.name}: its joint {missing[0]!r} is not one of the {len(place)} joints of {data.name}")
    return [place[joint] for joint in topology.inputs]


def parse_topology(fields: Any, *, source_file: str | os.PathLike[str]) -> Topology:
    """Validate the fields of a topology file; the line of an `InputError` starts with ``source_file``."""
    fault = partial(_fault, source_file)
    if not isinstance(fields, dict):
        raise fault("file", f"expected a mapping with {', '.join(sorted(FIELDS))}, found {type(fields).__name__}")
    if unknown := set(map(str, fields)) - FIELDS:
        raise fault(sorted(unknown)[0], f"unknown field; a topology has {', '.join(sorted(FIELDS))}")
    if missing := {"name", "joints", "bones", "parts", "centre"} - set(fields):
        raise fault(sorted(missing)[0], "this field is missing")

    inputs = _names(fields["joints"], "joints", fault)
    aside = _names(fields["context"], "context", fault, among=inputs) if fields.get("context") else ()
    joints = tuple(joint for joint in inputs if joint not in aside)
    if not joints:
        raise fault("context", "all joints are context, expected at least one node")
    centre, units, name = fields["centre"], fields.get("units") or UNITS[0], fields["name"]
    bones = _bones(_pairs(fields["bones"], "bones", joints, fault), joints, fault)
    parts = _parts(fields["parts"], joints, fault)
    mirror = _mirror(_pairs(fields.get("mirror") or [], "mirror", inputs, fault), inputs, fault)
    if centre not in joints:
        raise fault("centre", f"no joint is called {shown(centre)}")
    if units not in UNITS:
        raise fault("units", f"found {shown(units)}, expected one of {', '.join(UNITS)}")
    # Files and folders are called after it.
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+ -]{0,99}", name):
        raise fault("name", f"found {shown(name)}, expected a short name of letters, digits, '_', '-' and '.'")
    return Topology(
        name=name,
        joints=joints,
        bones=bones,
        parts=parts,
        mirror=mirror,
        centre=centre,
        units=units,
        source=str(fields.get("source") or "").strip(),
        inputs=inputs,
        rest_pose=_rest_pose(fields.get("rest_pose") or {}, inputs, joints, fault),
        frame=_frame(fields.get("frame") or {}, inputs, fault),
    )


def _fault(source_file: str | os.PathLike[str], name: str, message: str) -> InputError:
    return InputError(" ".join(f"{Path(source_file)}: {name[:60]}: {message[:300]}".splitlines()))


def _names(value: Any, name: str, fault: Fault, *, among: tuple[str, ...] = ()) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise fault(name, f"expected a list of joint names, found {shown(value)}")
    if twice := [joint for joint in value if value.count(joint) > 1]:
        raise fault(name, f"{twice[0]!r} stands {value.count(twice[0])} times, expected once")
    if among and (unknown := [joint for joint in value if joint not in among]):
        raise fault(name, f"no joint is called {unknown[0]!r}")
    return tuple(value)


def _pairs(value: Any, name: str, joints: tuple[str, ...], fault: Fault) -> tuple[tuple[str, str], ...]:
    for pair in joint_pairs(value, name, fault):
        if unknown := [joint for joint in pair if joint not in joints]:
            raise fault(name, f"no joint is called {unknown[0]!r} (in {pair})")
    return tuple((a, b) for a, b in value)


def _bones(bones: tuple[tuple[str, str], ...], joints: tuple[str, ...], fault: Fault) -> tuple[tuple[str, str], ...]:
    graph = nx.Graph()
    graph.add_nodes_from(joints)
    for a, b in bones:
        if a == b:
            raise fault("bones", f"{a!r} is joined to itself")
        if graph.has_edge(a, b):
            raise fault("bones", f"the bone {a} - {b} stands twice")
        graph.add_edge(a, b)
    if not nx.is_connected(graph):
        smallest = min(nx.connected_components(graph), key=len)
        apart = sorted(smallest, key=joints.index)
        raise fault("bones", f"the skeleton is not connected: {', '.join(apart)} cannot be reached from the other joints")
    return bones


def _parts(value: Any, joints: tuple[str, ...], fault: Fault) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise fault("parts", f"expected part: [joints], found {shown(value)}")
    parts = {str(part): _names(members, f"parts.{part}", fault, among=joints) for part, members in value.items()}
    home: dict[str, str] = {}
    for part, members in parts.items():
        for joint in members:
            if joint in home:
                raise fault(f"parts.{part}", f"{joint!r} is already in part {home[joint]!r}")
            home[joint] = part
    if left_out := [joint for joint in joints if joint not in home]:
        raise fault("parts", f"{left_out[0]!r} is in no part, expected every joint in exactly one")
    return parts


def _mirror(pairs: tuple[tuple[str, str], ...], joints: tuple[str, ...], fault: Fault) -> dict[str, str]:
    mirror = {joint: joint for joint in joints}
    for a, b in pairs:
        for one, other in ((a, b), (b, a)):
            if mirror[one] not in (one, other) or one == other:
                raise fault("mirror", f"{one!r} is paired with {mirror[one]!r} and with {other!r}, expected one partner")
            mirror[one] = other
    return mirror


def _rest_pose(value: Any, inputs: tuple[str, ...], joints: tuple[str, ...], fault: Fault) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise fault("rest_pose", f"expected joint: [x, y, z], found {shown(value)}")
    for joint, place in value.items():
        if joint not in inputs:
            raise fault("rest_pose", f"no joint is called {joint!r}")
        if not isinstance(place, list) or len(place) != 3 or not all(map(_is_number, place)):
            raise fault(f"rest_pose.{joint}", f"expected three numbers, found {shown(place)}")
    if value and (missing := [joint for joint in joints if joint not in value]):
        raise fault("rest_pose", f"{missing[0]!r} is missing, expected every joint that is a node")
    if len(joints) > 1 and value and len({tuple(value[joint]) for joint in joints}) == 1:
        raise fault("rest_pose", "all joints are in the same place")
    return {joint: (float(x), float(y), float(z)) for joint, (x, y, z) in value.items()}


def _frame(value: Any, inputs: tuple[str, ...], fault: Fault) -> dict[str, tuple[str, ...]]:
    if not value:
        return {}
    if not isinstance(value, dict) or set(value) != set(FRAME):
        raise fault("frame", f"expected {', '.join(FRAME)}, each a list of joints, found {value!r}")
    frame = {name: _names(value[name], f"frame.{name}", fault, among=inputs) for name in FRAME}
    if len(frame["hips"]) != 2:
        raise fault("frame.hips", f"expected the right hip and the left one, found {list(frame['hips'])}")
    return frame


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
