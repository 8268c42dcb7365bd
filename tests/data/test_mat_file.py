"""Numbers of MATLAB files, held against scipy's reader."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from masksem_graph.data.mat_file import read_numbers


@given(
    kind=st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]),
    shape=st.lists(st.integers(0, 4), min_size=2, max_size=4),
    packed=st.booleans(),
    before=st.booleans(),
)
def test_as_scipy_reads_them(kind: str, shape: list[int], packed: bool, before: bool) -> None:
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(kind)
    file = io.BytesIO()
    savemat(file, {**({"other": np.ones((3, 5))} if before else {}), "mine": array}, do_compression=packed)
    found = read_numbers(file.getvalue(), "mine")
    assert found is not None and found.dtype == array.dtype and found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    assert read_numbers(file.getvalue(), "none") is None


def test_the_real_files(shared: Path) -> None:
    """MATLAB packs numbers into narrower types than their class where they fit."""
    for path in sorted((shared / "utd-mhad").glob("*.mat"))[::40]:
        np.testing.assert_array_equal(read_numbers(path.read_bytes(), "d_skel"), loadmat(path)["d_skel"])


def test_what_is_refused() -> None:
    file = io.BytesIO()
    savemat(file, {"mine": np.zeros(2**22)}, do_compression=True)
    with pytest.raises(ValueError, match="a variable of more than 16,777,216 bytes"):
        read_numbers(file.getvalue(), "mine")
    with pytest.raises(ValueError, match=r"cannot be decompressed|cut short"):
        read_numbers(file.getvalue()[:-100], "mine")
    with pytest.raises(ValueError, match="no MATLAB file"):
        read_numbers(b"PK" + bytes(200), "mine")
