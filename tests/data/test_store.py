"""The store: what goes in comes out, nothing half-written is opened, nothing whole is lost."""

from __future__ import annotations

import errno
import os
import pickle
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology

TINY = load_topology("tiny5")


def body(start: int, present: list[bool]) -> Body:
    frames = np.random.randn(len(present), 5, 3).astype(np.float32)
    mask = np.array(present)
    return Body(start=start, frames=np.where(mask[:, None, None], frames, 0), present=mask)


def some_clips() -> list[Clip]:
    return [
        Clip(name="first", label=1, subject=7, camera=2, setup=3, bodies=(body(0, [True] * 4), body(2, [True, False, True]))),
        Clip(name="zweite ü", label=0, subject=-1, camera=-1, setup=-1, bodies=(body(3, [True]),)),
        Clip(name="third", label=-1, subject=1, camera=1, setup=1, bodies=(body(0, [True] * 9),)),
    ]


def write(path: Path, clips: list[Clip]) -> Path:
    with StoreWriter(path, topology=TINY, classes=("a", "b"), format="test", options={"x": 1}) as writer:
        for clip in clips:
            writer.add(clip)
        writer.splits = {"xsub": writer.fields()["subject"] > 0, "none": np.zeros(len(clips), bool)}
    return path


def assert_same(a: Clip, b: Clip) -> None:
    fields = ("name", "label", "subject", "camera", "setup", "length")
    assert [getattr(a, f) for f in fields] == [getattr(b, f) for f in fields]
    assert len(a.bodies) == len(b.bodies)
    for one, other in zip(a.bodies, b.bodies, strict=True):
        assert one.start == other.start
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_array_equal(one.present, other.present)


def test_round_trip(tmp_path: Path) -> None:
    clips = some_clips()
    store = open_store(write(tmp_path / "store", clips))
    assert len(store) == 3
    for clip, back in zip(clips, store, strict=True):
        assert_same(clip, back)
    assert_same(store[-1], clips[2])
    with pytest.raises(IndexError):
        store[3]
    assert store.topology.to_dict() == TINY.to_dict()
    assert (store.classes, store.format, store.options, store.origin) == (("a", "b"), "test", {"x": 1}, "none")
    assert store.length.tolist() == [5, 4, 9]
    assert store.body_offset.tolist() == [0, 4, 7, 8, 17]
    assert store.body_start.tolist() == [0, 2, 3, 0]
    assert store.clip_offset.tolist() == [0, 2, 3, 4]
    assert store.splits["xsub"]["train"].tolist() == [0, 2]
    assert store.splits["xsub"]["test"].tolist() == [1]
    assert store.splits["none"]["train"].dtype == np.int64
    assert not store.splits["none"]["train"].size


def test_memory_maps_travel_by_path(tmp_path: Path) -> None:
    store = open_store(write(tmp_path / "store", some_clips()))
    assert isinstance(store.frames, np.memmap)
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    assert_same(pickle.loads(sent)[0], store[0])


def test_as_many_clips_as_ntu_120_open_at_once(tmp_path: Path) -> None:
    """A store of one clip, its tables repeated: to write so many with all shapes checked would take minutes."""
    clips = 114_480
    path = write(tmp_path / "store", some_clips()[1:2])
    for name in (*ARRAYS, "subject", "camera", "setup"):
        array = np.load(path / f"{name}.npy")
        np.save(
            path / f"{name}.npy",
            np.arange(clips + 1) if "offset" in name else np.repeat(array, clips, axis=-1 if name == "parts" else 0),
        )
    text = (path / "store.yaml").read_text()
    (path / "store.yaml").write_text(re.sub(r"(clips|bodies|frames): 1", rf"\g<1>: {clips}", text))
    began = time.process_time()
    store = open_store(path)
    assert time.process_time() - began < 0.5
    assert (len(store), store[clips - 1].name) == (clips, "zweite ü")


