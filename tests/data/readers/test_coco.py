"""The reader of COCO's results and YOLO's text files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksem_graph.data.prepare import prepare
from masksem_graph.data.store import Store, open_store
from masksem_graph.errors import InputError
from tests.recordings import save_results, save_yolo, walk

SIZE = (640, 480)


def stored(source: Path, output: Path, **options: Any) -> Store:
    return open_store(prepare("coco", source, output, options=options, strict=True, origin="none").store)


def in_image(points: np.ndarray) -> np.ndarray:
    return (points[..., :2] - np.array(SIZE) / 2) / 320


def test_results(tmp_path: Path) -> None:
    save_results(tmp_path / "in/wave/a.json", walk(17))
    save_results(tmp_path / "in/squat/a.json", walk(17, seed=1))
    store = stored(tmp_path / "in", tmp_path / "store")
    assert (store.topology.name, store.units, store.classes) == ("coco17", "pixels", ("squat", "wave"))
    np.testing.assert_array_equal(store[1].bodies[0].frames, walk(17).astype(np.float32))
    named = json.loads((tmp_path / "in/wave/a.json").read_text())
    names = [entry | {"image_id": f"video/{entry['image_id']:05}.jpg"} for entry in named[:3] + named[5:]]
    (tmp_path / "named.json").write_text(json.dumps(names))
    (body,) = stored(tmp_path / "named.json", tmp_path / "named")[0].bodies
    assert np.flatnonzero(~body.present).tolist() == [3, 4]


@pytest.mark.parametrize("more", [(), (0.87,), ("id",), (0.87, "id")])
@pytest.mark.parametrize("channels", [2, 3])
def test_yolo(tmp_path: Path, channels: int, more: tuple[Any, ...]) -> None:
    people = [walk(17, seed=i, at=(100 + 300 * i, 200)) for i in range(2)]
    folder = save_yolo(tmp_path / "a", *(person[..., :channels] for person in people), size=SIZE, more=more)
    store = stored(folder, tmp_path / "store", width=SIZE[0], height=SIZE[1])
    assert store.units == "image"
    for body, person in zip(sorted((b.frames for b in store[0].bodies), key=lambda f: f[0, 0, 0]), people, strict=True):
        np.testing.assert_allclose(body[..., :2], in_image(person), atol=1e-6)
        np.testing.assert_allclose(body[..., 2], person[..., 2] if channels == 3 else 1, atol=1e-6)


def test_results_and_text_of_the_same_people_are_the_same(tmp_path: Path) -> None:
    results, text = save_results(tmp_path / "in/a/a.json", walk(17)), save_yolo(tmp_path / "in/b/a", walk(17), size=SIZE)
    assert results.is_file() and text.is_dir()
    store = stored(tmp_path / "in", tmp_path / "store", width=SIZE[0], height=SIZE[1])
    (first,), (second,) = (clip.bodies for clip in store)
    np.testing.assert_allclose(first.frames, second.frames, atol=1e-6)


def test_ids_tell_who_is_who(tmp_path: Path) -> None:
    """Two people who change places in one frame."""
    left, right = walk(17, seed=1, at=(100, 200)), walk(17, seed=2, at=(400, 200))
    left[6:, :, 0], right[6:, :, 0] = left[6:, :, 0] + 300, right[6:, :, 0] - 300
    one, other = (
        json.loads(save_results(tmp_path / "a.json", w, track_id=i).read_text()) for i, w in enumerate((left, right))
    )
    (tmp_path / "a.json").write_text(json.dumps(one + other + [other[0] | {"track_id": None}]))
    store = stored(tmp_path / "a.json", tmp_path / "store")
    found = sorted((body.frames for body in store[0].bodies), key=lambda frames: frames[0, 0, 0])
    np.testing.assert_array_equal(found, np.stack([left, right]).astype(np.float32))
    (tmp_path / "a.json").write_text(json.dumps([*one, one[3]]))
    with pytest.raises(InputError, match=r"a\.json: frame 3: found two bodies with the same id"):
        stored(tmp_path / "a.json", tmp_path / "store")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1.0] * 54}, "[1].keypoints: found 54 numbers, expected 51: x, y, score of 17 joints"),
        ({"keypoints": [1.0] * 50 + ["x"]}, "[1].keypoints[16]: found [1.0, 1.0, 'x'], expected 3 numbers"),
        ({"keypoints": None}, "[1].keypoints: found None, expected 51"),
        ({"image_id": "first"}, "[1].image_id: found 'first', expected a number, or a name that ends with one"),
        ({"image_id": 581781}, "found 3 of 581,682 frames, expected the frames of one recording"),
        ({"track_id": [1]}, "[1].track_id: found [1], expected a number or a text"),
        ({"category_id": 17}, "[1].category_id: found 17, expected 1, a person"),
    ],
)
def test_bad_results(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = save_results(tmp_path / "a.json", walk(17, 4))
    entries = json.loads(path.read_text())
    entries[1] |= change
    path.write_text(json.dumps(entries[:3]))
    with pytest.raises(InputError) as error:
        stored(path, tmp_path / "store")
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)


@pytest.mark.parametrize("text", ["[", "{}", "[]", "[3]", '{"annotations": [], "images": []}'])
def test_what_is_no_list_of_results(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json: (not whole JSON|found .*, expected a list of results)"):
        stored(tmp_path / "a.json", tmp_path / "store")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "0 .5 .5 .1 .1 1 2",
            "video_2.txt: line 1: found 7 numbers, expected class, box, and x, y or x, y, score of 17 joints",
        ),
        ("0 .5 .5 .1 .1" + " nan" * 51, "video_2.txt: line 1: found 'nan', expected finite numbers"),
        ("0 .5 .5 .1 .1" + " x" * 51, "video_2.txt: line 1: could not convert string to float: 'x', expected numbers"),
        ("0 .5 .5 .1 .1" + " .5 .5 2" * 17, "found a score of 2, expected 0 to 1: these are no results"),
        ("0 .5 .5 .1 .1" + " 300 200 1" * 17, "found 300, expected shares of the picture, 0 to 1 inside"),
        (
            "0 .5 .5 .1 .1" + " .5 .5 1" * 17 + " 3\n0 .5 .5 .1 .1" + " .5 .5 1" * 17 + " .3",
            "is a score, or an id? Expected one",
        ),
    ],
)
def test_bad_text(tmp_path: Path, line: str, message: str) -> None:
    folder = save_yolo(tmp_path / "a", walk(17), size=SIZE)
    (folder / "video_2.txt").write_text(line)
    with pytest.raises(InputError) as error:
        stored(folder, tmp_path / "store", width=SIZE[0], height=SIZE[1])
    assert str(error.value).startswith(str(folder)) and message in str(error.value)


def test_the_size_of_the_picture_is_needed_for_shares(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found shares of the picture, expected --width and --height, its size in pixels"):
        stored(save_yolo(tmp_path / "a", walk(17), size=SIZE), tmp_path / "store")
    save_results(tmp_path / "shares.json", walk(17) / [*SIZE, 1])
    with pytest.raises(InputError, match="expected pixels: they look like shares"):
        stored(tmp_path / "shares.json", tmp_path / "store")
