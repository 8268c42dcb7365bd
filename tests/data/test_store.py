"""The store: what goes in comes out, nothing half-written is opened, nothing whole is lost."""

from __future__ import annotations

import errno
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masksem_graph.data import description
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.errors import InputError
from masksem_graph.files import digest
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


def reseal(path: Path, **changes: object) -> None:
    """Make a store's checksums fit what is in it, as somebody could who writes stores by another program."""
    fields = yaml.safe_load((path / "store.yaml").read_text()) | changes
    del fields["fingerprint"]
    fields["checksums"] = {name: digest(path / f"{name}.npy") for name in description.ARRAYS}
    text = yaml.safe_dump(fields | {"fingerprint": description._fingerprint(fields)})
    (path / "store.yaml").write_text(text)


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
    np.save(path / "name.npy", np.char.add("clip ", np.arange(clips).astype(str)))
    counts = dict.fromkeys(("clips", "bodies", "frames"), clips)
    reseal(path, counts=counts | {"skipped": 0, "filled": 0})
    began = time.process_time()
    store = open_store(path)
    assert time.process_time() - began < 0.5
    assert (len(store), store[clips - 1].name) == (clips, "clip 114479")


def test_without_splits(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", topology=TINY, classes=("a",)) as writer:
        writer.add(some_clips()[1])
    assert open_store(tmp_path / "store").splits == {}


def test_an_error_leaves_the_old_store_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "store", some_clips())
    with pytest.raises(KeyboardInterrupt), StoreWriter(path, topology=TINY, classes=("a", "b")) as writer:
        writer.add(some_clips()[0])
        raise KeyboardInterrupt
    assert len(open_store(path)) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["store"], "nothing is left beside it"


def test_a_full_disk(tmp_path: Path) -> None:
    path = write(tmp_path / "store", some_clips())
    with (
        pytest.raises(InputError, match="cannot be written: No space left on device"),
        StoreWriter(path, topology=TINY, classes=("a", "b")) as writer,
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
    for path, message in ((tmp_path, "not a store"), (tmp_path / "missing", "no such store")):
        with pytest.raises(InputError, match=message):
            open_store(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version: found 2, expected 3; prepare the store again"),
        ({"counts": {"clips": 3}}, "counts: found {'clips': 3}, expected numbers of clips, bodies, frames, skipped, filled"),
        ({"counts": dict.fromkeys(description.COUNTS, -1)}, "counts: found"),
        ({"counts": dict.fromkeys(description.COUNTS, "many")}, "counts: found"),
        ({"counts": dict.fromkeys(description.COUNTS, 4)}, r"frames.npy: found shape"),
        ({"classes": None}, "classes: found None, expected a list of names, each once"),
        ({"classes": ["a", "a"]}, "classes: found ['a', 'a'], expected"),
        ({"classes": ["a"]}, "label.npy: damaged, expected labels from 0 to 0, or -1"),
        ({"classes": "ab"}, "classes: found 'ab'"),
        ({"splits": [1, 2]}, "splits: found [1, 2]"),
        ({"origin": "left"}, "origin: found 'left', expected centre or none"),
        ({"units": ""}, "units: found ''"),
        ({"dimensions": 2}, "dimensions: found 2, but the topology has 3"),
        ({"dimensions": True}, "dimensions: found True"),
        ({"options": {"x": [1]}}, "options: found {'x': [1]}, expected a mapping of options to plain values"),
        ({"options": {1: 1}}, "options: found"),
        ({"topology": TINY.to_dict() | {"centre": "x"}}, "centre: no joint is called 'x'"),
        ({"topology": TINY.to_dict() | {"joints": [TINY.joints[0]] * 5}}, "joints: "),
        ({"topology": TINY.to_dict() | {"name": "../home/x"}}, "name: found '../home/x', expected a short name"),
        ({"topology": 5}, "topology: found 5"),
        ({"more": 5}, "more: unknown field"),
    ],
)
def test_descriptions_that_cannot_be(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write(tmp_path / "store", some_clips())
    reseal(path, **changes)
    with pytest.raises(InputError) as error:
        open_store(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"origin: none", b"origin: centre", "was changed or damaged after it was written"),
        (b"- a\n- b", b"- a\n- c", "was changed or damaged after it was written"),
        (b"version: 3", b"version: [", "not a readable YAML file"),
        (b"version: 3", b"{}", "store.yaml"),
        (b"version: 3", b"version: \xe9", "is not UTF-8"),
        (b"version: 3", b"version: 3\nversion: 3", "'version' stands twice"),
        (b"version: 3", b"v: " + b"[" * 3000, "is nested deeper than 50 levels"),
        (b"fingerprint: ", b"fingerprint: 0", "was changed or damaged after it was written"),
        (b"  parts:\n", b"  parts:\n    1: []\n", "was changed or damaged after it was written"),
    ],
)
def test_damaged_descriptions(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    path = write(tmp_path / "store", some_clips()) / "store.yaml"
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        open_store(path.parent)
    assert "\n" not in str(error.value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_flipped_bit_is_seen(tmp_path: Path, data: st.DataObject) -> None:
    if not (tmp_path / "store").exists():
        write(tmp_path / "store", some_clips())
    file = data.draw(st.sampled_from(sorted((tmp_path / "store").iterdir())))
    whole = file.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))]) + whole[at + 1 :])
    try:
        before = yaml.safe_load(whole) if file.suffix == ".yaml" else None
        same = before is not None and _loaded(file) == before
        if not same:
            with pytest.raises(InputError) as error:
                open_store(tmp_path / "store")
            assert len(str(error.value).splitlines()) == 1
    finally:
        file.write_bytes(whole)


