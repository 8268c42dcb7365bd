"""Raw clips are prepared as a run's store was: of a file and of its store a classifier says the same, in every format."""

from __future__ import annotations

import csv
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from masksem_graph.cli import main
from masksem_graph.data.demo import clip_texts
from tests.cli.options import replaced

Made = tuple[Path, list[Path], str, list[str]]
"""A source, its files in the order of the store, the split, and options of ``prepare``."""

SMALL = [
    "--model",
    "tiny",
    "--method",
    "mamp",
    "--augment",
    "none",
    "--model.width",
    "16",
    "--model.frames",
    "16",
    "--model.crop.min_frames",
    "8",
]
SMALL += ["--model.backbone.depth", "1", "--model.decoder.depth", "1", "--train.figures", "false"]
SMALL += ["--train.epochs", "1", "--train.batch_size", "4", "--train.evaluate_every", "0", "--device.accelerator", "cpu"]


def walks(joints: int, channels: int, clips: int = 6, *, far: float = 2.0) -> list[np.ndarray]:
    """Clips [T, V, C] of other lengths and speeds, away from the origin."""
    random = np.random.default_rng(joints)
    at = random.uniform(0, 3, (clips, joints, channels))
    time = np.arange(30)[:, None, None] / 10
    return [(far + np.sin((1 + i % 2) * time[: 20 + i] + at[i])).astype(np.float32) for i in range(clips)]


def ntu(folder: Path) -> Made:
    for action in (1, 4, 11):
        for name, text in clip_texts(seed=0, subject=1, action=action).items():
            (folder / name).write_text(text)
    return folder, sorted(folder.iterdir()), "xview", ["--cleaning", "recorded"]


def nw_ucla(folder: Path) -> Made:
    for i, frames in enumerate(walks(20, 3)):
        name = f"a{1 + i % 2:02}_s01_e{i:02}_v{1 + i // 2:02}"
        (folder / f"{name}.json").write_text(json.dumps({"skeletons": frames.tolist(), "label": 1 + i % 2}))
    return folder, sorted(folder.iterdir()), "xview", []


def npz(folder: Path) -> Made:
    arrays: dict[str, np.ndarray] = {"x_train": np.zeros((4, 30, 150)), "x_test": np.zeros((2, 30, 150))}
    for i, frames in enumerate(walks(25, 3)):
        rows = arrays["x_train" if i < 4 else "x_test"][i % 4]
        rows[: len(frames), :75] = frames.reshape(len(frames), 75)
        rows[5:9, 75:] = frames[5:9].reshape(4, 75) + 1
    arrays |= {f"y_{part}": np.eye(2)[np.arange(n) % 2] for part, n in (("train", 4), ("test", 2))}
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz", [folder / "mine.npz"], "main", []


def pyskl(folder: Path) -> Made:
    """2D with a score, some joints not found, the nose of a first frame among them."""
    annotations = []
    for i, frames in enumerate(walks(17, 2, far=3)):
        keypoint, score = 100 * frames[None], np.full((1, len(frames), 17), 0.8, np.float32)
        keypoint[0, 4:9, 3], keypoint[0, 0, 0], score[0, 4:9, 3], score[0, 0, 0] = 0, 0, 0, 0
        fields = {"frame_dir": f"clip{i}", "total_frames": len(frames), "label": i % 2, "img_shape": (600, 600 + 20 * i)}
        annotations.append({**fields, "keypoint": keypoint, "keypoint_score": score})
    split = {"train": [f"clip{i}" for i in range(4)], "val": ["clip4", "clip5"]}
    (folder / "all.pkl").write_bytes(pickle.dumps({"split": split, "annotations": annotations}))
    return folder / "all.pkl", [folder / "all.pkl"], "main", ["--units", "image", "--missing", "hold"]


