"""The PKU-MMD reader, on recordings rebuilt in the published layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers import Reader
from masksem_graph.data.readers.pku import ACTIONS, PKUReader
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError

FRAMES = 12


def frames(recording: int, *, second: bool = True) -> np.ndarray:
    """[F, 150], every number different; the second body is missing in the first half."""
    out = recording + np.arange(1, FRAMES * 150 + 1).reshape(FRAMES, 150) / 1000
    out[: FRAMES // 2 if second else FRAMES, 75:] = 0
    return out


def write_recording(root: Path, name: str, recording: int, labels: str, *, second: bool = True) -> None:
    lines = [" ".join(f"{number:.6f}" for number in frame) for frame in frames(recording, second=second)]
    (root / "skeleton" / f"{name}.txt").write_text("\r\n".join(lines) + "\r\n")
    (root / "label" / f"{name}.txt").write_text(labels)


def write_set(root: Path, *, splits: dict[str, str] | None = None) -> Path:
    for folder in ("skeleton", "label"):
        (root / folder).mkdir(parents=True)
    write_recording(root, "0002-L", 0, "2,0,4,2\n51,6,12,1\n")
    write_recording(root, "0002-M", 1, "34,3,9,2\n", second=False)
    write_recording(root, "0003-R", 2, "1,0,12,2\n1,1,2,2\n")
    default = {"cross-subject.txt": "0002-L, 0002-M, ", "cross_view_v2.txt": "0002-M,0003-R"}
    for name, line in (default if splits is None else splits).items():
        (root / name).write_text(f"Training videos: \n{line}\nValidataion videos:\n0003-R\n")
    return root


def test_an_action_is_a_clip(tmp_path: Path) -> None:
    reader = PKUReader()
    sources = reader.sources(write_set(tmp_path))
    clips = [reader.read(source) for source in sources]
    assert [(c.name, c.label, c.camera) for c in clips] == [
        ("0002-L_000", 1, 1),
        ("0002-L_001", 50, 1),
        ("0002-M_000", 33, 2),
        ("0003-R_000", 0, 3),
        ("0003-R_001", 0, 3),
    ]
    # Frames from the start, counted from 0, to before the end, as the community's scripts slice them.
    expected = frames(0)[6:12].reshape(6, 2, 25, 3).astype(np.float32)
    for slot, body in enumerate(clips[1].bodies):
        np.testing.assert_array_equal(body.frames, expected[:, slot])
    assert len(ACTIONS) == len(set(ACTIONS)) == 51
    assert (ACTIONS[0], ACTIONS[33], ACTIONS[50]) == ("bow", "stand up", "write")


def test_store_and_splits(tmp_path: Path) -> None:
    report = prepare("pku", write_set(tmp_path / "pku"), tmp_path / "store", strict=True)
    store = open_store(report.store)
    assert {name: parts["train"].tolist() for name, parts in store.splits.items()} == {"xsub": [0, 1, 2], "xview": [2, 3, 4]}
    assert store.splits["xview"]["test"].tolist() == [0, 1]
    assert store.origin == "none", "as the community's arrays of this set"
    assert np.diff(store.clip_offset).tolist() == [1, 2, 1, 2, 1], "a body of zeros is not there"
    assert store.body_start.tolist() == [0, 0, 0, 0, 0, 6, 0]
    np.testing.assert_array_equal(store[0].bodies[0].frames.reshape(4, 75), frames(0)[:4, :75].astype(np.float32))


def test_folders_of_the_published_archives(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    (root / "Data").mkdir()
    (root / "skeleton").rename(root / "Data" / "PKU_Skeleton_Renew")
    (root / "label").rename(root / "Train_Label_PKU_final")
    (root / "cross-subject.txt").rename(root / "Data" / "cross_subject.txt")
    reader = PKUReader()
    assert len(reader.sources(root)) == 5
    assert set(reader.trained) == {"xsub", "xview"}
    write_set(root / "v2")
    with pytest.raises(InputError, match=r"found (Data/PKU_Skeleton_Renew and v2/skeleton|v2/skeleton and)"):
        PKUReader().sources(root)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("52,0,4,2\n", "line 1: class: found 52, expected 1 to 51"),
        ("0,0,4,2\n", "line 1: class: found 0"),
        ("1,4,4,2\n", "line 1: found frames 4 to 4"),
        ("1,-1,4,2\n", "line 1: found frames -1 to 4"),
        ("1,0,13,2\n", "ends after frame 12, but an action lasts until frame 13"),
        ("1,0,99999999999,2\n", "ends after frame 12"),
        ("1,zero,4\n", "line 1: found '1,zero,4', expected class,start,end,confidence"),
        ("1,2\n", "line 1: found '1,2'"),
        ("\n", "holds no action"),
    ],
)
def test_bad_labels(tmp_path: Path, labels: str, message: str) -> None:
    root = write_set(tmp_path / "set")
    (root / "label" / "0002-M.txt").write_text(labels)
    report = prepare("pku", root, tmp_path / "store")
    assert report.clips == 4
    ((place, error),) = report.skipped
    assert message in error
    assert "0002-M" in place
    assert "0002-M" in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line + " 1.0", "line 5: found 151 numbers, expected 150"),
        (lambda line: line.replace("1.", "one", 1), "line 5: could not convert"),
        (lambda line: " ".join(["nan", *line.split()[1:]]), "line 5: found 'nan', expected finite numbers"),
        (lambda line: " ".join([*line.split()[1:], "1e39"]), "line 5: found '1e39', expected finite numbers"),
        (lambda line: "", "line 5: found 0 numbers"),
    ],
)
def test_bad_frames(tmp_path: Path, change, message: str) -> None:
    root = write_set(tmp_path / "set")
    path = root / "skeleton" / "0002-M.txt"
    lines = path.read_text().splitlines()
    lines[4] = change(lines[4])
    path.write_text("\n".join(lines))
    with pytest.raises(InputError) as error:
        prepare("pku", root, tmp_path / "store", strict=True)
    assert str(error.value).startswith(f"{path}: {message}")


def test_missing_files(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    (root / "label" / "0002-L.txt").unlink()
    (root / "skeleton" / "0002-M.txt").unlink()
    report = prepare("pku", root, tmp_path / "store")
    assert report.clips == 2
    assert [error.split(": ", 1)[1] for _, error in report.skipped] == [
        "no such file, expected the labels of 0002-L.txt",
        "no such file, expected the recording that its label file belongs to",
    ]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({}, "holds no split file"),
        ({"cross-view.txt": "0002-L, 0099-L"}, "cross-view.txt: line 2: found '0099-L'"),
        ({"cross-view.txt": " "}, "cross-view.txt: line 2: found no recording"),
        ({"cross-view.txt": "0002-L", "cross_view.txt": "0002-L"}, "found cross-view.txt and cross_view.txt"),
    ],
)
def test_bad_splits(tmp_path: Path, splits: dict[str, str], message: str) -> None:
    root = write_set(tmp_path / "set", splits=splits)
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        prepare("pku", root, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        PKUReader().sources(tmp_path / "missing")
    with pytest.raises(InputError, match=r"found none, expected one folder skeleton/"):
        PKUReader().sources(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Callable[[Reader, Path], None], data: st.DataObject
) -> None:
    root = write_set(tmp_path_factory.mktemp("mutated") / "set")
    path = root / data.draw(st.sampled_from(["skeleton/0002-L.txt", "label/0002-L.txt", "cross-subject.txt"]))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content)))
    new = data.draw(st.sampled_from([b"", b"\n", b",", b" ", b"9" * 5000, b"-", b"nan", b"\x00", b"\xff", b"1e999"]))
    path.write_bytes(content[:at] + new + content[at + data.draw(st.integers(0, 20)) :])
    one_line_or_finite(PKUReader(), root)
