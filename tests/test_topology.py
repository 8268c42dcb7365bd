"""Topologies: what is shipped loads, what breaks a rule is refused in one line."""

from __future__ import annotations

import copy
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.topology import Topology, load_topology, parse_topology

SHIPPED = sorted(path.stem for path in shipped("graphs").glob("*.yaml"))
TINY: dict[str, Any] = load_topology("tiny5").to_dict()


def check_rules(topology: Topology) -> None:
    """What every topology promises to those who use it."""
    joints = topology.joints
    assert len(set(joints)) == len(joints) == len(topology) >= 1
    assert {joint for bone in topology.bones for joint in bone} <= set(joints)
    assert all(a != b for a, b in topology.bones)
    assert len({frozenset(bone) for bone in topology.bones}) == len(topology.bones)
    assert nx.is_connected(topology.graph)
    assert sorted(joint for part in topology.parts.values() for joint in part) == sorted(joints)
    assert {joint: topology.mirror[topology.mirror[joint]] for joint in joints} == {joint: joint for joint in joints}
    assert topology.centre in joints


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name: str) -> None:
    topology = load_topology(name)
    check_rules(topology)
    assert topology.name == name
    assert topology.source and topology.units in ("metres", "pixels")
    assert topology.dimensions == (2 if topology.units == "pixels" else 3)
    assert topology.index == {joint: i for i, joint in enumerate(topology.joints)}
    # Mirrored, a body has the same bones, the same parts, and the same pose.
    mirror = topology.mirror
    bones = {frozenset(bone) for bone in topology.bones}
    assert ({frozenset(mirror[joint] for joint in bone) for bone in bones} == bones) != name.endswith("_random")
    for joint in topology.joints:
        x, y, z = topology.rest_pose[joint]
        assert topology.rest_pose[mirror[joint]] == (-x, y, z)
        assert x * (joint.startswith("right_") - joint.startswith("left_")) >= 0, "x points to the person's right"
    if topology.frame:
        right, left = topology.frame["hips"]
        assert mirror[right] == left and topology.rest_pose[right][0] > 0, "the right one first"
    parts = {frozenset(members) for members in topology.parts.values()}
    assert {frozenset(mirror[joint] for joint in members) for members in parts} == parts
    again = parse_topology(yaml.safe_load(yaml.safe_dump(topology.to_dict())), source_file="again")
    assert again.to_dict() == topology.to_dict()


@pytest.mark.parametrize(
    ("name", "joints", "bones", "parts", "pairs"),
    [
        ("ntu25", 25, 24, 5, 10),
        ("kinect20", 20, 19, 5, 8),
        ("tiny5", 5, 4, 3, 1),
        ("ntu25_hands", 25, 24, 5, 10),
        ("coco17", 17, 16, 5, 8),
        ("openpose18", 18, 17, 6, 8),
        ("body25", 25, 24, 6, 11),
        ("mediapipe33_image", 33, 39, 5, 16),
        ("h36m17", 17, 16, 5, 6),
        ("smpl24", 24, 23, 5, 9),
        ("mediapipe33", 33, 39, 5, 16),
        ("sbu15", 15, 14, 5, 6),
        ("utd20", 20, 19, 5, 8),
    ],
)
def test_counts(name: str, joints: int, bones: int, parts: int, pairs: int) -> None:
    topology = load_topology(name)
    assert (len(topology), len(topology.bones), len(topology.parts)) == (joints, bones, parts)
    assert sum(a != b for a, b in topology.mirror.items()) == 2 * pairs


