"""The reader of the community's npz arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data import arrays as module
from masksem_graph.data.arrays import NpzRows
from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers import Reader
from masksem_graph.data.readers.npz import NpzReader
from masksem_graph.data.readers.ntu import ACTIONS
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError


def arrays(*, clips: int = 3, frames: int = 6, classes: int = 60) -> dict[str, np.ndarray]:
    """Clip i has i + 2 frames, and a second body from frame 1 on where i is odd."""
    out: dict[str, np.ndarray] = {}
    for part, count in (("train", clips), ("test", 2)):
        x = np.random.randn(count, frames, 150).astype(np.float32)
        for i in range(count):
            x[i, i + 2 :] = 0
            x[i, : 1 if i % 2 else None, 75:] = 0
        out |= {f"x_{part}": x, f"y_{part}": np.eye(classes)[np.arange(count) + classes // 8]}
    return out


def test_equals_the_store_of_the_raw_files(shared: Path, tmp_path: Path) -> None:
    """The community's cleaned arrays of real files, padded as they pass them on, against the files themselves."""
    prepare("ntu", shared / "golden/ntu", tmp_path / "raw")
    raw = open_store(tmp_path / "raw")
    with np.load(shared / "golden/ntu/cleaned_and_centred.npz") as golden:
        x = np.zeros((len(raw), 300, 150), np.float32)
        for i, name in enumerate(raw.name):
            array = golden[str(name)]
            x[i, : len(array), : array.shape[1]] = array
    y = np.eye(60)[raw.label]
    np.savez(tmp_path / "NTU60_XSub.npz", x_train=x[:3], y_train=y[:3], x_test=x[3:], y_test=y[3:])
    prepare("npz", tmp_path / "NTU60_XSub.npz", tmp_path / "npz", strict=True)
    store = open_store(tmp_path / "npz")
    assert store.name.tolist() == ["train_00000", "train_00001", "train_00002", "test_00000", "test_00001"]
    assert store.splits["xsub"]["test"].tolist() == [3, 4]
    assert store.classes == ACTIONS[:60]
    for name in ("label", "length", "frames", "present", "body_start", "body_offset", "clip_offset"):
        np.testing.assert_array_equal(getattr(store, name), getattr(raw, name), err_msg=name)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_padding_and_absent_bodies(tmp_path: Path, save) -> None:
    made = arrays()
    save(tmp_path / "mine.npz", **made)
    prepare("npz", tmp_path, tmp_path / "store", strict=True, origin="none")
    store = open_store(tmp_path / "store")
    assert store.length.tolist() == [2, 3, 4, 2, 3]
    assert np.diff(store.clip_offset).tolist() == [1, 2, 1, 1, 2]
    assert store.label.tolist() == [7, 8, 9, 7, 8]
    assert set(store.splits) == {"main"}
    second = store[1].bodies[1]
    assert second.start == 1
    np.testing.assert_array_equal(second.frames.reshape(2, 75), made["x_train"][1, 1:3, 75:])


@pytest.mark.parametrize(
    ("name", "split"),
    [("NTU60_CS", "xsub"), ("ntu60-cv", "xview"), ("NTU120_XSet", "xset"), ("NTU120_CSet", "xset"), ("PKUv1_XView", "xview")],
)
def test_the_split_is_in_the_files_name(tmp_path: Path, name: str, split: str) -> None:
    np.savez(tmp_path / f"{name}.npz", **arrays(classes=51))
    reader = NpzReader()
    reader.sources(tmp_path / f"{name}.npz")
    assert reader.split == split
    assert reader.classes[0] == "bow"


def test_rows_backwards_and_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = arrays()
    np.savez_compressed(tmp_path / "a.npz", **made)
    rows = NpzRows(tmp_path / "a.npz", "x_train")
    for i in (2, 0, 1, 1):
        np.testing.assert_array_equal(rows[i], made["x_train"][i])
    monkeypatch.setattr(module, "CLIP_BYTES", 3599)
    with pytest.raises(InputError, match="rows of 3,600 bytes"):
        NpzRows(tmp_path / "a.npz", "x_train")


def changed(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    return {name: array for name, array in (arrays() | changes).items() if array is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "x_test is missing, found x_train, y_train, y_test"),
        ({"x_train": np.array([[{}]], object)}, "x_train: found an array of object, expected numbers"),
        ({"y_train": np.array(["a"] * 3)}, "y_train: found an array of <U1, expected numbers"),
        ({"x_train": np.zeros((3, 6, 149), np.float32)}, "x_train: found shape [3, 6, 149]"),
        ({"x_train": np.zeros((3, 0, 150), np.float32)}, "x_train: found shape [3, 0, 150]"),
        ({"y_train": np.zeros((2, 60))}, "y_train: found shape [2, 60], expected [3, classes]"),
        ({"y_train": np.zeros(3)}, "y_train: found shape [3], expected [3, classes], one-hot rows"),
        ({"y_train": np.ones((3, 1))}, "y_train: found shape [3, 1], expected [3, classes], one-hot rows"),
        ({"y_test": np.zeros((2, 120))}, "y_test: found 120 classes, but y_train has 60"),
        ({"y_train": np.zeros((3, 20000), np.int8)}, "y_train: found 20000 classes"),
        ({"x_train": np.asfortranarray(np.zeros((3, 6, 150), np.float32))}, "x_train: found columns stored first"),
    ],
)
def test_bad_arrays(tmp_path: Path, changes: dict[str, np.ndarray | None], message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **changed(**changes))
    with pytest.raises(InputError) as error:
        prepare("npz", path, tmp_path / "store")
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))


def test_bad_clips_are_skipped(tmp_path: Path) -> None:
    made = arrays()
    made["x_train"][0, 1, 4] = np.inf
    made["y_train"][1, 3] = 1
    made["x_test"][0] = 0
    np.savez(tmp_path / "some.npz", **made)
    report = prepare("npz", tmp_path / "some.npz", tmp_path / "store")
    assert report.clips == 2
    assert [error.split(": ", 1)[1] for _, error in report.skipped] == [
        "x_train[0][1, 4]: found inf, expected a finite number, or NaN",
        "y_train[1]: found no single 1, expected a one-hot row",
        "x_test[0]: no frame with a body, expected at least one",
    ]


def test_a_header_that_lies_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "lies.npz"
    np.savez(path, **changed(x_train=None))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 300, 150)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", header.getvalue() + bytes(100))
    with pytest.raises(InputError, match=r"x_train: damaged: found shape \[1000000000, 300, 150\]"):
        NpzReader().sources(path)


def test_not_one_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found none, expected one \.npz"):
        NpzReader().sources(tmp_path)
    for name in ("a.npz", "b.npz"):
        np.savez(tmp_path / name, **arrays())
    with pytest.raises(InputError, match=r"found a\.npz, b\.npz, expected one \.npz"):
        NpzReader().sources(tmp_path)
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"not a readable \.npz"):
        NpzReader().sources(tmp_path / "a.npz")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Callable[[Reader, Path], None], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("mutated") / "some.npz"
    data.draw(st.sampled_from([np.savez, np.savez_compressed]))(path, **arrays(clips=2, frames=3, classes=5))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of the bytes are coordinates: the headers lie at both ends.
        at = data.draw(
            st.one_of(st.integers(0, len(content) - 1), st.integers(0, 200), st.integers(len(content) - 400, len(content) - 1))
        )
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    one_line_or_finite(NpzReader(), path)