def test_without_splits(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", topology=TINY, classes=()) as writer:
        writer.add(some_clips()[1])
    assert open_store(tmp_path / "store").splits == {}


def test_an_error_leaves_the_old_store_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "store", some_clips())
    with pytest.raises(KeyboardInterrupt), StoreWriter(path, topology=TINY, classes=("a",)) as writer:
        writer.add(some_clips()[0])
        raise KeyboardInterrupt
    assert len(open_store(path)) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["store"], "nothing is left beside it"


def test_a_full_disk(tmp_path: Path) -> None:
    path = write(tmp_path / "store", some_clips())
    with (
        pytest.raises(InputError, match="cannot write the store: No space left on device"),
        StoreWriter(path, topology=TINY, classes=("a",)) as writer,
    ):
        writer.add(some_clips()[0])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert len(open_store(path)) == 3


def test_a_new_store_replaces_the_old(tmp_path: Path) -> None:
    path = write(tmp_path / "store", some_clips())
    old = open_store(path)
    write(path, some_clips()[:1])
    assert len(open_store(path)) == 1
    assert old[2].length == 9, "who has the old one open can go on reading it"
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_an_empty_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no clip"), StoreWriter(tmp_path / "store", topology=TINY, classes=()):
        pass
    assert not list(tmp_path.iterdir())


def test_a_users_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is not a store"):
        write(tmp_path, some_clips())
    with pytest.raises(InputError, match="is not a store"):
        write(tmp_path / "thesis.tex", some_clips())
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_foreign_folders(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="not a store"):
            open_store(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 2", "version: 3", "version: found 3, expected 2"),
        ("clips: 3", "clips: 4", r"\.npy: found shape"),
        ("clips: 3", "clips: many", "counts.clips: expected a number, found 'many'"),
        ("classes:\n- a\n- b\n", "", "classes: expected a list, found None"),
        ("centre: ", "centre: x", "centre: no joint is called"),
        ("version: 2", "version: [", "not readable as YAML"),
        ("version: 2", "{}", "store.yaml"),
    ],
)
def test_damaged_descriptions(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path / "store", some_clips()) / "store.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        open_store(path.parent)
    assert "\n" not in str(error.value)


ARRAYS = ("frames", "present", "parts", "name", "body_offset", "body_start", "clip_offset", "label", "length")


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "header", "dtype", "shape", "pickle"])
def test_damaged_arrays(tmp_path: Path, name: str, damage: str) -> None:
    path = write(tmp_path / "store", some_clips()) / f"{name}.npy"
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage in ("empty", "cut", "header"):
        path.write_bytes({"empty": b"", "cut": whole[:-1], "header": b"\x00" * 128 + whole[128:]}[damage])
    elif damage == "pickle":
        np.save(path, np.array([None, {}], object), allow_pickle=True)
    else:
        array = np.load(path)
        np.save(path, array.astype(np.complex64) if damage == "dtype" and name != "name" else array[..., None])
    with pytest.raises(InputError) as error:
        open_store(path.parent)
    assert f"{name}.npy" in str(error.value)
    assert "\n" not in str(error.value)


def test_offsets_that_do_not_rise(tmp_path: Path) -> None:
    path = write(tmp_path / "store", some_clips()) / "body_offset.npy"
    np.save(path, np.array([0, 4, 3, 8, 17]))
    with pytest.raises(InputError, match="offsets that rise"):
        open_store(path.parent)


@settings(max_examples=25, deadline=None)
@given(
    clips=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.lists(st.booleans(), max_size=6)), min_size=1, max_size=3),
        min_size=1,
        max_size=5,
    )
)
def test_any_clips_come_back(tmp_path_factory: pytest.TempPathFactory, clips: list[list[tuple[int, list[bool]]]]) -> None:
    path = tmp_path_factory.mktemp("any") / "store"
    made = [
        Clip(name=f"c{i}", label=i % 2, bodies=tuple(body(start, [True, *present, True]) for start, present in bodies))
        for i, bodies in enumerate(clips)
    ]
    store = open_store(write(path, made))
    for clip, back in zip(made, store, strict=True):
        assert_same(clip, back)
