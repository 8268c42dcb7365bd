"""Pickles are read, never run."""

from __future__ import annotations

import builtins
import collections
import os
import pickle
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.pickles import PickledArray, read_pickle
from masksem_graph.errors import InputError

SMALL = np.arange(6, dtype=np.float16).reshape(1, 2, 3)
LARGE = np.random.default_rng(0).normal(size=(2, 40, 25, 3))
CONTENT = {
    "split": {"train": ["a", "b"], "val": ("c",)},
    "numbers": [0, 1, -1, 255, 70000, 2**40, -(2**70), 0.5, True, None, "ü" * 3],
    "arrays": [SMALL, LARGE.astype(np.float16), LARGE.astype(">f8"), np.asfortranarray(LARGE[0].astype(np.float32))],
    "scalars": [np.int64(7), np.float32(0.5)],
}


def arrays(content: Any) -> Any:
    """The content with plain arrays in it."""
    if isinstance(content, PickledArray):
        return content.values
    if isinstance(content, dict):
        return {name: arrays(value) for name, value in content.items()}
    return type(content)(map(arrays, content)) if isinstance(content, list | tuple) else content


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "some.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    found = arrays(read_pickle(path))
    for array, expected in zip(found.pop("arrays"), CONTENT["arrays"], strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert found == {name: value for name, value in CONTENT.items() if name != "arrays"}


def test_numpy_1_names(tmp_path: Path) -> None:
    path = tmp_path / "old.pkl"
    text = pickle.dumps(SMALL, protocol=3).replace(b"numpy._core.", b"numpy.core.")
    path.write_bytes(text)
    np.testing.assert_array_equal(read_pickle(path).values, SMALL)


class Call:
    """Pickles as a call of whatever it is given."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


CALLS = [
    (os.system, "touch PWNED"),
    (builtins.eval, "open('PWNED', 'w')"),
    (builtins.exec, "open('PWNED', 'w')"),
    (subprocess.Popen, ["touch", "PWNED"]),
    (builtins.open, "PWNED", "w"),
    (builtins.getattr, os, "system"),
    (np.load, "PWNED"),
    (bytearray, 10**12),
    (collections.OrderedDict,),
]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0].__name__)
def test_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[Any, ...], protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pkl"
    if call[0] is builtins.getattr:
        call = (builtins.getattr, "text", "upper")
    path.write_bytes(pickle.dumps({"split": {}, "annotations": [Call(*call)]}, protocol=protocol))
    with pytest.raises(InputError, match="refused: it wants") as error:
        read_pickle(path)
    assert str(error.value).startswith(f"{path}: ")
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "not a whole pickle"),
        (b"\x80\x04N", "not a whole pickle"),
        (b"cos\nsystem\n(S'x'\ntR.", "refused: it wants 'os.system'"),
        (b"(S'touch PWNED'\nios\nsystem\n.", "refused: it wants 'os.system'"),
        (b"(cos\nsystem\nS'touch PWNED'\no.", "refused: it wants 'os.system'"),
        (b"\x80\x02cos\nsystem\n)\x81.", "refused: it wants 'os.system'"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "not a whole pickle: NEWOBJ class argument must be a type"),
        (b"\x80\x02cnumpy\ndtype\nU\x01O\x85R.", "found an array of 'O', expected numbers"),
        (b"\x80\x02}}U\x01aK\x01sb.", "not a whole pickle"),
        (b"\x80\x02\x82\x01.", "not a whole pickle"),
        (b"\x80\x04B" + struct.pack("<I", 2**31) + b"x.", "the file ends before the 2147483648 bytes"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", "the file ends before"),
        (b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.", "the file ends before"),
        (b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"x.", "not a whole pickle"),
        (b"\x80\x02r" + struct.pack("<I", 2**32 - 1) + b".", "damaged: it remembers value 1 under the index 4294967295"),
        (b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".", "damaged: it remembers value 1"),
        (b"Np9999999999\n.", "damaged: it remembers value 1"),
        (b"V" + b"x" * 70000 + b".", "not a whole pickle"),
        (b"P1\n.", "refused: it names an object outside of the file"),
        (b"K\x01Q.", "refused: it names an object outside of the file"),
    ],
)
def test_streams(tmp_path: Path, stream: bytes, message: str) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(stream)
    with pytest.raises(InputError) as error:
        read_pickle(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_objects_are_no_arrays(tmp_path: Path) -> None:
    path = tmp_path / "bad.pkl"
    for array in (np.array([{}], object), np.array(["text"]), np.array([1j]), np.zeros(2, [("a", "f4")])):
        path.write_bytes(pickle.dumps(array, protocol=4))
        with pytest.raises(InputError, match="expected numbers"):
            read_pickle(path)


def test_sizes_are_held_against_the_shape(tmp_path: Path) -> None:
    path = tmp_path / "some.pkl"
    text = pickle.dumps(np.zeros((2, 3), np.float32), protocol=3)
    for shape in (b"K\x02K\x04", b"K\x02K\x02", b"K\x02J\xff\xff\xff\xff", b"K\x02J\xff\xff\xff\x7f"):
        path.write_bytes(text.replace(b"K\x02K\x03", shape))
        with pytest.raises(InputError, match="of shape"):
            read_pickle(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_pickles_raise_only_input_errors(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(pickle.dumps(CONTENT, protocol=data.draw(st.sampled_from([2, 3, 4, 5]))))
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, 600))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("mutated") / "some.pkl"
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    try:
        arrays(read_pickle(path))
    except InputError as error:
        assert len(str(error).splitlines()) == 1
