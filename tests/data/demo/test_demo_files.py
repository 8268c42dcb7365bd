from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from masksem_graph.data.demo import CLASSES, clip_texts, write_demo
from masksem_graph.data.demo.body import draw_body
from masksem_graph.data.demo.performance import perform
from masksem_graph.data.demo.sensor import look, record
from masksem_graph.errors import InputError

TWO_PERSON = [CLASSES.index("shake_hands") + 1, CLASSES.index("push") + 1]
NOISY_SHARE, WIDE, SEEN_AT_LEAST = 0.69754, 0.8, 12
"""A body is noise to the community's cleaning if it is wider than this share of its height in this share of its frames, or
seen in fewer frames than this."""


def frames_of(text: str) -> list[list[np.ndarray]]:
    """Bodies of each frame, [25, 12] each; every line is checked on the way."""
    lines = iter(text.split("\r\n"))
    frames = []
    for _ in range(int(next(lines))):
        bodies = []
        for _ in range(int(next(lines))):
            assert len(next(lines).split(" ")) == 10
            assert next(lines) == "25"
            bodies.append(np.array([next(lines).split(" ") for _ in range(25)], dtype=float))
        frames.append(bodies)
    assert list(lines) == [""]
    return frames


def test_syntax_is_that_of_a_recorded_file(shared: Path) -> None:
    recorded = (shared / "ntu-rgbd-samples/S001C001P001R001A008.skeleton").read_bytes().decode("ascii")
    frames_of(recorded)
    ours = clip_texts(seed=0, subject=1, action=1)["S001C001P001R001A001.skeleton"]
    a_frame = slice(1, 29)
    counts = [[len(line.split(" ")) for line in text.split("\r\n")[a_frame]] for text in (recorded, ours)]
    assert counts[0] == counts[1]
    assert recorded.endswith("\r\n") and ours.endswith("\r\n")


def test_values_are_those_of_a_kinect() -> None:
    for text in clip_texts(seed=0, subject=3, action=7).values():
        joints = np.array([body for frame in frames_of(text) for body in frame])
        assert 1.8 < joints[..., 2].min() < joints[..., 2].max() < 5.0
        assert np.isin(joints[..., 11], (1, 2)).all()
        assert (joints[..., 3] >= 0).all() and (joints[..., 3] < 512).all()
        assert (joints[..., 4] >= 0).all() and (joints[..., 4] < 424).all()


def test_who_looks_at_the_sensor_has_his_right_at_larger_x() -> None:
    joints = look(np.array([[0.2, 1.0, 0.0], [-0.2, 1.0, 0.0]]), azimuth_deg=0.0, height=1.0, distance=3.0, tilt_deg=0.0)
    np.testing.assert_allclose(joints, [[0.2, 0.0, 3.0], [-0.2, 0.0, 3.0]])


def test_same_seed_same_bytes_other_seed_other_bytes() -> None:
    first = clip_texts(seed=0, subject=2, action=5)
    clip_texts(seed=0, subject=9, action=1)
    assert first == clip_texts(seed=0, subject=2, action=5)
    assert first != clip_texts(seed=1, subject=2, action=5)
    assert len(set(first.values())) == 3


@pytest.mark.parametrize("action", range(1, len(CLASSES) + 1))
def test_both_bodies_of_two_and_only_they_survive_the_cleaning(action: int) -> None:
    people = perform(CLASSES[action - 1], draw_body(np.random.default_rng(action)), np.random.default_rng((5, action)))
    assert len(people) == (2 if action in TWO_PERSON else 1)
    for camera in range(3):
        recording = record(people, camera, np.random.default_rng((action, camera)))
        for joints, seen in zip(recording.joints, recording.seen, strict=True):
            width, height, _ = np.ptp(joints[seen], axis=1).T
            assert seen.sum() >= SEEN_AT_LEAST
            if len(people) > 1:
                assert (width >= WIDE * height).mean() < NOISY_SHARE


def test_some_frames_are_dropped() -> None:
    counts = [{len(f) for f in frames_of(t)} for s in range(1, 9) for t in clip_texts(seed=0, subject=s, action=11).values()]
    assert {0, 1, 2} == set.union(*counts)


def test_writing_is_quick_and_the_same_each_time(tmp_path: Path) -> None:
    start = time.perf_counter()
    files = write_demo(tmp_path / "demo", subjects=3)
    seconds = time.perf_counter() - start
    assert len(files) == 3 * 12 * 3
    assert files[0].name == "S001C001P001R001A001.skeleton"
    assert seconds < 9.0, f"{seconds:.1f} s for 108 of 720 files"
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in write_demo(tmp_path / "demo", subjects=3)] == before
    assert [file.read_bytes() for file in write_demo(tmp_path / "one", subjects=1)] == [
        data for file, data in zip(files, before, strict=True) if "P001" in file.name
    ]


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        write_demo(tmp_path, subjects=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="is a file"):
        write_demo(tmp_path / "thesis.txt", subjects=1)


@pytest.mark.parametrize(("field", "value"), [("seed", -1), ("subjects", 0), ("subjects", 1000)])
def test_numbers_out_of_range_are_refused_by_name(tmp_path: Path, field: str, value: int) -> None:
    with pytest.raises(InputError, match=field):
        write_demo(tmp_path / "demo", **{field: value})
