"""The reader of MediaPipe's landmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers.mediapipe import MediaPipeReader
from masksem_graph.data.store import Store, open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology

NAMES = [name.replace("left_mouth", "mouth_left") for name in load_topology("mediapipe33").joints]


def landmarks(frames: int = 6, *, seed: int = 0) -> np.ndarray:
    """World landmarks with visibility, [T, 33, 4]."""
    return np.random.default_rng(seed).uniform(0.1, 0.9, (frames, 33, 4)).round(4)


def save(path: Path, frames: np.ndarray, key: str = "world_landmarks", **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"t": i / 30, key: frame.tolist(), **more}) for i, frame in enumerate(frames)]
    path.write_text("\n".join(lines) + "\n")
    return path


def stored(source: Path, output: Path, *, origin: Any = "none", **options: Any) -> Store:
    return open_store(prepare("mediapipe", source, output, options=options, strict=True, origin=origin).store)


def test_labels_come_from_folders(tmp_path: Path) -> None:
    for i, name in enumerate(("wave/ann/a", "wave/b", "squat/a", "rest")):
        save(tmp_path / f"in/{name}.jsonl", landmarks(seed=i))
    store = stored(tmp_path / "in", tmp_path / "store")
    assert store.classes == ("squat", "wave") and (store.topology.name, store.units) == ("mediapipe33", "metres")
    labels = dict(zip(store.name.tolist(), store.label.tolist(), strict=True))
    assert labels == {"rest": -1, "squat/a": 0, "wave/ann/a": 1, "wave/b": 1}
    expected = {f"{name}": landmarks(seed=i)[..., :3] for i, name in enumerate(("wave/ann/a", "wave/b", "squat/a", "rest"))}
    for clip in store:
        np.testing.assert_array_equal(clip.bodies[0].frames, expected[clip.name].astype(np.float32))


def test_a_table_and_a_description_go_before_folders(tmp_path: Path) -> None:
    save(tmp_path / "in/x/a.jsonl", landmarks())
    save(tmp_path / "in/x/b.jsonl", landmarks(seed=1))
    (tmp_path / "in/clips.csv").write_text("file,label,subject\nx/a.jsonl,wave,ann\nx/b.jsonl,squat,ben\n")
    (tmp_path / "in/dataset.yaml").write_text("splits: {who: {train: {subject: [ann]}}}\n")
    store = stored(tmp_path / "in", tmp_path / "store")
    assert (store.classes, store.label.tolist(), store.subject.tolist()) == (("squat", "wave"), [1, 0], [1, 2])
    assert store.splits["who"]["train"].tolist() == [0]


@pytest.mark.parametrize("form", ["objects", "tasks", "csv", "numbered", "npz", "one.npz"])
def test_every_form_says_the_same(tmp_path: Path, form: str) -> None:
    frames = landmarks()
    keys = ("x", "y", "z", "visibility")
    rows = [",".join(str(x) for x in frame.ravel()) for frame in frames]
    path = tmp_path / f"a.{'jsonl' if form in ('objects', 'tasks') else 'npz' if 'npz' in form else 'csv'}"
    if form == "objects":
        lines = [{"world_landmarks": [dict(zip(keys, p, strict=True)) for p in f.tolist()], "landmarks": None} for f in frames]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    elif form == "tasks":
        save(path, np.concatenate([frames, frames[..., 3:]], -1)[:, None], "pose_world_landmarks")
    elif form == "csv":
        path.write_text(
            "\n".join(["frame," + ",".join(f"{n.upper()}_{k}" for n in NAMES for k in keys)] + [f"0,{r}" for r in rows])
        )
    elif form == "numbered":
        path.write_text(
            "\n".join(["class," + ",".join(f"{k}{i}" for i in range(1, 34) for k in "xyzv")] + [f"Sad,{r}" for r in rows])
        )
    else:
        np.savez(path, **({"world_landmarks": frames, "landmarks": frames[..., :2]} if form == "npz" else {"any": frames}))
    store = stored(path, tmp_path / "store", topology="mediapipe33")
    assert (len(store), store.name[0], store.label[0]) == (1, path.name.removesuffix(path.suffix), -1)
    np.testing.assert_array_equal(store[0].bodies[0].frames, frames[..., :3].astype(np.float32))


def test_image_landmarks_are_measured_from_the_middle_of_the_picture(tmp_path: Path) -> None:
    frames = landmarks()
    frames[0, 5] = (0.5, 0.5, 0, 1)  # the middle is a place
    frames[1, 7, 3] = 0  # not found
    path = save(tmp_path / "a.jsonl", frames, "landmarks", width=640, height=480)
    store = stored(path, tmp_path / "store")
    assert (store.topology.name, store.units, store.dimensions) == ("mediapipe33_image", "image", 2)
    found = store[0].bodies[0].frames
    np.testing.assert_array_equal(found[..., 2], frames[..., 3].astype(np.float32))
    expected = (frames[..., :2] - 0.5) * [2, 2 * 480 / 640]
    expected[1, 7] = (expected[0, 7] + expected[2, 7]) / 2
    np.testing.assert_allclose(found[..., :2], expected, atol=1e-6)
    with pytest.raises(InputError, match="found shares of the picture, expected --width and --height"):
        stored(save(tmp_path / "b.jsonl", frames, "landmarks"), tmp_path / "store")
    np.testing.assert_array_equal(
        stored(tmp_path / "b.jsonl", tmp_path / "sized", width=640, height=480)[0].bodies[0].frames, found
    )


def test_frames_without_anybody_and_low_visibility(tmp_path: Path) -> None:
    frames = landmarks()
    frames[:, :, 3] = 0.9
    frames[3, 4, 3] = 0.2
    lines = [json.dumps({"world_landmarks": frame.tolist()}) for frame in frames]
    lines[1], lines[2] = '{"world_landmarks": null}', '{"world_landmarks": []}'
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    report = prepare("mediapipe", tmp_path / "a.jsonl", tmp_path / "store", options={"min_score": 0.5}, origin="none")
    (body,) = open_store(report.store)[0].bodies
    assert body.present.tolist() == [True, False, False, True, True, True] and report.filled == 1
    weight = 3 / 4  # from frame 0 to frame 4
    np.testing.assert_allclose(body.frames[3, 4], (1 - weight) * frames[0, 4, :3] + weight * frames[4, 4, :3], rtol=1e-6)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"world_landmarks": landmarks()[0, :25].tolist()}, "line 2: world_landmarks: found 25 joints, expected 33 joints"),
        (
            {"world_landmarks": [*landmarks()[0, :32].tolist(), [1, 2]]},
            "world_landmarks[32]: found [1, 2], expected 3 or 4 or 5",
        ),
        ({"world_landmarks": [*landmarks()[0, :32].tolist(), [1, 2, "3", 1]]}, "world_landmarks[32]: found [1, 2, '3', 1]"),
        ({"world_landmarks": [*landmarks()[0, :32].tolist(), [1, 2, 1e999, 1]]}, "world_landmarks[32]: found [1, 2, inf, 1]"),
        ({"world_landmarks": [*landmarks()[0, :32].tolist(), [1, 2, 3, 7]]}, "found a visibility of 7, expected 0 to 1"),
        ({"world_landmarks": 3}, "world_landmarks: found 3, expected 33 joints"),
        ({"world_landmarks": [landmarks()[0].tolist()] * 2}, "found 2 poses, expected one"),
        ({"landmarks": landmarks()[0].tolist()}, "line 2: found landmarks, expected world_landmarks or pose_world_landmarks"),
        ({"bodies": []}, "line 2: found bodies, expected world_landmarks"),
        ({"t": -1, "world_landmarks": None}, "line 2: t: found -1, expected seconds that rise"),
        ([1], "line 2: found [1], expected an object"),
    ],
)
def test_bad_lines(tmp_path: Path, line: Any, message: str) -> None:
    good = json.dumps({"t": 0, "world_landmarks": landmarks()[0].tolist()})
    (tmp_path / "a.jsonl").write_text(f"{good}\n{json.dumps(line)}\n")
    with pytest.raises(InputError) as error:
        stored(tmp_path / "a.jsonl", tmp_path / "store", topology="mediapipe33")
    assert f"{tmp_path}/a.jsonl: " in str(error.value) and message in str(error.value)


def test_a_recording_that_is_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    whole = save(tmp_path / "in/a/a.jsonl", landmarks())
    (tmp_path / "in/a/b.jsonl").write_text(whole.read_text()[:-40])
    (tmp_path / "in/a/c.jsonl").write_text("")
    report = prepare("mediapipe", tmp_path / "in", tmp_path / "store")
    assert report.clips == 1
    assert "b.jsonl: line 6: not whole JSON" in report.skipped[0][1] and "c.jsonl: holds no line" in report.skipped[1][1]


def test_two_forms_that_fit_are_refused(tmp_path: Path) -> None:
    frames = landmarks()
    both = save(tmp_path / "both.jsonl", frames, landmarks=frames[0].tolist())
    np.savez(tmp_path / "one.npz", any=frames)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    for path in (both, tmp_path / "one.npz", tmp_path / "a.csv"):
        with pytest.raises(InputError, match=r"mediapipe33 or mediapipe33_image\? Expected --topology"):
            MediaPipeReader().sources(path)
    three = save(tmp_path / "three.jsonl", frames[..., :3], "landmarks", width=4, height=3)
    with pytest.raises(InputError, match="expected 2 or 4 or 5 numbers"):
        stored(three, tmp_path / "store")
    pixels = save(tmp_path / "pixels.jsonl", 300 * frames[..., :2], "landmarks", width=400, height=300)
    with pytest.raises(InputError, match="expected shares of the picture, 0 to 1 inside"):
        stored(pixels, tmp_path / "store")


def test_2d_and_3d_do_not_mix(tmp_path: Path) -> None:
    save(tmp_path / "in/a.jsonl", landmarks())
    save(tmp_path / "in/b.jsonl", landmarks(), "landmarks", width=4, height=3)
    report = prepare("mediapipe", tmp_path / "in", tmp_path / "store")
    assert open_store(report.store).dimensions == 3 and report.clips == 1
    assert "found t, landmarks, width, height, expected world_landmarks" in report.skipped[0][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found 0 lines, expected names of columns and a line a frame"),
        ("x0,y0,z0\n1,2,3\n", "line 1: found columns of 1 landmarks, expected 33"),
        (",".join(f"{k}{i}" for i in range(501) for k in "xyz") + "\n1\n", "line 1: found columns of 501 landmarks"),
        (",".join(f"{k}{i}" for i in range(33) for k in "xyz") + "\n1,2\n", "line 2: found 2 cells, expected 99"),
        (
            ",".join(f"{k}{i}" for i in range(33) for k in "xyz") + "\n" + 98 * "1," + "one\n",
            "line 2: could not convert string to float: 'one', expected numbers",
        ),
        (",".join(f"{k}{i}" for i in range(33) for k in "xyzx") + "\n1\n", "line 1: 'x0' stands twice"),
        (
            "\n".join([",".join(str(x) for x in frame.ravel()) for frame in landmarks()]),
            "line 1: found columns of 0 landmarks",
        ),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError) as error:
        stored(tmp_path / "a.csv", tmp_path / "store", topology="mediapipe33")
    assert f"{tmp_path}/a.csv: {message}" in str(error.value)


def test_bad_arrays_and_options(tmp_path: Path) -> None:
    for array, message in (
        (landmarks()[:, :25], "world_landmarks: found shape"),
        (np.full((2, 33, 4), np.inf), "found infinity"),
        (np.full((2, 33, 4), np.nan), "no frame with a body"),
    ):
        np.savez(tmp_path / "a.npz", world_landmarks=array)
        with pytest.raises(InputError, match=message):
            stored(tmp_path / "a.npz", tmp_path / "store")
    np.savez(tmp_path / "a.npz", world_landmarks=landmarks())
    with pytest.raises(InputError, match="found world_landmarks, expected landmarks or pose_landmarks, for mediapipe33_image"):
        stored(tmp_path / "a.npz", tmp_path / "store", topology="mediapipe33_image", width=4, height=3)
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match=r"found no clip, expected \.jsonl or \.csv or \.npz, in a folder for each class"):
        MediaPipeReader().sources(tmp_path / "in")
    with pytest.raises(InputError, match="expected both in pixels, or neither"):
        MediaPipeReader(width=3)
    with pytest.raises(InputError, match="no such folder"):
        MediaPipeReader().sources(tmp_path / "missing")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Any, data: st.DataObject
) -> None:
    path = save(tmp_path_factory.mktemp("mutated") / "a.jsonl", landmarks(2))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    one_line_or_finite(MediaPipeReader(), path)