# Pairs of joint numbers as each source lists them.
PUBLISHED = {
    # ST-GCN's graph (feeders/graph of its repository), from 1.
    "ntu25": (
        1,
        "1-2 2-21 3-21 4-3 5-21 6-5 7-6 8-7 9-21 10-9 11-10 12-11 13-1 14-13 15-14 16-15 17-1 18-17 19-18 20-19 "
        "22-23 23-8 24-25 25-12",
    ),
    # connecting_joint of the data set's own MATLAB code, from 1; it joins 1 and 2 twice over.
    "ntu25_hands": (
        1,
        "1-2 2-21 3-21 4-3 5-21 6-5 7-6 8-7 9-21 10-9 11-10 12-11 13-1 14-13 15-14 16-15 17-1 18-17 19-18 20-19 "
        "22-8 23-8 24-12 25-12",
    ),
    # pyskl's COCO graph, from 0.
    "coco17": (0, "15-13 13-11 16-14 14-12 11-5 12-6 9-7 7-5 10-8 8-6 5-0 6-0 1-0 3-1 2-0 4-2"),
    # OpenPose's POSE_COCO_PAIRS_RENDER, from 0.
    "openpose18": (0, "1-2 1-5 2-3 3-4 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 1-0 0-14 14-16 0-15 15-17"),
    # OpenPose's POSE_BODY_25_PAIRS_RENDER_GPU, from 0.
    "body25": (
        0,
        "1-8 1-2 1-5 2-3 3-4 5-6 6-7 8-9 9-10 10-11 8-12 12-13 13-14 1-0 0-15 15-17 0-16 16-18 14-19 19-20 14-21 11-22 22-23 "
        "11-24",
    ),
    # VideoPose3D's parents, from 0.
    "h36m17": (0, "1-0 2-1 3-2 4-0 5-4 6-5 7-0 8-7 9-8 10-9 11-8 12-11 13-12 14-8 15-14 16-15"),
    # SMPL's kintree_table, from 0.
    "smpl24": (
        0,
        "1-0 2-0 3-0 4-1 5-2 6-3 7-4 8-5 9-6 10-7 11-8 12-9 13-9 14-9 15-12 16-13 17-14 18-16 19-17 20-18 21-19 22-20 23-21",
    ),
    # MediaPipe's POSE_CONNECTIONS, from 0, and our four that join face, mouth and body.
    "mediapipe33": (
        0,
        "0-1 1-2 2-3 3-7 0-4 4-5 5-6 6-8 9-10 11-12 11-13 13-15 15-17 15-19 15-21 17-19 12-14 14-16 16-18 16-20 16-22 18-20 "
        "11-23 12-24 23-24 23-25 24-26 25-27 26-28 27-29 28-30 29-31 30-32 27-31 28-32 0-9 0-10 0-11 0-12",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_bones(name: str) -> None:
    first, published = PUBLISHED[name]
    topology = load_topology(name)
    ours = {frozenset((topology.index[a] + first, topology.index[b] + first)) for a, b in topology.bones}
    assert ours == {frozenset(map(int, bone.split("-"))) for bone in published.split()}


@pytest.mark.parametrize("name", ["ntu25", "kinect20"])
def test_variants_keep_the_joints(name: str) -> None:
    body = load_topology(name)
    for variant, bones in (("long", len(body) + 3), ("full", len(body) * (len(body) - 1) // 2), ("random", len(body) - 1)):
        topology = load_topology(f"{name}_{variant}")
        assert (topology.joints, topology.parts, topology.mirror) == (body.joints, body.parts, body.mirror)
        assert len(topology.bones) == bones
    parts = load_topology(f"{name}_parts")
    joined = {frozenset(bone) for bone in parts.bones}
    within = {frozenset(pair) for joints in body.parts.values() for pair in combinations(joints, 2)}
    assert joined == within | {frozenset(bone) for bone in body.bones}


@pytest.mark.parametrize("name", ["ntu25_random", "kinect20_random"])
def test_the_random_trees_are_trees_of_their_own(name: str) -> None:
    tree, body = load_topology(name), load_topology(name.removesuffix("_random"))
    assert nx.is_tree(tree.graph)
    shared = {frozenset(bone) for bone in tree.bones} & {frozenset(bone) for bone in body.bones}
    assert len(shared) < len(body.bones) / 4


def test_parents() -> None:
    assert load_topology("tiny5").parents == (0, 0, 1, 1, 0)
    topology = load_topology("ntu25")
    named = {joint: topology.joints[parent] for joint, parent in zip(topology.joints, topology.parents, strict=True)}
    assert named["spine_middle"] == "spine_middle"
    assert named["spine_base"] == named["spine_shoulder"] == "spine_middle"
    assert named["left_hand_tip"] == "left_thumb"
    assert named["right_hip"] == "spine_base"


def test_parents_do_not_depend_on_how_bones_are_written() -> None:
    turned = {**TINY, "bones": [bone[::-1] for bone in reversed(TINY["bones"])]}
    assert parse_topology(turned, source_file="turned").parents == (0, 0, 1, 1, 0)


def test_mirror_and_texts_may_be_left_out() -> None:
    fields = {name: value for name, value in TINY.items() if name not in ("mirror", "source", "units")}
    topology = parse_topology(fields, source_file="bare")
    assert topology.mirror == {joint: joint for joint in TINY["joints"]}
    assert (topology.units, topology.source) == ("metres", "")


FRAME = TINY["frame"]
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"bones": TINY["bones"][:-1]}, "bones: the skeleton is not connected: foot cannot be reached from the other joints"),
    ({"bones": [*TINY["bones"], ["foot", "foot"]]}, "bones: 'foot' is joined to itself"),
    ({"bones": [*TINY["bones"], ["hip", "foot"]]}, "bones: the bone hip - foot stands twice"),
    ({"bones": [*TINY["bones"], ["hip", "tail"]]}, "bones: no joint is called 'tail' (in ['hip', 'tail'])"),
    ({"bones": [*TINY["bones"], ["hip"]]}, "bones: expected a [joint, joint] pair, found ['hip']"),
    ({"bones": "hip-head"}, "bones: expected a list of [joint, joint] pairs, found 'hip-head'"),
    ({"joints": [*TINY["joints"], "hip"]}, "joints: 'hip' stands 2 times, expected once"),
    ({"joints": []}, "joints: expected a list of joint names, found []"),
    ({"joints": ["hip", 3]}, "joints: expected a list of joint names, found ['hip', 3]"),
    ({"parts": {**TINY["parts"], "leg": ["foot", "hip"]}}, "parts.leg: 'hip' is already in part 'trunk'"),
    (
        {"parts": {"trunk": ["hip", "head"], "leg": ["foot"]}},
        "parts: 'left_hand' is in no part, expected every joint in exactly one",
    ),
    ({"parts": {**TINY["parts"], "tail": ["tail"]}}, "parts.tail: no joint is called 'tail'"),
    ({"parts": {**TINY["parts"], "tail": []}}, "parts.tail: expected a list of joint names, found []"),
    ({"parts": [["hip"]]}, "parts: expected part: [joints], found [['hip']]"),
    (
        {"mirror": [["left_hand", "right_hand"], ["left_hand", "foot"]]},
        "mirror: 'left_hand' is paired with 'right_hand' and with 'foot', expected one partner",
    ),
    ({"mirror": [["left_hand", "tail"]]}, "mirror: no joint is called 'tail' (in ['left_hand', 'tail'])"),
    (
        {"mirror": {"left_hand": "right_hand"}},
        "mirror: expected a list of [joint, joint] pairs, found {'left_hand': 'right_hand'}",
    ),
    ({"centre": "tail"}, "centre: no joint is called 'tail'"),
    ({"centre": ["hip"]}, "centre: no joint is called ['hip']"),
    ({"rest_pose": {"hip": [0, 0, 0]}}, "rest_pose: 'head' is missing, expected every joint that is a node"),
    ({"rest_pose": {"tail": [0, 0, 0]}}, "rest_pose: no joint is called 'tail'"),
    ({"rest_pose": {"hip": [0, 0]}}, "rest_pose.hip: expected three numbers, found [0, 0]"),
    ({"rest_pose": {"hip": [0, 0, float("nan")]}}, "rest_pose.hip: expected three numbers, found [0, 0, nan]"),
    ({"rest_pose": {joint: [0, 1, 0] for joint in TINY["joints"]}}, "rest_pose: all joints are in the same place"),
    ({"frame": ["hip"]}, "frame: expected centre, spine, hips, each a list of joints, found ['hip']"),
    ({"frame": {"spine": ["head"]}}, "frame: expected centre, spine, hips, each a list of joints, found {'spine': ['head']}"),
    ({"frame": {**FRAME, "spine": "head"}}, "frame.spine: expected a list of joint names, found 'head'"),
    ({"frame": {**FRAME, "centre": ["tail"]}}, "frame.centre: no joint is called 'tail'"),
    ({"frame": {**FRAME, "hips": ["foot"]}}, "frame.hips: expected the right hip and the left one, found ['foot']"),
    ({"rest_pose": [1]}, "rest_pose: expected joint: [x, y, z], found [1]"),
    (
        {"limbs": []},
        "limbs: unknown field; a topology has bones, centre, context, frame, joints, mirror, name, parts, rest_pose, source, "
        "units",
    ),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message.split(",")[0][:50] for _, message in FAULTS])
