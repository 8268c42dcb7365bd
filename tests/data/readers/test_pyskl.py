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

from masksem_graph.data import prepare as module
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
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfsit\r\nstand\r\n\r\n")
    options = {"topology": "tiny5", "class_names": str(tmp_path / "names.txt")}
    store = open_store(prepare("pyskl", path, tmp_path / "store", options=options).store)
    assert (store.topology.name, store.classes) == ("tiny5", ("sit", "stand"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_dir": 3}, "frame_dir: found 3, expected the clip's name"),
        ({"label": -1}, "label: found -1, expected 0 to 1"),
        ({"label": 10**30}, "label: found 1000000000000000000000000000000, expected"),
        ({"label": 10**5000}, "label: found a int, expected"),
        ({"label": "x"}, "label: found 'x'"),
        ({"label": None}, "label: found None"),
        ({"total_frames": 6}, "total_frames: found 6, but keypoint has 5 frames"),
        ({"keypoint": None}, "keypoint: found None, expected [M, T, V, C]"),
        ({"keypoint": np.zeros((5, 25, 3))}, "keypoint: found shape [5, 25, 3]"),
        ({"keypoint": np.zeros((1, 0, 25, 3))}, "keypoint: found shape [1, 0, 25, 3]"),
        ({"keypoint": np.ones((1, 5, 17, 3))}, "expected [F, 25, 3]"),
        ({"keypoint": np.ones((1, 5, 25, 4))}, "keypoint: found 4 coordinates, but ntu25 is in 3D"),
        ({"keypoint": np.full((1, 5, 25, 3), np.inf)}, "keypoint[0, 0, 0, 0]: found inf"),
        ({"keypoint": np.full((1, 5, 25, 3), 1e300)}, "keypoint[0, 0, 0, 0]: found 1e+300"),
        ({"keypoint": np.zeros((1, 5, 25, 3))}, "no frame with a body"),
        (
            {"keypoint": np.ones((1, 5, 25, 2)), "keypoint_score": np.ones((1, 5, 25))},
            "keypoint: found 2 coordinates and keypoint_score, but ntu25 is in 3D, expected x, y, z alone",
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
        ([], "found [], expected a dictionary with split and annotations"),
        ({"split": {}}, "found {'split': {}}, expected a dictionary with split and annotations"),
        ({"split": {}, "annotations": []}, "annotations: found [], expected a list with at least one clip"),
        ({"split": [], "annotations": [annotation("a")]}, "split: found []"),
        ({"split": {"all": []}, "annotations": [annotation("a")]}, "split: found 'all', expected names with train"),
        ({"split": {"train": ["a", "b"]}, "annotations": [annotation("a")]}, "split['train']: found 'b', which is none of"),
        ({"split": {"train": [7]}, "annotations": [annotation("a")]}, "split['train']: found [7], expected a list of clip"),
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


def test_workers_give_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_WORKER", 3)
    monkeypatch.setattr(module, "CHUNK", 2)
    path = write(tmp_path / "a.pkl", [annotation(name) for name in "abcdef"])
    one, two = (open_store(prepare("pyskl", path, tmp_path / str(n), workers=n).store) for n in (1, 2))
    assert one.fingerprint == two.fingerprint


def flat(name: str = "walk", *, keypoint: np.ndarray, **changes: Any) -> dict[str, Any]:
    """An annotation of coco17 with these points, in a picture of 640 by 480."""
    return annotation(name, flat=True, frames=keypoint.shape[1], keypoint=keypoint, **changes)


def points(frames: int = 5) -> np.ndarray:
    """A body that moves to the right by a pixel a frame, [1, T, 17, 2]."""
    places = 100.0 + 10 * np.arange(17)[:, None] + np.zeros((frames, 17, 2))
    places[..., 0] += np.arange(frames)[:, None]
    return places[None].astype(np.float32)


def frames_of(tmp_path: Path, made: dict[str, Any], **options: Any) -> np.ndarray:
    path = write(tmp_path / "some.pkl", [made])
    prepare("pyskl", path, tmp_path / "store", strict=True, options=options)
    return open_store(tmp_path / "store")[0].bodies[0].frames


@pytest.mark.parametrize("how", ["zero", "nan", "score"])
def test_a_missing_centre_does_not_move_the_clip(tmp_path: Path, how: str) -> None:
    """The clip is placed as its complete twin: its nose stands still at first, and is not found in the first frame."""
    whole = points()
    whole[0, 0, 0] = whole[0, 1, 0]
    score = np.ones(whole.shape[:3], np.float32)
    twin = frames_of(tmp_path, flat(keypoint=whole, keypoint_score=score))
    hurt, low = whole.copy(), score.copy()
    if how == "score":
        low[0, 0, 0] = 0
    else:
        hurt[0, 0, 0] = 0 if how == "zero" else np.nan
    found = frames_of(tmp_path, flat(keypoint=hurt, keypoint_score=low))
    np.testing.assert_array_equal(found[..., :2], twin[..., :2])
    assert (found[0, 0, 2], twin[0, 0, 2]) == (0, 1), "and its score still says that it was not found"


def test_what_is_done_about_missing_joints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hurt = points(8)
    hurt[0, 3:5, 9] = 0
    hurt[0, :, 16] = 0
    whole = points(8)[0]
    centre = whole[0, 0]
    path = write(tmp_path / "some.pkl", [flat(keypoint=hurt), flat("good", keypoint=points())])
    options: dict[str, Any] = {"missing_frames": 8}
    found = {}
    for how in ("hold", "interpolate"):
        report = prepare("pyskl", path, tmp_path / how, strict=True, options=options | {"missing": how})
        store = open_store(tmp_path / how)
        assert report.filled == store.counts["filled"] == 10
        assert "10 joints were not found and were filled" in capsys.readouterr().err
        found[how] = store[0].bodies[0].frames[..., :2] + centre
    np.testing.assert_allclose(found["interpolate"][:, :16], whole[:, :16], rtol=1e-6)
    np.testing.assert_array_equal(found["hold"][3:5, 9], whole[[2, 2], 9])
    np.testing.assert_allclose(found["hold"][:, 16], whole[:, 14], err_msg="with its neighbour", rtol=1e-6)
    report = prepare("pyskl", path, tmp_path / "skip", options={"missing": "skip"})
    assert report.clips == 1
    assert "left_wrist was not found" in report.skipped[0][1] or "right_ankle was not found" in report.skipped[0][1]
    report = prepare("pyskl", path, tmp_path / "short", options={"missing_frames": 7})
    assert "right_ankle was not found in 8 or more frames from frame 0 on, expected at most 7 on end" in report.skipped[0][1]


def test_points_and_places_are_not_mixed_up(tmp_path: Path) -> None:
    """Each is a case that was read as something else before."""
    three = np.concatenate([points(), np.full((1, 5, 17, 1), 0.5, np.float32)], axis=-1)

    def fault(made: dict[str, Any], **options: Any) -> str:
        path = write(tmp_path / "some.pkl", [made])
        with pytest.raises(InputError) as error:
            prepare("pyskl", path, tmp_path / "store", options=options)
        return str(error.value)

    in_space = fault(flat(keypoint=points(), keypoint_score=np.ones((1, 5, 17))), topology="h36m17")
    assert "found 2 coordinates and keypoint_score, but h36m17 is in 3D" in in_space
    assert "found 2 coordinates, but ntu25 is in 3D" in fault(
        annotation("walk", keypoint=np.ones((1, 5, 25, 2))), topology="ntu25"
    )
    pixels = np.ones((1, 5, 25, 3)) * (400, 300, 0.9) * np.linspace(0.5, 1, 25)[:, None]
    assert "x, y, z, or x, y and a score? Expected --topology" in fault(annotation("walk", keypoint=pixels), units="image")
    assert "--units image is for points of an image" in fault(
        annotation("walk", keypoint=pixels), units="image", topology="ntu25"
    )
    far = fault(annotation("walk", keypoint=pixels))
    assert "found a coordinate of 400 in metres, expected at most 50: they look like pixels with a score" in far
    assert "they look like millimetres" in fault(annotation("walk", keypoint=1000 * np.random.randn(1, 5, 25, 3)))
    three[..., 2] = -0.5
    assert "found a score of -0.5, expected x, y and a score from 0" in fault(
        flat(keypoint=three, keypoint_score=None), topology="coco17"
    )
    both = flat(keypoint=np.abs(three), keypoint_score=np.ones((1, 5, 17)))
    assert "found 3 channels and keypoint_score, but coco17 is in an image" in fault(both, topology="coco17")


def test_a_score_among_the_points(tmp_path: Path) -> None:
    """[M, T, 17, 3] on coco17 is x, y and the score; --units image measures x and y alone."""
    made = np.concatenate([points(), np.full((1, 5, 17, 1), 0.5, np.float32)], axis=-1)
    path = write(tmp_path / "some.pkl", [flat(keypoint=made, keypoint_score=None)])
    prepare("pyskl", path, tmp_path / "store", strict=True, origin="none", options={"topology": "coco17", "units": "image"})
    store = open_store(tmp_path / "store")
    frames = store[0].bodies[0].frames
    assert (store.units, store.topology.units, store.dimensions) == ("image", "pixels", 2)
    np.testing.assert_allclose(frames[..., 0], (made[0, ..., 0] - 320) / 320, rtol=1e-5)
    np.testing.assert_allclose(frames[..., 1], (made[0, ..., 1] - 240) / 320, rtol=1e-5)
    assert (frames[..., 2] == 0.5).all()


def test_labels_are_held_against_names(tmp_path: Path) -> None:
    names = [f"S001C001P001R001A{action:03}" for action in (50, 51, 60)]
    path = write(tmp_path / "off_by_one.pkl", [annotation(name, label=int(name[-3:])) for name in names])
    with pytest.raises(
        InputError, match="label: found 50, but the name S001C001P001R001A050 says action A050, which is label 49"
    ):
        prepare("pyskl", path, tmp_path / "store")
    path = write(tmp_path / "renumbered.pkl", [annotation(name, label=i) for i, name in enumerate(names)])
    with pytest.raises(InputError, match=r"label: found 0, but the name .* which is label 49"):
        prepare("pyskl", path, tmp_path / "store")
    (tmp_path / "names.txt").write_text("punch\nkick\nwalk apart\n")
    store = open_store(prepare("pyskl", path, tmp_path / "s", options={"class_names": str(tmp_path / "names.txt")}).store)
    assert (store.label.tolist(), store.classes) == ([0, 1, 2], ("punch", "kick", "walk apart"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"sit\n\nstand\n", "line 2: found nothing, expected a class name"),
        (b"\nsit\nstand\n", "line 1: found nothing, expected a class name"),
        (b"sit\nsit\n", "line 2: found 'sit', which stands in line 1 already"),
        (b"sit\n\xe9\n", "line 2: is not UTF-8"),
    ],
)
def test_bad_class_names(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    path = write(tmp_path / "some.pkl", [annotation("a")])
    with pytest.raises(InputError) as error:
        prepare("pyskl", path, tmp_path / "store", options={"class_names": str(tmp_path / "names.txt")})
    assert str(error.value).startswith(f"{tmp_path}/names.txt: {message}")


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ({"training": ["a"], "validation": ["b"]}, ["main"]),
        ({"xsub_training": ["a"], "xsub_validation": ["b"]}, ["xsub"]),
        ({"train-fold": ["a"], "test-fold": ["b"]}, ["fold"]),
        ({"strain_train": ["a"], "strain_test": ["b"]}, ["strain"]),
        ({"s1_Train_2": ["a"], "s1_Val_2": ["b"]}, ["s1_2"]),
    ],
)
def test_split_names_are_not_mangled(tmp_path: Path, split: Any, names: list[str]) -> None:
    path = write(tmp_path / "s.pkl", [annotation(name) for name in "ab"], split)
    store = open_store(prepare("pyskl", path, tmp_path / "store").store)
    assert list(store.splits) == names
    assert [part.tolist() for part in store.splits[names[0]].values()] == [[0], [1]]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": ["a", "b"], "val": ["b"]}, "split main: 'b' is in its training and in its test part"),
        ({"train": ["a"], "training": ["b"]}, "split: found 'training' and a second list of the same train part"),
        ({"strain": ["a"]}, "split: found 'strain', expected names with train, val or test"),
    ],
)
def test_splits_that_cannot_be(tmp_path: Path, split: Any, message: str) -> None:
    path = write(tmp_path / "s.pkl", [annotation(name) for name in "ab"], split)
    with pytest.raises(InputError) as error:
        prepare("pyskl", path, tmp_path / "store")
    assert message in str(error.value)


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
