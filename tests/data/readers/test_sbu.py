"""The reader of SBU Kinect Interaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers import Reader
from masksem_graph.data.readers.sbu import FOLDS, SBUReader
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology

LINE = ",".join(["0.5,0.25,1.5"] * 30)


def write(root: Path, text: str | None = None, place: str = "s01s02/04/001") -> Path:
    path = root / place / "skeleton_pos.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"7,{LINE}\n8,{LINE}\n" if text is None else text)
    return path


def test_coordinates_become_metres(tmp_path: Path) -> None:
    numbers = [0.5, 0.25, 1.5, 0.0, 1.0, 0.78125, *[0.5, 0.5, 1.0] * 28]
    path = write(tmp_path, "3," + ",".join(map(str, numbers)) + "\n")
    clip = SBUReader().read(path)
    assert (clip.name, clip.label, clip.subject, clip.camera, clip.setup) == ("s01s02_04_001", 3, 1, -1, -1)
    assert [body.frames.shape for body in clip.bodies] == [(1, 15, 3)] * 2
    np.testing.assert_allclose(clip.bodies[0].frames[0, :2], [[0, 0.48, 1.92], [1.28, -0.96, 1.0]], atol=1e-6)
    np.testing.assert_allclose(clip.bodies[1].frames[0, 14], [0, 0, 1.28], atol=1e-6)


def test_the_real_set(shared: Path, tmp_path: Path) -> None:
    """All 282 clips; each is tested in one fold; bones are as long as a person's, and classes move as they are called."""
    store = open_store(prepare("sbu", shared / "sbu", tmp_path / "store", workers=1, strict=True, origin="none").store)
    assert (len(store), store.topology.name, store.units) == (282, "sbu15", "metres")
    assert (np.diff(store.clip_offset) == 2).all()
    assert list(store.splits) == [f"fold{i}" for i in range(1, 6)]
    tested = np.concatenate([parts["test"] for parts in store.splits.values()])
    assert sorted(tested.tolist()) == list(range(282))
    assert all(len(parts["train"]) + len(parts["test"]) == 282 for parts in store.splits.values())
    index = load_topology("sbu15").index
    shins = np.linalg.norm(store.frames[:, index["left_knee"]] - store.frames[:, index["left_foot"]], axis=-1)
    assert 0.35 < np.median(shins) < 0.5
    upright = store.frames[:, index["head"], 1] - store.frames[:, index["left_foot"], 1]
    assert 1.1 < np.median(upright) < 1.6, "y points up"

    def apart(clip: int, joint: str) -> np.ndarray:
        one, other = store[clip].bodies
        return np.linalg.norm(one.frames[:, index[joint]] - other.frames[:, index[joint]], axis=-1)

    def each(name: str, measure: Callable[[int], float]) -> float:
        return float(np.mean([measure(i) for i in np.flatnonzero(store.label == store.classes.index(name)).tolist()]))

    def nearest(clip: int) -> float:
        return float(apart(clip, "spine_middle").min())

    def change(clip: int) -> float:
        return float(apart(clip, "spine_middle")[-1] - apart(clip, "spine_middle")[0])

    def hands(clip: int) -> float:
        held = [index["left_hand"], index["right_hand"]]
        one, other = (body.frames[:, held] for body in store[clip].bodies)
        return float(np.linalg.norm(one[:, :, None] - other[:, None], axis=-1).min())

    changes = {name: each(name, change) for name in store.classes}
    assert min(changes, key=changes.__getitem__) == "approaching"
    assert sorted(changes, key=changes.__getitem__)[-2:] == ["pushing", "departing"]
    assert min(store.classes, key=lambda name: each(name, nearest)) == "hugging"
    assert min(store.classes, key=lambda name: each(name, hands)) == "shaking hands"


def test_the_folds_are_disjoint() -> None:
    sets = [name for fold in FOLDS for name in fold]
    assert len(sets) == len(set(sets)) == 21


def test_a_person_of_zeros_is_not_there(tmp_path: Path) -> None:
    one = ",".join(["0.5,0.25,1.5"] * 15)
    write(tmp_path, f"1,{LINE}\n2,{one},{','.join(['0'] * 45)}\n")
    store = open_store(prepare("sbu", tmp_path, tmp_path / "store", strict=True).store)
    assert [len(body.frames) for body in store[0].bodies] == [2, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("7,1,2\n", "line 1: found 3 numbers, expected 91"),
        (f"7,{LINE}\n9,{LINE}\n", "line 2: found frame 9 after 7, expected the next one"),
        (f"7,{LINE}\n8,{LINE.replace('0.25', 'x', 1)}\n", "line 2: could not convert string to float"),
        (f"7,{LINE.replace('0.25', '1e300', 1)}\n", "line 1: found '1e300', expected finite numbers, or NaN"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        SBUReader().read(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        SBUReader().sources(tmp_path / "missing")
    with pytest.raises(InputError, match="holds no SBU clip"):
        SBUReader().sources(tmp_path)
    with pytest.raises(InputError, match="with a class from 01 to 08"):
        SBUReader().read(write(tmp_path, place="s01s02/09/001"))
    write(tmp_path, place="s09s01/01/001")
    with pytest.raises(InputError, match="found the set s09s01, which is in none of the published folds"):
        prepare("sbu", tmp_path, tmp_path / "store")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Callable[[Reader, Path], None], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("mutated")
    path = write(root)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
            st.sampled_from(b"\x00\xff,.-e9\n\r x") | st.integers(0, 255)
        )
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
    one_line_or_finite(SBUReader(), root)