def test_each_fault_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**TINY, **change}, sort_keys=False))
    with pytest.raises(InputError) as error:
        load_topology(path)
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize("name", ["name", "joints", "bones", "parts", "centre"])
def test_a_missing_field(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in TINY.items() if key != name}))
    with pytest.raises(InputError) as error:
        load_topology(path)
    assert str(error.value) == f"{path}: {name}: this field is missing"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- hip\n- head\n", "file: expected a mapping with bones, centre, .* found list"),
        ("", "file: expected a mapping with .* found NoneType"),
        ("name: [tiny\njoints: x", "not a readable YAML file: "),
        ("\xff\xfe", "byte 0 is not UTF-8, expected a YAML file of UTF-8 text"),
    ],
)
def test_what_is_no_mapping(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=f"^{path}: {message}") as error:
        load_topology(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "../home/x", "name: found '../home/x', expected a short name"),
        ("name", "a/b", "name: found 'a/b'"),
        ("name", ".hidden", "name: found '.hidden'"),
        ("name", "a\nb", "name: found 'a\\nb'"),
        ("name", "x" * 200, "name: found "),
        ("name", 3, "name: found 3"),
        ("units", "metre", "units: found 'metre', expected one of metres, centimetres, millimetres, relative, pixels"),
        ("units", 3, "units: found 3"),
        ("rest_pose", {"hip": [10**400, 0, 0]}, "rest_pose.hip: expected three numbers, found [1000"),
        ("bones", [["hip", "x" * 100_000]], "bones: no joint is called"),
    ],
)
def test_values_that_cannot_be(tmp_path: Path, field: str, value: object, message: str) -> None:
    fields = load_topology("tiny5").to_dict() | {field: value}
    with pytest.raises(InputError) as error:
        parse_topology(fields, source_file=tmp_path / "mine.yaml")
    assert str(error.value).startswith(f"{tmp_path / 'mine.yaml'}: {message}")
    assert len(str(error.value)) < 500


