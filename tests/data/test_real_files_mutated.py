"""Real files, damaged in every way that comes to hypothesis' mind: read, or refused in one line."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masksem_graph.data.readers import load_reader
from masksem_graph.errors import InputError

FILES = {
    "ntu": ("golden/ntu/S001C001P001R001A050.skeleton", "ntu-rgbd-samples/S001C001P001R001A005.skeleton"),
    "nw_ucla": ("nw-ucla/all_sqe/a01_s01_e00_v03.json", "nw-ucla/all_sqe/a02_s09_e04_v03.json"),
}
WORDS = [
    b"",
    b"0",
    b"-1",
    b"25",
    b"26",
    b"3",
    b"nan",
    b"inf",
    b"1e39",
    b"9" * 400,
    b"999999999",
    b"\x00",
    b"\xff\xfe",
    b"\r\n",
    b"{",
    b"]",
]
SIZES = st.one_of(st.integers(0, 40), st.integers(0, 3000))


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Cut off, or with some pieces cut out, put in, doubled or moved."""
    for _ in range(data.draw(st.integers(1, 3))):
        # Counts, ids and brackets lie at the start; in the middle there are coordinates.
        at = data.draw(st.integers(0, min(400, len(content))) | st.integers(0, len(content)))
        end = at + data.draw(SIZES)
        piece = content[at:end]
        new = data.draw(st.sampled_from([b"", piece + piece, piece[::-1], *WORDS]))
        content = content[:at] + new + content[end:]
    return content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_line_or_finite_frames(shared: Path, tmp_path: Path, data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(sorted(FILES)))
    original = shared / data.draw(st.sampled_from(FILES[format]))
    path = tmp_path / original.name
    path.write_bytes(damaged(data, original.read_bytes()))
    reader = load_reader(format)
    began = time.process_time()
    try:
        clip = reader.read(path)
    except InputError as error:
        assert str(error).startswith(str(path))
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < len(str(path)) + 300
    else:
        assert all(np.isfinite(body.frames).all() for body in clip.bodies)
        assert sum(body.frames.nbytes for body in clip.bodies) < 2**22
    assert time.process_time() - began < 5, "no hang"
