"""The reader of one's own clips."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.inspect import inspect_store
from masksem_graph.data.prepare import cached_store, prepare
from masksem_graph.data.readers import Reader
from masksem_graph.data.readers.folder import FolderReader
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology

TABLE = """file,label,subject,camera,place
walk/a.npy,walk,anna,1,hall
walk/b.npy,walk,ben,2,hall
run/a.npy,run,anna,1,yard
run/b.npy,run,ben,,yard
x.npy,,clara,2,
"""


def write(root: Path, *, table: str = TABLE, **description: object) -> Path:
    """Five clips on tiny5; run/b has two bodies, the second from frame 2 on."""
    root.mkdir(parents=True, exist_ok=True)
    fields = {"topology": "tiny5", "splits": {"yard": {"train": {"place": ["hall"]}}}} | description
    (root / "dataset.yaml").write_text(yaml.safe_dump({name: value for name, value in fields.items() if value is not None}))
    (root / "clips.csv").write_text(table)
    for name in ("walk/a", "walk/b", "run/a", "run/b", "x"):
        path = root / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        shape = (2, 4, 5, 3) if name == "run/b" else (4, 5, 3)
        array = 1 + np.random.rand(*shape)
        if name == "run/b":
            array[1, :2] = 0
        np.save(path, array)
    return root


def test_everything_arrives(tmp_path: Path) -> None:
    root = write(tmp_path / "own")
    store = open_store(prepare("folder", root, tmp_path / "store", origin="none", strict=True).store)
    assert store.name.tolist() == ["walk/a", "walk/b", "run/a", "run/b", "x"]
    assert store.classes == ("run", "walk")
    assert store.label.tolist() == [1, 1, 0, 0, -1]
    assert store.subject.tolist() == [1, 2, 1, 2, 3], "words are numbered as they are sorted"
    assert store.camera.tolist() == [1, 2, 1, -1, 2]
    assert store.setup.tolist() == [-1] * 5
    assert (store.body_start.tolist(), np.diff(store.clip_offset).tolist()) == ([0, 0, 0, 0, 2, 0], [1, 1, 1, 2, 1])
    np.testing.assert_array_equal(store[0].bodies[0].frames, np.load(root / "walk/a.npy").astype(np.float32))
    assert {part: index.tolist() for part, index in store.splits["yard"].items()} == {"train": [0, 1], "test": [2, 3, 4]}


def test_a_topology_beside_the_clips_and_classes_in_order(tmp_path: Path) -> None:
    root = write(tmp_path / "own", topology="mine.yaml", classes=["walk", "run", "jump"])
    text = (Path(__file__).parents[3] / "graphs" / "tiny5.yaml").read_text().replace("name: tiny5", "name: mine")
    (root / "mine.yaml").write_text(text)
    store = open_store(prepare("folder", root, tmp_path / "store", strict=True).store)
    assert (store.topology.name, store.classes) == ("mine", ("walk", "run", "jump"))
    assert store.label.tolist() == [0, 0, 1, 1, -1]


def test_labels_that_are_numbers_sort_as_numbers(tmp_path: Path) -> None:
    table = "file,label\nwalk/a.npy,10\nwalk/b.npy,9\n"
    reader = FolderReader()
    rows = reader.sources(write(tmp_path / "own", table=table, splits=None))
    assert (reader.classes, [row.clip.label for row in rows]) == (("9", "10"), [1, 0])


def test_points_of_an_image_get_a_score(tmp_path: Path) -> None:
    root = write(tmp_path / "own", topology="coco17", table="file,label\nwalk/a.npy,walk\n", splits=None)
    points = 1 + np.random.rand(4, 17, 2)
    points[2] = 0
    save(root / "walk/a.npy", points)
    (body,) = open_store(prepare("folder", root, tmp_path / "store", strict=True).store)[0].bodies
    assert body.present.tolist() == [True, True, False, True]
    assert body.frames[..., 2].tolist() == [[1.0] * 17, [1.0] * 17, [0.0] * 17, [1.0] * 17]
    np.testing.assert_allclose(body.frames[3, :, :2], points[3] - points[0, 0], rtol=1e-5)


def test_every_file_of_an_array_says_the_same(tmp_path: Path) -> None:
    root = write(tmp_path / "own", table="file,label\nwalk/a.npy,a\nb.npz,a\nc.csv,a\nd.csv,a\n", splits=None)
    array = np.load(root / "walk/a.npy")
    np.savez(root / "b.npz", array)
    rows, names = array.reshape(4, 15), ",".join(f"j{i}" for i in range(15))
    np.savetxt(root / "c.csv", rows, delimiter=",")
    np.savetxt(root / "d.csv", rows, delimiter=",", header=names, comments="")
    store = open_store(prepare("folder", root, tmp_path / "store", origin="none", strict=True).store)
    assert store.name.tolist() == ["walk/a", "b", "c", "d"]
    for clip in store:
        np.testing.assert_array_equal(clip.bodies[0].frames, array.astype(np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2\n3,4\n", "c.csv: found rows of [2] numbers, expected a multiple of 5 joints"),
        ("names\n" + "1," * 14 + "1\n" + "1," * 14 + "x\n", "c.csv: line 3: could not convert string to float: 'x'"),
        ("1," * 14 + "1\n1\n", "c.csv: found rows of [1, 15] numbers"),
        ("1,," + "1," * 12 + "1\n" + "1," * 14 + "1\n", "c.csv: line 1: could not convert string to float"),
        ("", "c.csv: found rows of [] numbers"),
    ],
)
def test_tables_that_are_no_clips(tmp_path: Path, content: str, message: str) -> None:
    root = write(tmp_path / "own", table="file,label\nc.csv,a\n", splits=None)
    (root / "c.csv").write_text(content)
    with pytest.raises(InputError) as error:
        prepare("folder", root, tmp_path / "store", strict=True)
    assert str(error.value).startswith(f"{root}/{message}")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "clips.csv: line 1: found nothing, expected the columns file and label; file is missing"),
        ("file,subject\n", "clips.csv: line 1: found file, subject, expected the columns file and label; label is missing"),
        ("file,label\n", "clips.csv: holds no clip"),
        ("file,label\nwalk/a.npy\n", "clips.csv: line 2: expected 2 cells"),
        ("file,label\nx.npy,\nwalk/a.npy,walk,1\n", "clips.csv: line 3: expected 2 cells"),
        ("file,label\n,walk\n", "clips.csv: line 2: file: found nothing"),
    ],
)
def test_bad_tables(tmp_path: Path, table: str, message: str) -> None:
    root = write(tmp_path / "own", table=table)
    with pytest.raises(InputError) as error:
        FolderReader().sources(root)
    assert str(error.value).startswith(f"{root}/{message}")


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"topology": None}, "dataset.yaml: topology: expected the name or the file"),
        ({"topology": "missing"}, "missing: no such file, and none of the shipped graphs"),
        ({"topology": "x" * 5000}, "no such file, and none of the shipped graphs"),
        ({"classes": ["walk", "walk"]}, "dataset.yaml: classes: expected a list of names, each once"),
        ({"class": ["walk"]}, "dataset.yaml: class: unknown field, expected topology, axes, classes, splits"),
        ({"splits": ["a"]}, "dataset.yaml: splits: found a list, expected name: split"),
        ({"splits": {"a": {"column": "colour"}}}, "splits.a.column: found 'colour', expected a column of the table"),
        ({"splits": {"a": {"train": "list.txt"}}}, "list.txt: cannot be read"),
    ],
)
def test_bad_descriptions(tmp_path: Path, description: dict[str, object], message: str) -> None:
    root = write(tmp_path / "own", **description)
    with pytest.raises(InputError) as error:
        prepare("folder", root, tmp_path / "store")
    assert message in str(error.value)


def save(path: Path, array: np.ndarray) -> None:
    np.save(path, array, allow_pickle=True)


def test_bad_clips_are_skipped(tmp_path: Path) -> None:
    root = write(tmp_path / "own", table=TABLE + "no.npy,walk,,,\nlies.npy,walk,,,\nwalk/a.npy,walk,,,\n", classes=["walk"])
    save(root / "walk/a.npy", np.full((4, 5, 3), np.inf))
    save(root / "walk/b.npy", np.ones((4, 6, 3)))
    save(root / "x.npy", np.array([None, {}]))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 5, 3)})
    (root / "lies.npy").write_bytes(header.getvalue())
    table = (root / "clips.csv").read_text()
    (root / "clips.csv").write_text(table + "good.npy,walk,,,\ngood.npy,walk,,,\nflat.npy,walk,,,\nempty.npy,walk,,,\n")
    save(root / "good.npy", np.ones((4, 5, 3), np.int16))
    save(root / "flat.npy", np.ones((4, 5, 4)))
    save(root / "empty.npy", np.ones((0, 5, 3)))
    report = prepare("folder", root, tmp_path / "store")
    assert report.clips == 1
    errors = [error.removeprefix(f"{root}/") for _, error in report.skipped]
    for error, start in zip(
        errors,
        [
            "walk/a.npy: [0, 0, 0]: found inf",
            "walk/b.npy: found shape [4, 6, 3], expected [T, V, C] or [M, T, V, C] of 5 joints; see axes",
            "clips.csv: line 4: label: found 'run', expected one of walk",
            "clips.csv: line 5: label: found 'run'",
            "x.npy: not a readable .npy array",
            "no.npy: not a readable .npy array: No such file",
            "lies.npy: not a readable .npy array: mmap length is greater",
            "walk/a.npy: [0, 0, 0]: found inf",
            "clips.csv: line 11: a second clip called good",
            "flat.npy: found shape [4, 5, 4], 4 coordinates, but tiny5 is in 3D, expected x, y, z",
            "empty.npy: found shape [0, 5, 3]",
        ],
        strict=True,
    ):
        assert error.startswith(start), error


def test_the_cache_sees_changes_of_every_file(tmp_path: Path) -> None:
    root = write(tmp_path / "own", splits={"listed": {"train": "train.txt"}})
    (root / "train.txt").write_text("walk/a\n")
    first = cached_store("folder", root)
    assert cached_store("folder", root).path == first.path
    (root / "train.txt").write_text("walk/a.npy\nwalk/b\n")
    second = cached_store("folder", root)
    assert (len(first.splits["listed"]["train"]), len(second.splits["listed"]["train"])) == (1, 2)
    save(root / "x.npy", np.ones((7, 5, 3)))
    assert cached_store("folder", root).length[4] == 7


def one_clip(tmp_path: Path, array: np.ndarray, **description: object) -> Path:
    root = write(tmp_path / "own", table="file,label\nwalk/a.npy,walk\n", splits=None, **description)
    save(root / "walk/a.npy", array)
    return root


@pytest.mark.parametrize(
    ("topology", "shape", "message"),
    [
        ("mediapipe33", (50, 2, 33, 3), "50 bodies over 2 frames, or 2 bodies over 50 frames? Expected axes: MTVC or TMVC"),
        ("mediapipe33", (50, 33, 2), "2 coordinates, but mediapipe33 is in 3D, expected x, y, z"),
        ("mediapipe33", (3, 50, 33), "found shape [3, 50, 33], expected [T, V, C] or [M, T, V, C] of 33 joints; see axes"),
        ("coco17", (50, 17, 4), "4 channels, but coco17 is in an image, expected x, y or x, y, score"),
    ],
)
def test_axes_are_not_guessed(tmp_path: Path, topology: str, shape: tuple[int, ...], message: str) -> None:
    root = one_clip(tmp_path, np.random.rand(*shape), topology=topology)
    with pytest.raises(InputError) as error:
        prepare("folder", root, tmp_path / "store", strict=True)
    assert message in str(error.value)


@pytest.mark.parametrize("axes", ["MTVC", "TMVC", "CTVM", "VCMT"])
def test_axes_can_be_named(tmp_path: Path, axes: str) -> None:
    made = 1 + np.random.rand(2, 6, 33, 3).astype(np.float32)
    root = one_clip(tmp_path, made.transpose(["MTVC".index(axis) for axis in axes]), topology="mediapipe33", axes=axes)
    store = open_store(prepare("folder", root, tmp_path / "store", origin="none").store)
    assert [body.frames.shape for body in store[0].bodies] == [(6, 33, 3)] * 2
    np.testing.assert_array_equal(store[0].bodies[1].frames, made[1])


@pytest.mark.parametrize("axes", ["MTV", "MTVCN", "MMTV", ["M", "T"], 3])
def test_axes_that_cannot_be(tmp_path: Path, axes: object) -> None:
    with pytest.raises(InputError, match=r"dataset.yaml: axes: found .*, expected the letters of MTVC or TVC"):
        FolderReader().sources(write(tmp_path / "own", axes=axes))


def test_a_clip_in_2d_among_clips_in_3d(tmp_path: Path) -> None:
    root = write(tmp_path / "own")
    save(root / "x.npy", np.random.rand(4, 5, 2))
    report = prepare("folder", root, tmp_path / "store")
    assert [error for _, error in report.skipped] == [
        f"{root}/x.npy: found shape [4, 5, 2], 2 coordinates, but tiny5 is in 3D, expected x, y, z"
    ]


def test_missing_joints_in_3d(tmp_path: Path) -> None:
    made = 1 + np.random.rand(6, 5, 3).astype(np.float32)
    hurt = made.copy()
    hurt[2, 3], hurt[3, 3] = np.nan, 0
    hurt[0, 4, 1] = np.nan
    report = prepare("folder", one_clip(tmp_path, hurt), tmp_path / "store", origin="none", strict=True)
    frames = open_store(report.store)[0].bodies[0].frames
    assert report.filled == 3
    np.testing.assert_allclose(frames[2:4, 3], made[1, 3] + (made[4, 3] - made[1, 3]) * [[1 / 3], [2 / 3]], rtol=1e-5)
    np.testing.assert_array_equal(frames[0, 4], made[1, 4])
    lost = ~np.isfinite(hurt).all(-1) | (hurt == 0).all(-1)
    np.testing.assert_array_equal(frames[~lost], made[~lost])


def test_a_centre_of_zeros_has_two_readings(tmp_path: Path) -> None:
    """The clip is centred already, or its centre was not found."""
    made = 1 + np.random.rand(6, 5, 3).astype(np.float32)
    centre = load_topology("tiny5").index[load_topology("tiny5").centre]
    made[:, centre] = 0
    root = one_clip(tmp_path, made)
    with pytest.raises(
        InputError, match=r"is zero in 6 frames: it was not found, expected NaN .*, or the clip is centred already"
    ):
        prepare("folder", root, tmp_path / "store", strict=True)
    store = open_store(prepare("folder", root, tmp_path / "store", strict=True, origin="none").store)
    np.testing.assert_array_equal(store[0].bodies[0].frames, made)
    made[2, centre] = np.nan
    made[2, :, 0] = made[3, :, 0]
    save(root / "walk/a.npy", made)
    store = open_store(prepare("folder", root, tmp_path / "store", strict=True, origin="none").store)
    assert not store[0].bodies[0].frames[:, centre].any()


def test_units_are_believed_up_to_a_point(tmp_path: Path) -> None:
    root = one_clip(tmp_path, 900 * np.random.rand(6, 5, 3))
    with pytest.raises(
        InputError, match=r"found a coordinate of \d+\.?\d* in metres, expected at most 50: they look like millimetres"
    ):
        prepare("folder", root, tmp_path / "store", strict=True)
    text = (Path(__file__).parents[3] / "graphs" / "tiny5.yaml").read_text().replace("units: metres", "units: millimetres")
    (root / "mine.yaml").write_text(text)
    (root / "dataset.yaml").write_text("topology: mine.yaml")
    store = open_store(prepare("folder", root, tmp_path / "store", strict=True).store)
    assert store.units == "millimetres"
    (root / "mine.yaml").write_text(text.replace("millimetres", "pixel"))
    with pytest.raises(
        InputError, match="units: found 'pixel', expected one of metres, centimetres, millimetres, relative, pixels"
    ):
        prepare("folder", root, tmp_path / "store")


def test_text_is_taken_as_it_stands(tmp_path: Path) -> None:
    """A class may be called yes and a subject 01; Chinese labels, a byte-order mark, UTF-8 whatever the locale is."""
    table = "file,label,subject\nwalk/a.npy,yes,01\nwalk/b.npy,挥手,1\nrun/a.npy,no,01\n"
    root = write(tmp_path / "own", table="")
    (root / "clips.csv").write_text(table, encoding="utf-8-sig")
    (root / "dataset.yaml").write_text(
        "topology: tiny5\nclasses: [yes, no, 挥手]\nsplits: {one: {train: {subject: [01]}}}\n", encoding="utf-8-sig"
    )
    store = open_store(prepare("folder", root, tmp_path / "store", strict=True).store)
    assert (store.classes, store.label.tolist()) == (("yes", "no", "挥手"), [0, 2, 1])
    assert store.splits["one"]["train"].tolist() == [0, 2]
    for name in ("dataset.yaml", "clips.csv"):
        text = (root / name).read_bytes()
        (root / name).write_bytes(text + "é".encode("latin-1"))
        with pytest.raises(InputError, match=f"{name}: .*(UTF-8|utf-8)"):
            prepare("folder", root, tmp_path / "store")
        (root / name).write_bytes(text)


def test_the_cache_sees_the_skeleton_and_what_it_extends(tmp_path: Path) -> None:
    root = one_clip(tmp_path, 1 + np.random.rand(6, 5, 3), topology="mine.yaml")
    text = (Path(__file__).parents[3] / "graphs" / "tiny5.yaml").read_text()
    (root / "base.yaml").write_text(text)
    (root / "mine.yaml").write_text("name: mine\nextends: base\n")
    first = cached_store("folder", root)
    order = load_topology(root / "base.yaml").joints
    (root / "base.yaml").write_text(text.replace(f"joints: [{order[0]}, {order[1]}", f"joints: [{order[1]}, {order[0]}"))
    assert (root / "base.yaml").read_text() != text
    second = cached_store("folder", root)
    assert (first.topology.joints[:2], second.topology.joints[:2]) == (order[:2], (order[1], order[0]))


def test_tiny_sets(tmp_path: Path) -> None:
    """One clip of one class, without a label, of one frame: prepared, and drawn."""
    for i, (table, shape) in enumerate([("walk", (6, 5, 3)), ("", (1, 5, 3))]):
        root = one_clip(tmp_path / str(i), 1 + np.random.rand(*shape))
        (root / "clips.csv").write_text(f"file,label\nwalk/a.npy,{table}\n")
        store = open_store(prepare("folder", root, tmp_path / str(i) / "store", strict=True).store)
        assert len(inspect_store(store, output=tmp_path / str(i) / "pictures")) == 1


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Callable[[Reader, Path], None], data: st.DataObject
) -> None:
    root = write(tmp_path_factory.mktemp("mutated") / "own")
    path = root / data.draw(st.sampled_from(["walk/a.npy", "run/b.npy", "clips.csv", "dataset.yaml"]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(130, len(content) - 1)))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    one_line_or_finite(FolderReader(), root)
