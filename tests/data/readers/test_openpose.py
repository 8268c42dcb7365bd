"""The reader of OpenPose's folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers.openpose import OpenPoseReader
from masksem_graph.data.store import Store, open_store
from masksem_graph.errors import InputError
from tests.recordings import save_openpose, walk


def stored(source: Path, output: Path, **options: Any) -> Store:
    return open_store(prepare("openpose", source, output, options=options, strict=True, origin="none").store)


@pytest.mark.parametrize(("joints", "topology"), [(25, "body25"), (18, "openpose18")])
def test_folders_are_clips_and_their_folders_labels(tmp_path: Path, joints: int, topology: str) -> None:
    for i, name in enumerate(("wave/a", "wave/b", "squat/a")):
        save_openpose(tmp_path / "in" / name, walk(joints, seed=i), start=7)
    store = stored(tmp_path / "in", tmp_path / "store")
    assert (store.topology.name, store.units, store.dimensions, store.classes) == (topology, "pixels", 2, ("squat", "wave"))
    assert dict(zip(store.name.tolist(), store.label.tolist(), strict=True)) == {"squat/a": 0, "wave/a": 1, "wave/b": 1}
    np.testing.assert_array_equal(store[1].bodies[0].frames, walk(joints).astype(np.float32))


def test_a_size_makes_halves_of_the_longer_side(tmp_path: Path) -> None:
    frames = walk(25)
    frames[2, 3] = 0
    store = stored(save_openpose(tmp_path / "a", frames), tmp_path / "store", width=640, height=400)
    found = store[0].bodies[0].frames
    assert (store.units, found[2, 3, 2]) == ("image", 0)
    frames[2, 3, :2] = (frames[1, 3, :2] + frames[3, 3, :2]) / 2
    np.testing.assert_allclose(found[..., :2], (frames[..., :2] - [320, 200]) / 320, atol=1e-6)


def test_two_people_are_followed_whatever_their_order(tmp_path: Path) -> None:
    left, right = walk(25, seed=1, at=(100, 200)), walk(25, seed=2, at=(400, 200))
    ghost = np.zeros_like(left)
    ghost[4] = (600, 50, 0.1)
    swapped = [np.where((np.arange(12) % 3 == 0)[:, None, None], a, b) for a, b in ((left, right), (right, left))]
    store = stored(save_openpose(tmp_path / "a", *swapped, ghost), tmp_path / "store")
    first, second = sorted((body.frames for body in store[0].bodies), key=lambda frames: frames[0, 0, 0])
    np.testing.assert_array_equal(first, left.astype(np.float32))
    np.testing.assert_array_equal(second, right.astype(np.float32))
    assert len(stored(tmp_path / "a", tmp_path / "all", bodies=3, missing_frames=100)[0].bodies) == 3
    assert len(stored(tmp_path / "a", tmp_path / "one", bodies=1)[0].bodies) == 1


def test_missing_frames_show_nobody_and_steps_are_steps(tmp_path: Path) -> None:
    store = stored(save_openpose(tmp_path / "a", walk(25), start=30, step=5, leave=(4, 5)), tmp_path / "store")
    (body,) = store[0].bodies
    assert (body.start, len(body.frames), np.flatnonzero(~body.present).tolist()) == (0, 12, [4, 5])


@pytest.mark.parametrize(
    ("people", "message"),
    [
        (
            [{"pose_keypoints_2d": [1.0] * 54}],
            "people[0].pose_keypoints_2d: found 54 numbers, expected 75: x, y, score of 25 joints",
        ),
        ([{"pose_keypoints_2d": [1.0, None, 1.0, "x"] + [1.0] * 71}], "pose_keypoints_2d[1]: found ['x', 1.0, 1.0]"),
        ([{"pose_keypoints_2d": [1e999] + [1.0] * 74}], "pose_keypoints_2d[0]: found [inf, 1.0, 1.0], expected 3 numbers"),
        ([{}], "people[0].pose_keypoints_2d: found None, expected 75"),
        ([[]], "people: found [[]], expected a list of objects with pose_keypoints_2d"),
        ({}, "people: found {}, expected a list"),
        ([{"pose_keypoints_2d": [9.0, 9.0, -1.0] * 25}], "found a score of -1, expected scores from 0"),
    ],
)
def test_bad_frames(tmp_path: Path, people: Any, message: str) -> None:
    folder = save_openpose(tmp_path / "in/a/a", walk(25))
    (folder / "clip_000000000003_keypoints.json").write_text(json.dumps({"people": people}))
    save_openpose(tmp_path / "in/a/b", walk(25))
    report = prepare("openpose", tmp_path / "in", tmp_path / "store", options={"topology": "body25"})
    ((place, error),) = report.skipped
    assert place == str(folder) and message in error and len(error.splitlines()) == 1


def test_what_is_no_recording(tmp_path: Path) -> None:
    folder = save_openpose(tmp_path / "in/a/a", walk(25))
    (folder / "clip_000000000003_keypoints.json").write_text("{")
    with pytest.raises(InputError, match=r"clip_000000000003_keypoints\.json: not whole JSON"):
        stored(folder, tmp_path / "store")
    (folder / "clip_000000000003_keypoints.json").unlink()
    (folder / "other_000000000003_keypoints.json").write_text("{}")
    with pytest.raises(InputError, match="found 'clip' and 'other', expected the frames of one recording"):
        stored(folder, tmp_path / "store")
    (folder / "other_000000000003_keypoints.json").unlink()
    (folder / "clip_3_keypoints.json").write_text('{"people": []}')
    (folder / "clip_03_keypoints.json").write_text('{"people": []}')
    with pytest.raises(InputError, match="found two frames of the same number"):
        stored(folder, tmp_path / "store")
    empty = save_openpose(tmp_path / "empty", np.zeros((3, 25, 3)))
    with pytest.raises(InputError, match="no frame with a body"):
        stored(empty, tmp_path / "store")
    shares = save_openpose(tmp_path / "shares", walk(25) / [600, 400, 1])
    with pytest.raises(InputError, match="expected pixels: they look like shares of the picture"):
        stored(shares, tmp_path / "store")
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody/a_0_keypoints.json").write_text('{"people": []}')
    with pytest.raises(InputError, match="found nobody in its clips, expected --topology"):
        OpenPoseReader().sources(tmp_path / "nobody")
    (tmp_path / "nobody/a_900_keypoints.json").write_text('{"people": []}')
    (tmp_path / "nobody/a_901_keypoints.json").write_text('{"people": []}')
    with pytest.raises(InputError, match=re.escape("found 3 of 902 frames, expected the frames of one recording")):
        OpenPoseReader().sources(tmp_path / "nobody")


def test_a_joint_that_is_lost_for_long(tmp_path: Path) -> None:
    frames = walk(25, 40)
    frames[5:, 24] = 0
    folder = save_openpose(tmp_path / "a", frames)
    with pytest.raises(InputError, match="right_heel was not found in 31 or more frames from frame 5 on"):
        stored(folder, tmp_path / "store")
    with pytest.raises(InputError, match="expected none, see --missing"):
        stored(folder, tmp_path / "store", missing="skip")
    report = prepare("openpose", folder, tmp_path / "store", options={"missing_frames": 40, "missing": "hold"}, origin="none")
    assert report.filled == 35
    np.testing.assert_array_equal(
        open_store(report.store)[0].bodies[0].frames[5:, 24, :2], np.tile(frames[4, 24, :2], (35, 1)).astype(np.float32)
    )
