"""The reader of BVH files, and its forward kinematics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers.bvh import BVHReader, places, read_bvh
from masksem_graph.data.store import Store, open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology
from tests.recordings import BVH, save_bvh

NAMES = ["Hips", "Spine", "Head", "Head_end", "LeftLeg", "LeftLeg_end", "RightLeg", "RightLeg_end"]
REST = np.array([(0, 10, 0), (0, 14, 0), (0, 16, 0), (0, 17, 0), (2, 10, 0), (2, 5, 0), (-2, 10, 0), (-2, 5, 0)], float)


def stored(source: Path, output: Path, **options: Any) -> Store:
    return open_store(prepare("bvh", source, output, options=options, strict=True, origin="none").store)


def frames(path: Path) -> np.ndarray:
    return places(path, *read_bvh(path))


def test_rest_and_translation(tmp_path: Path) -> None:
    motion = np.zeros((3, 18))
    motion[1, :3], motion[2, :3] = (1, 2, 3), (-4, 0, 0.5)
    expected = REST + motion[:, None, :3]
    np.testing.assert_allclose(frames(save_bvh(tmp_path / "a.bvh", motion)), expected, atol=1e-6)


def test_rotations_by_hand(tmp_path: Path) -> None:
    """Z by 90 degrees takes x to y; the channels turn in their order, each about the axes turned so far."""
    motion = np.zeros((4, 18))
    motion[0, 3] = 90  # the whole body about z
    motion[1, 6] = 90  # the spine about z
    motion[2, 6:9] = (90, 90, 0)  # z, then x, which points up now
    motion[3, 6], motion[3, 9] = 90, -90  # the head back again
    found = frames(save_bvh(tmp_path / "a.bvh", motion))
    turned = (REST - REST[0])[:, [1, 0, 2]] * (-1, 1, 1) + REST[0]
    np.testing.assert_allclose(found[0], turned, atol=1e-5)
    np.testing.assert_allclose(found[1, 1:4], [(0, 14, 0), (-2, 14, 0), (-3, 14, 0)], atol=1e-5)
    # Rz Rx takes (0, 2, 0) to Rz (0, 0, 2) = (0, 0, 2).
    np.testing.assert_allclose(found[2, 1:4], [(0, 14, 0), (0, 14, 2), (0, 14, 3)], atol=1e-5)
    np.testing.assert_allclose(found[3, 1:4], [(0, 14, 0), (-2, 14, 0), (-2, 15, 0)], atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_bones_keep_their_lengths(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    motion = np.random.default_rng(seed).uniform(-180, 180, (3, 18))
    found = frames(save_bvh(tmp_path_factory.mktemp("bvh") / "a.bvh", motion))
    for child, parent, length in ((1, 0, 4), (2, 1, 2), (3, 2, 1), (4, 0, 2), (5, 4, 5), (6, 0, 2), (7, 6, 5)):
        np.testing.assert_allclose(np.linalg.norm(found[:, child] - found[:, parent], axis=-1), length, atol=1e-5)


def test_the_topology_is_made_and_written_beside_the_store(tmp_path: Path) -> None:
    motion = np.random.default_rng(0).uniform(-30, 30, (5, 18))
    for name in ("walk/a", "run/b"):
        save_bvh(tmp_path / f"in/{name}.bvh", motion)
    store = stored(tmp_path / "in", tmp_path / "stores/mine")
    topology = load_topology(tmp_path / "stores/mine.topology.yaml")
    assert topology == store.topology and list(topology.joints) == NAMES
    assert (topology.name, topology.units, topology.centre, store.classes) == ("bvh8", "relative", "Hips", ("run", "walk"))
    assert topology.bones == tuple(
        (NAMES[child], NAMES[parent]) for child, parent in ((1, 0), (2, 1), (3, 2), (4, 0), (5, 4), (6, 0), (7, 6))
    )
    assert topology.parts == {
        "Hips": ("Hips",),
        "Spine": ("Spine", "Head", "Head_end"),
        "LeftLeg": ("LeftLeg", "LeftLeg_end"),
        "RightLeg": ("RightLeg", "RightLeg_end"),
    }
    assert topology.mirror["LeftLeg_end"] == "RightLeg_end" and topology.mirror["Spine"] == "Spine"
    np.testing.assert_allclose(store[0].bodies[0].frames, frames(tmp_path / "in/run/b.bvh"), rtol=1e-6)


@pytest.mark.parametrize(("left", "right"), [("lLeg", "rLeg"), ("LLeg", "RLeg"), ("leg_l", "leg_r"), ("Leg.L", "Leg.R")])
def test_mirror_pairs_by_other_names(tmp_path: Path, left: str, right: str) -> None:
    head = BVH.replace("LeftLeg", left).replace("RightLeg", right)
    reader = BVHReader()
    reader.sources(save_bvh(tmp_path / "a.bvh", np.zeros((2, 18)), head))
    assert reader.skeleton.mirror[left] == right and reader.skeleton.mirror["Hips"] == "Hips"


def test_position_channels_of_other_joints(tmp_path: Path) -> None:
    """In the place of the offset, added to it as zeros, or refused."""
    head = BVH.replace("3 Zrotation Xrotation Yrotation\n    JOINT Head", "3 Xposition Yposition Zposition\n    JOINT Head")
    motion = np.zeros((2, 18))
    np.testing.assert_allclose(frames(save_bvh(tmp_path / "a.bvh", motion, head))[0], REST, atol=1e-6)
    motion[:, 6:9] = [(0, 4, 0), (0, 5, 1)]
    found = frames(save_bvh(tmp_path / "a.bvh", motion, head))
    np.testing.assert_allclose(found[:, 3], [(0, 17, 0), (0, 18, 1)], atol=1e-6)
    motion[0, 7] = 1
    with pytest.raises(
        InputError, match=r"Spine: its position channels begin with .*: added to its OFFSET, or in its place\?"
    ):
        frames(save_bvh(tmp_path / "a.bvh", motion, head))


def test_another_hierarchy_is_skipped(tmp_path: Path) -> None:
    save_bvh(tmp_path / "in/a/a.bvh", np.zeros((2, 18)))
    save_bvh(tmp_path / "in/a/b.bvh", np.zeros((2, 18)), BVH.replace("Spine", "Chest"))
    save_bvh(tmp_path / "in/a/c.bvh", np.zeros((2, 18)), BVH.replace("OFFSET 0 4 0", "OFFSET 0 5 0"))
    report = prepare("bvh", tmp_path / "in", tmp_path / "store")
    assert report.clips == 2
    assert "b.bvh: found 'Chest', expected the hierarchy of bvh8, 8 joints" in report.skipped[0][1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCHIE", "line 1: found 'HIERARCHIE', expected one ROOT"),
        ("OFFSET 0 4 0", "OFFSET 0 4", "line 8: found 'OFFSET 0 4', expected"),
        ("OFFSET 0 4 0", "OFFSET 0 4 x", "line 8: could not convert string to float: 'x', expected numbers"),
        ("OFFSET 0 4 0", "OFFSET 0 4 nan", "line 8: found 'nan', expected finite numbers"),
        ("CHANNELS 6", "CHANNELS 5", "line 5: found 'CHANNELS 5"),
        ("Xposition", "Wposition", "line 5: found the channel 'Wposition', expected Xposition"),
        ("JOINT Head", "JOINT Spine", "found two joints called 'Spine', expected each name once"),
        ("JOINT Spine", "ROOT Spine", "line 6: found 'ROOT Spine', expected one ROOT"),
        ("MOTION", "", "line 40: found 'Frames: 2', expected one ROOT"),
        ("Frames: FRAMES", "Frames: 3", "found 2 lines of motion, expected 3, as Frames: says"),
        (
            "Frames: FRAMES",
            "Frames: FRAMES 7",
            "MOTION: found 'Frames: 2 7 Frame Time: 0.00833333', expected Frames: and Frame Time:",
        ),
        ("      OFFSET 0 -5 0\n    }\n  }\n}", "      OFFSET 0 -5 0\n    }\n  }", "found no whole HIERARCHY and MOTION"),
    ],
)
def test_bad_files(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = save_bvh(tmp_path / "a.bvh", np.zeros((2, 18)), BVH.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        stored(path, tmp_path / "store")
    assert str(error.value).startswith(f"{path}: {message}")


def test_files_that_are_cut_off(tmp_path: Path) -> None:
    whole = save_bvh(tmp_path / "a.bvh", np.zeros((3, 18))).read_text()
    for end, message in (
        (-200, "lines of motion, expected 3"),
        (-20, "line 44: found 16 numbers, expected 18"),
        (300, "found no whole"),
    ):
        (tmp_path / "a.bvh").write_text(whole[:end])
        with pytest.raises(InputError, match=message):
            stored(tmp_path / "a.bvh", tmp_path / "store")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Any, data: st.DataObject
) -> None:
    path = save_bvh(tmp_path_factory.mktemp("mutated") / "a.bvh", np.zeros((2, 18)))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    one_line_or_finite(BVHReader(), path)
