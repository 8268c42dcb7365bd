"""The reader of UTD-MHAD."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers import Reader
from masksem_graph.data.readers.utd_mhad import UTDMHADReader
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology


def write(root: Path, array: Any = None, *, name: str = "a27_s8_t4_skeleton.mat", variable: str = "d_skel") -> Path:
    array = np.arange(180, dtype=np.float64).reshape(20, 3, 3) / 100 if array is None else array
    savemat(root / name, {variable: array}, do_compression=True)
    return root / name


def test_reads_name_and_coordinates(tmp_path: Path) -> None:
    clip = UTDMHADReader().read(write(tmp_path))
    assert (clip.name, clip.label, clip.subject, clip.camera, clip.length) == ("a27_s8_t4", 26, 8, -1, 3)
    np.testing.assert_array_equal(clip.bodies[0].frames[2, 19], np.float32([1.73, 1.76, 1.79]))


def test_the_real_set(shared: Path, tmp_path: Path) -> None:
    store = open_store(prepare("utd_mhad", shared / "utd-mhad", tmp_path / "store", strict=True, origin="none").store)
    assert (len(store), len(store.classes), store.topology.name) == (861, 27, "utd20")
    assert np.unique(store.subject).tolist() == list(range(1, 9))
    assert {part: len(index) for part, index in store.splits["xsub"].items()} == {"train": 431, "test": 430}
    assert store.name[:2].tolist() == ["a1_s1_t1", "a1_s1_t2"]


def test_the_joints_are_those_of_kinect20(shared: Path, tmp_path: Path) -> None:
    """Reordered by name, a person of UTD-MHAD has the bones of a person of NW-UCLA."""
    utd, kinect = load_topology("utd20"), load_topology("kinect20")
    assert set(utd.joints) == set(kinect.joints) and set(map(frozenset, utd.bones)) == set(map(frozenset, kinect.bones))
    (tmp_path / "few").mkdir()
    for action in (1, 22, 27):
        (tmp_path / "few" / f"a{action}_s1_t1_skeleton.mat").symlink_to(shared / "utd-mhad" / f"a{action}_s1_t1_skeleton.mat")
    frames = open_store(prepare("utd_mhad", tmp_path / "few", tmp_path / "store", origin="none").store).frames
    length = {(a, b): np.linalg.norm(frames[:, utd.index[a]] - frames[:, utd.index[b]], axis=-1).mean() for a, b in utd.bones}
    assert all(0.03 < one < 0.6 for one in length.values()), length
    assert abs(length["left_knee", "left_hip"] - length["right_knee", "right_hip"]) < 0.05
    height = frames[:, utd.index["head"], 1] - frames[:, utd.index["left_foot"], 1]
    assert 1.2 < np.median(height) < 1.9, "y points up"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 20, 5)), "d_skel: found shape [3, 20, 5], expected [20, 3, frames]"),
        (np.zeros((20, 3)), "d_skel: found shape [20, 3], expected"),
        (np.full((20, 3, 2), np.inf), "d_skel[0, 0, 0]: found inf, expected a finite number, or NaN"),
        (np.array(["text"]), "not a readable .mat file: d_skel: expected an array of real numbers"),
        ({"a": 1}, "not a readable .mat file: d_skel: expected an array of real numbers"),
        (np.full((20, 3, 2), 1j), "not a readable .mat file: d_skel: expected an array of real numbers"),
    ],
)
def test_bad_files(tmp_path: Path, array: Any, message: str) -> None:
    path = write(tmp_path, array)
    with pytest.raises(InputError) as error:
        UTDMHADReader().read(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_what_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        UTDMHADReader().sources(tmp_path / "missing")
    with pytest.raises(InputError, match="holds no UTD-MHAD clip"):
        UTDMHADReader().sources(tmp_path)
    with pytest.raises(InputError, match="found action a28, expected a1 to a27"):
        UTDMHADReader().read(write(tmp_path, name="a28_s1_t1_skeleton.mat"))
    with pytest.raises(InputError, match="d_skel: is not there"):
        UTDMHADReader().read(write(tmp_path, variable="other"))
    (tmp_path / "a1_s1_t1_skeleton.mat").write_bytes(b"MATLAB 7.3 MAT-file" + bytes(2**21))
    with pytest.raises(InputError, match="found 2,097,171 bytes"):
        UTDMHADReader().read(tmp_path / "a1_s1_t1_skeleton.mat")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Callable[[Reader, Path], None], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("mutated")
    savemat(root / "a1_s1_t1_skeleton.mat", {"d_skel": np.ones((20, 3, 2))}, do_compression=data.draw(st.booleans()))
    content = bytearray((root / "a1_s1_t1_skeleton.mat").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(120, 240) | st.integers(0, len(content) - 1)) % len(content)] = data.draw(
            st.integers(0, 255)
        )
    (root / "a1_s1_t1_skeleton.mat").write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
    one_line_or_finite(UTDMHADReader(), root)