def test_an_unknown_name() -> None:
    with pytest.raises(InputError, match=r"^ntu26: no such file, and none of the shipped graphs; did you mean ntu25\?$"):
        load_topology("ntu26")
    with pytest.raises(InputError, match=r"graphs; expected one of body25, coco17, .*ntu25, .*tiny5"):
        load_topology("mine")
    for name in (".", "a\0b", "x" * 5000):
        with pytest.raises(InputError, match="no such file, and none of the shipped graphs"):
            load_topology(name)


names = st.sampled_from([*TINY["joints"], "tail", "", "two\nlines"])
junk = st.one_of(st.none(), st.booleans(), st.integers(-1, 2), names, st.just([]), st.just({}), st.lists(names, max_size=3))
mutations = st.one_of(
    st.tuples(st.sampled_from([*TINY, "limbs", "new\nline"]), junk),
    st.tuples(st.just("joints"), st.permutations(TINY["joints"]).flatmap(lambda j: st.sampled_from([j, j[:4], [*j, "tail"]]))),
    st.tuples(st.just("context"), st.lists(names, max_size=2)),
    st.tuples(st.just("bones"), st.lists(st.tuples(names, names).map(list), max_size=7)),
    st.tuples(st.just("mirror"), st.lists(st.tuples(names, names).map(list), max_size=3)),
    st.tuples(st.just("parts"), st.dictionaries(names, st.lists(names, max_size=4), max_size=3)),
    st.tuples(st.just("centre"), names),
    st.tuples(st.just("frame"), st.dictionaries(st.sampled_from(["centre", "spine", "hips"]), st.lists(names, max_size=3))),
)


@settings(max_examples=400, deadline=None)
@given(changes=st.lists(mutations, max_size=3), dropped=st.sets(st.sampled_from(list(TINY)), max_size=1))
def test_any_mapping_is_refused_in_one_line_or_keeps_the_rules(changes: list[tuple[str, Any]], dropped: set[str]) -> None:
    fields = copy.deepcopy({name: value for name, value in TINY.items() if name not in dropped})
    fields.update(copy.deepcopy(dict(changes)))
    try:
        topology = parse_topology(fields, source_file="mutant.yaml")
    except InputError as error:
        assert str(error).startswith("mutant.yaml: ")
        assert "\n" not in str(error)
    else:
        check_rules(topology)
        assert topology.parents[topology.index[topology.centre]] == topology.index[topology.centre]