def _loaded(file: Path) -> object:
    try:
        return yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, ValueError):
        return None


def test_frames_need_not_be_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "store", some_clips())
    content = bytearray((path / "frames.npy").read_bytes())
    content[-1] ^= 1
    (path / "frames.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"frames\.npy: was changed or damaged after it was written: its checksum"):
        open_store(path)
    assert len(open_store(path, verify=False)) == 3
    monkeypatch.setenv("MASKSEM_GRAPH_VERIFY", "0")
    assert len(open_store(path)) == 3
    with pytest.raises(InputError, match=r"frames\.npy: was changed"):
        open_store(path, verify=True)


def test_the_fingerprint_is_that_of_the_clips(tmp_path: Path) -> None:
    clips = some_clips()
    one, same = open_store(write(tmp_path / "a", clips)), open_store(write(tmp_path / "b", clips))
    assert one.fingerprint == same.fingerprint
    clips[0].bodies[0].frames[0, 0, 0] += 1
    assert open_store(write(tmp_path / "c", clips)).fingerprint != one.fingerprint


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("label", np.array([1, 0, 99]), "labels from 0 to 1, or -1"),
        ("length", np.array([5, 4, -9]), "each clip's last frame"),
        ("body_start", np.array([0, 2, 3, -1]), "frames from 0"),
        ("name", np.array(["a", "a", "a"]), "each clip's name once"),
        ("parts", np.array([[1, 0, 1], [5, 0, 0]], np.int8), "1, 0 or -1"),
        ("body_offset", np.array([0, 4, 3, 8, 17]), "offsets that rise from 0 to 17"),
        ("clip_offset", np.array([0, 3, 2, 4]), "offsets that rise from 0 to 4"),
    ],
)
def test_tables_that_cannot_be(tmp_path: Path, name: str, value: np.ndarray, message: str) -> None:
    path = write(tmp_path / "store", some_clips())
    np.save(path / f"{name}.npy", value)
    reseal(path)
    with pytest.raises(InputError) as error:
        open_store(path)
    assert f"{name}.npy: damaged, expected {message}" in str(error.value)


def test_a_label_that_is_no_class_is_not_written(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="label: found 1, expected 0 to 0"),
        StoreWriter(tmp_path / "store", topology=TINY, classes=("a",)) as writer,
    ):
        writer.add(some_clips()[0])


def test_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = write(tmp_path / "store", some_clips())
    finally:
        os.umask(before)
    assert {oct(file.stat().st_mode & 0o777) for file in path.iterdir()} == {"0o640"}
    assert oct(path.stat().st_mode & 0o777) == "0o750"


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
