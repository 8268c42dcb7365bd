"""The reader of pyskl's annotation files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers import Reader
from masksem_graph.data.readers.ntu import ACTIONS, NTUReader
from masksem_graph.data.readers.pyskl import PysklReader
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError


def annotation(
    name: str, *, frames: int = 5, bodies: int = 1, label: int = 1, flat: bool = False, **changes: Any
) -> dict[str, Any]:
    joints, coordinates = (17, 2) if flat else (25, 3)
    keypoint = (1 + np.random.rand(bodies, frames, joints, coordinates)).astype(np.float16)
    out = {"frame_dir": name, "total_frames": frames, "label": label, "keypoint": keypoint}
    if flat:
        out |= {"keypoint": (100 * keypoint).astype(np.float16), "img_shape": (480, 640), "original_shape": (480, 640)}
        out["keypoint_score"] = np.random.rand(bodies, frames, joints).astype(np.float16)
    return {name: value for name, value in (out | changes).items() if value is not None}


def write(path: Path, annotations: list[Any], split: Any = None, *, protocol: int = 4) -> Path:
    names = [a.get("frame_dir") for a in annotations if isinstance(a, dict)]
    split = {"xsub_train": names[:1], "xsub_val": names[1:]} if split is None else split
    path.write_bytes(pickle.dumps({"split": split, "annotations": annotations}, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 5])
def test_real_clips_come_back(shared: Path, tmp_path: Path, protocol: int) -> None:
    """The NTU samples as pyskl stores them, zero where the second body is missing: the same up to half precision."""
    reader = NTUReader()
    sources = reader.sources(shared / "golden/ntu")
    annotations = []
    for source in sources:
        clip = reader.read(source)
        keypoint = np.zeros((2, clip.length, 25, 3), np.float16)
        for slot, body in enumerate(clip.bodies):
            keypoint[slot, body.start : body.end] = body.frames
        annotations.append(annotation(clip.name, frames=clip.length, label=clip.label, keypoint=keypoint))
    path = write(tmp_path / "ntu60_3danno.pkl", annotations, protocol=protocol)
    prepare("pyskl", path, tmp_path / "pkl", strict=True, origin="none")
    prepare("ntu", shared / "golden/ntu", tmp_path / "raw", origin="none")
    store, raw = open_store(tmp_path / "pkl"), open_store(tmp_path / "raw")
    for name in ("name", "label", "subject", "camera", "setup", "length", "present", "body_start", "clip_offset"):
        np.testing.assert_array_equal(getattr(store, name), getattr(raw, name), err_msg=name)
    np.testing.assert_array_equal(store.frames, raw.frames.astype(np.float16))
    assert store.topology.name == "ntu25"
    assert store.classes == ACTIONS[:60]
    assert {part: index.tolist() for part, index in store.splits["xsub"].items()} == {"train": [0], "test": [1, 2, 3, 4]}


def test_2d_clips_have_the_score_as_third_channel(tmp_path: Path) -> None:
    made = annotation("walk", flat=True, bodies=2)
    made["keypoint"][1, :3] = 0
    made["keypoint_score"][1, :3] = 0
    path = write(tmp_path / "2d.pkl", [made, annotation("run", flat=True, keypoint_score=None)])
    prepare("pyskl", path, tmp_path / "store", strict=True, origin="none")
    store = open_store(tmp_path / "store")
    assert store.topology.name == "coco17"
    assert store.classes == ("class 0", "class 1")
    walk, run = store
    np.testing.assert_array_equal(walk.bodies[0].frames[..., :2], made["keypoint"][0].astype(np.float32))
    np.testing.assert_array_equal(walk.bodies[0].frames[..., 2], made["keypoint_score"][0].astype(np.float32))
    assert walk.bodies[1].start == 3
    assert (run.bodies[0].frames[..., 2] == 1).all(), "without scores every joint is sure"


def test_the_origin_leaves_the_score_alone(tmp_path: Path) -> None:
    made = annotation("walk", flat=True)
    path = write(tmp_path / "2d.pkl", [made])
    prepare("pyskl", path, tmp_path / "store", strict=True)
    frames = open_store(tmp_path / "store")[0].bodies[0].frames
    np.testing.assert_array_equal(frames[..., 2], made["keypoint_score"][0].astype(np.float32))
    keypoint = made["keypoint"][0].astype(np.float32)
    np.testing.assert_array_equal(frames[..., :2], keypoint - keypoint[0, 0])


def test_image_units(tmp_path: Path) -> None:
    corners = np.zeros((1, 2, 17, 2), np.float16)
    corners[0, 1] = [640, 480]
    corners[0, 0, 0] = [320, 240]
    path = write(tmp_path / "2d.pkl", [annotation("walk", flat=True, frames=2, keypoint=corners)])
    prepare("pyskl", path, tmp_path / "store", origin="none", options={"units": "image"})
    frames = open_store(tmp_path / "store")[0].bodies[0].frames
    np.testing.assert_array_equal(frames[0, 0, :2], [0, 0])
    np.testing.assert_array_equal(frames[1, 5, :2], [1, 0.75])


def test_splits(tmp_path: Path) -> None:
    split = {"train1": ["a"], "test1": ["b", "c"], "train": ["a", "b"], "val": ["c"], "gym_train": ["c"], "gym_val": ["a"]}
    path = write(tmp_path / "s.pkl", [annotation(name) for name in "abc"], split)
    prepare("pyskl", path, tmp_path / "store")
    parts = {name: [p.tolist() for p in parts.values()] for name, parts in open_store(tmp_path / "store").splits.items()}
    assert parts == {"split1": [[0], [1, 2]], "main": [[0, 1], [2]], "gym": [[2], [0]]}, "b is in no part of gym"


def test_other_topologies_and_class_names(tmp_path: Path) -> None:
    five = [annotation("a", keypoint=np.ones((1, 5, 5, 3), np.float16))]
    path = write(tmp_path / "five.pkl", five)
    with pytest.raises(InputError, match="found 5 joints of 3 coordinates; expected --topology"):
        prepare("pyskl", path, tmp_path / "store")
    (tmp_path / "names.txt").write_text("sit\n\nstand\n")
    options = {"topology": "tiny5", "class_names": str(tmp_path / "names.txt")}
    store = open_store(prepare("pyskl", path, tmp_path / "store", options=options).store)
    assert (store.topology.name, store.classes) == ("tiny5", ("sit", "stand"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_dir": 3}, "frame_dir: found 3, expected the clip's name"),
        ({"label": -1}, "label: found -1, expected 0 to 1"),
        ({"label": 10**30}, "label: found 1000000000000000000000000000000, expected"),
        ({"label": "x"}, "label: found 'x'"),
        ({"label": None}, "label: found None"),
        ({"total_frames": 6}, "total_frames: found 6, but keypoint has 5 frames"),
        ({"keypoint": None}, "keypoint: found None, expected [M, T, V, C]"),
        ({"keypoint": np.zeros((5, 25, 3))}, "keypoint: found shape [5, 25, 3]"),
        ({"keypoint": np.zeros((1, 0, 25, 3))}, "keypoint: found shape [1, 0, 25, 3]"),
        ({"keypoint": np.ones((1, 5, 17, 3))}, "expected [F, 25, 3]"),
        ({"keypoint": np.ones((1, 5, 25, 4))}, "keypoint: found 4 coordinates"),
        ({"keypoint": np.full((1, 5, 25, 3), np.inf)}, "keypoint[0, 0, 0, 0]: found inf"),
        ({"keypoint": np.full((1, 5, 25, 3), 1e300)}, "keypoint[0, 0, 0, 0]: found inf"),
        ({"keypoint": np.zeros((1, 5, 25, 3))}, "no frame with a body"),
        (
            {"keypoint": np.ones((1, 5, 25, 2)), "keypoint_score": np.ones((1, 5, 24))},
            "keypoint_score: found shape [1, 5, 24]",
        ),
    ],
)
def test_bad_annotations(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "bad.pkl", [annotation("good"), annotation("bad", **changes), 7], {"train": ["good"], "val": []})
    report = prepare("pyskl", path, tmp_path / "store")
    assert report.clips == 1
    (place, error), (last, _) = report.skipped
    assert place == f"{path}: annotations[1]"
    assert last == f"{path}: annotations[2]"
    assert error.startswith(place)
    assert message in error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "found a list, expected a dictionary with split and annotations"),
        ({"split": {}}, "found a dict, expected a dictionary with split and annotations"),
        ({"split": {}, "annotations": []}, "annotations: found a list, expected a list with at least one clip"),
        ({"split": [], "annotations": [annotation("a")]}, "split: found a list"),
        ({"split": {"all": []}, "annotations": [annotation("a")]}, "split: found 'all', expected names with train"),
        ({"split": {"train": ["a", "b"]}, "annotations": [annotation("a")]}, "split['train']: found 'b', which is none of"),
        ({"split": {"train": [7]}, "annotations": [annotation("a")]}, "split['train']: found a list, expected a list of clip"),
        ({"split": {}, "annotations": [7]}, "found no keypoint of shape"),
    ],
)
def test_bad_files(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError) as error:
        prepare("pyskl", path, tmp_path / "store")
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))


def test_workers_need_no_pickle_of_their_own(tmp_path: Path) -> None:
    """What travels to a worker says where an array lies; it is small, whatever the file."""
    path = write(tmp_path / "a.pkl", [annotation("a", frames=3000)])
    reader = PysklReader()
    (source,) = reader.sources(path)
    assert len(pickle.dumps(source)) < 1500
    assert pickle.loads(pickle.dumps(reader)).read(pickle.loads(pickle.dumps(source))).length == 3000


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Callable[[Reader, Path], None], data: st.DataObject
) -> None:
    path = write(tmp_path_factory.mktemp("mutated") / "some.pkl", [annotation("a"), annotation("b", flat=True)])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 300) | st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    one_line_or_finite(PysklReader(), path)
