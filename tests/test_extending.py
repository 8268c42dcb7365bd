"""Topologies that extend others, and joints found by name."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.errors import InputError
from masksem_graph.extending import extend
from masksem_graph.topology import Topology, encoder_topology, joint_columns, load_topology, parse_topology

TINY = load_topology("tiny5")


def write(folder: Path, name: str, /, **fields: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name} | fields, sort_keys=False))
    return path


def bones(topology: Topology) -> set[frozenset[str]]:
    return {frozenset(bone) for bone in topology.bones}


def test_nothing_changed_but_the_name(tmp_path: Path) -> None:
    topology = load_topology(write(tmp_path, "same", extends="tiny5"))
    assert topology.to_dict() == TINY.to_dict() | {"name": "same"}
    assert topology.inputs == topology.joints and not topology.context


def test_a_joint_left_out(tmp_path: Path) -> None:
    topology = load_topology(write(tmp_path, "four", extends="tiny5", without=["left_hand"]))
    assert topology.joints == topology.inputs == ("hip", "head", "right_hand", "foot")
    assert bones(topology) == {frozenset(pair) for pair in (("head", "hip"), ("right_hand", "head"), ("foot", "hip"))}
    assert topology.parts == {"trunk": ("hip", "head"), "arms": ("right_hand",), "leg": ("foot",)}
    assert topology.mirror["right_hand"] == "right_hand", "its partner is gone"
    assert not topology.frame, "one of its joints is gone"
    assert joint_columns(topology, TINY) == [0, 1, 3, 4]


def test_a_joint_set_aside(tmp_path: Path) -> None:
    path = write(tmp_path, "aside", extends="tiny5", context=["hip"], centre="head", add_bones=[["foot", "left_hand"]])
    topology = load_topology(path)
    assert topology.joints == ("head", "left_hand", "right_hand", "foot") and len(topology) == 4
    assert (topology.inputs, topology.context) == (TINY.joints, ("hip",))
    assert topology.parts == {"trunk": ("head",), "arms": ("left_hand", "right_hand"), "leg": ("foot",)}
    assert topology.parents == (0, 0, 0, 1) and topology.frame == TINY.frame
    assert joint_columns(topology, TINY) == [0, 1, 2, 3, 4]
    again = parse_topology(yaml.safe_load(yaml.safe_dump(topology.to_dict())), source_file="again")
    assert again.to_dict() == topology.to_dict() and again.inputs == topology.inputs and again.parents == topology.parents


def test_joints_set_aside_keep_their_mirror_pairs(tmp_path: Path) -> None:
    topology = load_topology(write(tmp_path, "aside", extends="tiny5", context=["left_hand", "right_hand"]))
    assert topology.mirror == TINY.mirror and topology.joints == ("hip", "head", "foot")
    again = parse_topology(topology.to_dict(), source_file="again")
    assert again == topology


def test_bones_and_whole_fields_replaced(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "remove_bones": [["hip", "foot"]],
        "add_bones": [["foot", "head"]],
        "source": "mine",
        "mirror": [],
    }
    topology = load_topology(write(tmp_path, "bent", extends="tiny5", parts={"all": list(TINY.joints)}, **changes))
    assert frozenset(("foot", "head")) in bones(topology) and frozenset(("foot", "hip")) not in bones(topology)
    assert topology.parts == {"all": TINY.joints} and topology.source == "mine"
    assert topology.mirror["left_hand"] == "left_hand"


def test_every_two_joints_joined(tmp_path: Path) -> None:
    everyone = load_topology(write(tmp_path, "everyone", extends="tiny5", connect="all"))
    assert bones(everyone) == {frozenset(pair) for pair in combinations(TINY.joints, 2)} and len(everyone.bones) == 10
    parts = load_topology(write(tmp_path, "parts", extends="tiny5", connect="parts"))
    assert bones(parts) == bones(TINY) | {frozenset(("left_hand", "right_hand"))} and len(parts.bones) == 5
    without = load_topology(write(tmp_path, "without", extends="tiny5", connect="all", without=["foot"]))
    assert bones(without) == {frozenset(pair) for pair in combinations(TINY.joints[:4], 2)}
    fewer = load_topology(write(tmp_path, "fewer", extends="tiny5", connect="all", remove_bones=[["foot", "head"]]))
    assert bones(fewer) == bones(everyone) - {frozenset(("foot", "head"))}


def test_other_bones(tmp_path: Path) -> None:
    star = [[joint, "hip"] for joint in TINY.joints[1:]]
    topology = load_topology(write(tmp_path, "star", extends="tiny5", bones=star))
    assert bones(topology) == {frozenset(bone) for bone in star}
    changed = load_topology(write(tmp_path, "changed", extends="tiny5", bones=star, add_bones=[["foot", "head"]]))
    assert bones(changed) == bones(topology) | {frozenset(("foot", "head"))}


def test_the_rest_pose_goes_along(tmp_path: Path) -> None:
    topology = load_topology(write(tmp_path, "four", extends="tiny5", without=["left_hand"]))
    assert topology.rest_pose == {joint: place for joint, place in TINY.rest_pose.items() if joint != "left_hand"}
    aside = load_topology(write(tmp_path, "aside", extends="tiny5", context=["foot"]))
    assert aside.rest_pose == TINY.rest_pose, "an input joint has its place too"


def test_a_chain(tmp_path: Path) -> None:
    """Each file beside the one that extends it, by name or by file name."""
    write(tmp_path, "one", extends="tiny5", context=["left_hand"])
    write(tmp_path, "two", extends="one", without=["right_hand"])
    topology = load_topology(write(tmp_path, "three", extends="two.yaml", context=["foot"]))
    assert topology.joints == ("hip", "head") and topology.bones == (("head", "hip"),)
    assert topology.inputs == ("hip", "head", "left_hand", "foot") and topology.context == ("left_hand", "foot")
    assert joint_columns(topology, TINY) == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("name", "nodes", "context"), [("ntu25_limbs", 18, 7), ("kinect20_limbs", 13, 7), ("tiny5_limbs", 4, 1)]
)
def test_shipped(name: str, nodes: int, context: int) -> None:
    topology, base = load_topology(name), load_topology(name.removesuffix("_limbs"))
    assert (len(topology), len(topology.context), len(topology.bones)) == (nodes, context, nodes - 1)
    assert topology.inputs == base.joints
    assert all(joint in base.parts["trunk"] or "shoulder" in joint or "hip" in joint for joint in topology.context)
    # Where both ends are nodes, a bone of the base is a bone here.
    assert {bone for bone in bones(base) if bone <= set(topology.joints)} <= bones(topology)


def test_ha_cms_joints() -> None:
    """Numbered from 0, as its code picks them."""
    topology = load_topology("ntu25_limbs")
    place = {joint: i for i, joint in enumerate(topology.inputs)}
    assert [place[joint] for joint in topology.joints] == [2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23, 24]
    assert [place[joint] for joint in topology.context] == [0, 1, 4, 8, 12, 16, 20]


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"without": ["tail"]}, "without: no joint is called 'tail' in tiny5"),
    ({"context": "hip"}, "context: expected a list of joint names, found 'hip'"),
    ({"context": ["hip"], "without": ["hip"]}, "context: 'hip' is left out by `without`"),
    ({"remove_bones": [["foot", "head"]]}, "remove_bones: there is no bone foot - head between nodes to remove"),
    (
        {"context": ["foot"], "remove_bones": [["foot", "hip"]]},
        "remove_bones: there is no bone foot - hip between nodes to remove",
    ),
    ({"add_bones": [["foot", "hip"]]}, "bones: the bone foot - hip stands twice"),
    ({"add_bones": [["foot", "tail"]]}, "add_bones: no node is called 'tail'"),
    ({"context": ["foot"], "add_bones": [["foot", "head"]]}, "add_bones: no node is called 'foot'"),
    ({"add_bones": ["foot"]}, "add_bones: expected a [joint, joint] pair, found 'foot'"),
    ({"add_bones": "foot"}, "add_bones: expected a list of [joint, joint] pairs, found 'foot'"),
    ({"without": ["hip"]}, "bones: the skeleton is not connected: foot cannot be reached from the other joints"),
    ({"without": ["head", "left_hand", "right_hand", "hip"]}, "centre: no joint is called 'hip'"),
    ({"context": list(TINY.joints)}, "context: all joints are context, expected at least one node"),
    ({"connect": "some"}, "connect: expected parts or all, found 'some'"),
    ({"bones": "none"}, "bones: expected a list of [joint, joint] pairs, found 'none'"),
    ({"bones": [["head", "tail"]]}, "bones: no joint is called 'tail' (in ['head', 'tail'])"),
    ({"joints": ["hip"]}, "joints: not a field of a topology that extends another, which has add_bones, bones, centre, "),
    ({"name": 3}, "name: expected a text, found 3"),
    ({"extends": "tiny6"}, "extends: tiny6: no such file, and none of the shipped graphs; did you mean tiny5?"),
    ({"extends": ["tiny5"]}, "extends: expected the name or path of a topology, found ['tiny5']"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message.split(",")[0][:60] for _, message in FAULTS])
def test_each_fault_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path, "mine", **({"extends": "tiny5"} | change))
    with pytest.raises(InputError) as error:
        load_topology(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_context_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="context: 'hip' is context in tiny5_limbs already"):
        load_topology(write(tmp_path, "mine", extends="tiny5_limbs", context=["hip"]))


@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c"]], ids="".join)
def test_circles_are_refused(tmp_path: Path, circle: list[str]) -> None:
    for name, following in zip(circle, [*circle[1:], circle[0]], strict=True):
        write(tmp_path, name, extends=following)
    write(tmp_path, "outside", extends="a")
    for start in ("a", "outside"):
        with pytest.raises(InputError) as error:
            load_topology(tmp_path / f"{start}.yaml")
        chain = " -> ".join(f"{name}.yaml" for name in [*circle, "a"])
        assert str(error.value) == f"{tmp_path / 'a.yaml'}: extends: a circle: {chain}"


def test_a_fault_further_down_the_chain_names_its_file(tmp_path: Path) -> None:
    broken = write(tmp_path, "broken", extends="tiny5", centre="tail")
    with pytest.raises(InputError, match=f"^{broken}: centre: no joint is called 'tail'$"):
        load_topology(write(tmp_path, "mine", extends="broken"))


def test_context_in_a_file_of_its_own(tmp_path: Path) -> None:
    fields = TINY.to_dict() | {
        "context": ["foot"],
        "bones": TINY.to_dict()["bones"][:-1],
        "parts": {"all": list(TINY.joints[:4])},
    }
    topology = parse_topology(fields, source_file="mine")
    assert topology.context == ("foot",) and topology.inputs == TINY.joints
    with pytest.raises(InputError, match=r"^mine: context: no joint is called 'tail'$"):
        parse_topology(fields | {"context": ["tail"]}, source_file="mine")
    with pytest.raises(InputError, match=r"^mine: bones: no joint is called 'foot'"):
        parse_topology(fields | {"bones": TINY.to_dict()["bones"]}, source_file="mine")


joints = st.lists(st.sampled_from([*TINY.joints, "tail"]), max_size=3)
pairs = st.lists(st.lists(st.sampled_from([*TINY.joints, "tail"]), min_size=1, max_size=3), max_size=2)
junk = st.one_of(st.none(), st.integers(-1, 1), st.just({}), st.just("hip"))
fields = st.fixed_dictionaries(
    {},
    optional={
        "without": st.one_of(joints, junk),
        "context": st.one_of(joints, junk),
        "add_bones": st.one_of(pairs, junk),
        "remove_bones": st.one_of(pairs, junk),
        "centre": st.sampled_from([*TINY.joints, "tail"]),
        "limbs": junk,
    },
)


@settings(max_examples=200, deadline=None)
@given(changes=fields)
def test_any_change_is_refused_in_one_line_or_keeps_the_rules(changes: dict[str, Any]) -> None:
    def fault(name: str, message: str) -> InputError:
        return InputError(f"x: {name}: {message}")

    base = {"context": [], **TINY.to_dict()}
    try:
        written_out = extend(base, {"name": "x", "extends": "tiny5", **changes}, fault)
        topology = parse_topology(written_out, source_file="x")
    except InputError as error:
        assert str(error).startswith("x: ") and "\n" not in str(error)
    else:
        assert set(topology.joints) | set(topology.context) == set(topology.inputs) <= set(TINY.joints)
        assert not set(topology.joints) & set(topology.context)
        assert topology.inputs == tuple(joint for joint in TINY.joints if joint in topology.inputs), "the data's order"
        assert {joint for bone in topology.bones for joint in bone} <= set(topology.joints)
        assert sorted(joint for part in topology.parts.values() for joint in part) == sorted(topology.joints)
    assert base == {"context": [], **TINY.to_dict()}, "the base is left alone"


def test_the_encoders_topology() -> None:
    assert encoder_topology(None, TINY) is TINY
    assert encoder_topology("{data}_limbs", TINY).name == "tiny5_limbs"
    assert encoder_topology("tiny5_limbs", TINY).name == "tiny5_limbs"
    with pytest.raises(InputError, match=r"^model\.topology: tiny5_limbs: its joint 'hip' is not one of the 20 joints"):
        encoder_topology("tiny5_limbs", load_topology("kinect20"))
    with pytest.raises(InputError, match=r"^tiny5_arms: no such file"):
        encoder_topology("{data}_arms", TINY)