def own_folder(folder: Path) -> Made:
    """Coordinates first in the arrays, and joints that were not found."""
    clips = walks(5, 3)
    with (folder / "clips.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("file", "label"), *((f"clip{i}.npy", "ab"[i % 2]) for i in range(len(clips)))])
    for i, frames in enumerate(clips):
        frames[4:9, 2] = np.nan
        np.save(folder / f"clip{i}.npy", frames.transpose(2, 0, 1))
    (folder / "train.txt").write_text("\n".join(f"clip{i}" for i in range(4)))
    (folder / "dataset.yaml").write_text("topology: tiny5\naxes: CTV\nsplits:\n  half: {train: train.txt}\n")
    return folder, [folder / f"clip{i}.npy" for i in range(len(clips))], "half", ["--missing", "hold"]


def predicted(capsys: pytest.CaptureFixture[str], run: Path, *clips: Path) -> np.ndarray:
    """Probabilities [clips, classes], classes by their names."""
    capsys.readouterr()
    main(["predict", *map(str, clips), "--run", str(run), "--top", "200", "--json", "--device.accelerator", "cpu"])
    rows = [json.loads(line)["top"] for line in capsys.readouterr().out.splitlines()]
    return np.array([[guess["probability"] for guess in sorted(row, key=lambda guess: guess["class"])] for row in rows])


@pytest.mark.parametrize("origin", ["centre", "none"])
@pytest.mark.parametrize("made", [ntu, nw_ucla, npz, pyskl, own_folder])
def test_files_equal_their_store(
    made: Callable[[Path], Made], origin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").mkdir()
    source, files, split, options = made(tmp_path / "raw")
    format, store, run = made.__name__.removeprefix("own_"), tmp_path / "store", tmp_path / "run"
    main(["prepare", format, str(source), "--output", str(store), "--origin", origin, "--workers", "1", "--strict", *options])
    data = ["--data.format", format, "--data.split", split, "--data.root", str(store)]
    main(["train", *replaced([*SMALL, *data, "--output", str(run)])])
    short = ["--protocol", "linear", "--protocol.epochs", "5", "--figures", "false", "--device.accelerator", "cpu"]
    main(["evaluate", "--run", str(run), *short, "--output", str(run / "linear")])
    by_store = predicted(capsys, run / "linear", store)
    assert np.ptp(by_store, axis=0).max() > 1e-3, "no two clips alike"
    np.testing.assert_allclose(predicted(capsys, run / "linear", *files), by_store, atol=1e-5)
    np.testing.assert_allclose(predicted(capsys, run / "linear", source), by_store, atol=1e-5)


def test_other_units_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run on points in halves of the image does not take pixels, of an array or of a store."""
    (tmp_path / "raw").mkdir()
    source, *_ = pyskl(tmp_path / "raw")
    for units in ("image", "file"):
        main(["prepare", "pyskl", str(source), "--output", str(tmp_path / units), "--units", units])
    data = ["--data.format", "pyskl", "--data.split", "main", "--data.root", str(tmp_path / "image")]
    main(["train", *replaced([*SMALL, *data, "--output", str(tmp_path / "run")])])
    short = ["--protocol", "linear", "--protocol.epochs", "1", "--figures", "false", "--device.accelerator", "cpu"]
    main(["evaluate", "--run", str(tmp_path / "run"), *short, "--output", str(tmp_path / "linear")])
    np.save(tmp_path / "pixels.npy", 100 * walks(17, 2)[0])
    for clips in (tmp_path / "pixels.npy", tmp_path / "file"):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main(["predict", str(clips), "--run", str(tmp_path / "linear")])
        assert capsys.readouterr().err == f"error: {clips}: found coordinates in pixels, expected image, as the run's clips\n"


def test_clips_on_the_skeleton_of_the_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pre-trained on ntu25, its head on kinect20: arrays are on kinect20, and clips on ntu25 are refused."""
    made = {}
    for make in (ntu, nw_ucla):
        folder = tmp_path / make.__name__
        folder.mkdir()
        made[make.__name__] = make(folder)
        main(["prepare", make.__name__, str(folder), "--output", str(tmp_path / f"{make.__name__}.store"), "--workers", "1"])
    data = ["--data.format", "ntu", "--data.split", "xview", "--data.root", str(tmp_path / "ntu.store")]
    main(["train", *replaced([*SMALL, *data, "--output", str(tmp_path / "run")])])
    there = ["--data.format", "nw_ucla", "--data.split", "xview", "--data.root", str(tmp_path / "nw_ucla.store")]
    short = ["--protocol", "linear", "--protocol.epochs", "5", "--figures", "false", "--device.accelerator", "cpu"]
    main(["evaluate", "--run", str(tmp_path / "run"), *there, *short, "--output", str(tmp_path / "linear")])
    by_store = predicted(capsys, tmp_path / "linear", tmp_path / "nw_ucla.store")
    np.testing.assert_allclose(predicted(capsys, tmp_path / "linear", *made["nw_ucla"][1]), by_store, atol=1e-5)
    np.save(tmp_path / "one.npy", walks(20, 3)[0])
    np.testing.assert_allclose(predicted(capsys, tmp_path / "linear", tmp_path / "one.npy"), by_store[:1], atol=1e-5)
    with pytest.raises(SystemExit):
        main(["predict", str(made["ntu"][1][0]), "--run", str(tmp_path / "linear")])
    assert "ntu25: the clips have its 25 joints, expected the 20 joints of kinect20" in capsys.readouterr().err


@pytest.mark.parametrize("prepared", ["[ntu]", "{format: [ntu]}", "{options: ntu}", "{topology: {name: tiny5}}"])
def test_a_damaged_record_is_one_line(
    prepared: str, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(small_run / "linear", tmp_path / "linear")
    path = tmp_path / "linear" / "data.yaml"
    path.write_text(f"prepared: {prepared}\n")
    np.save(tmp_path / "clip.npy", walks(5, 3)[0])
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(tmp_path / "clip.npy"), "--run", str(tmp_path / "linear")])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.startswith(f"error: {path}: ") and error.count("\n") == 1
