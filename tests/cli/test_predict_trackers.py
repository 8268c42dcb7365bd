"""Recordings of pose trackers, by themselves: prepared as their store was, whatever tells what they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksem_graph.cli import main
from masksem_graph.data.prepare import prepare
from masksem_graph.data.store import Store, open_store
from masksem_graph.evaluation.loose_clips import gather
from masksem_graph.evaluation.prepared import Prepared
from masksem_graph.topology import load_topology
from tests.cli.options import replaced
from tests.cli.test_predict_alike import SMALL, predicted
from tests.recordings import save_bvh, save_openpose, save_results, save_stgcn, save_yolo, walk

Made = tuple[list[Path], dict[str, Any]]
"""The recordings below a folder, in the order of its store, and options of the format."""
SIZE = {"width": 640, "height": 480}


def landmarks(seed: int) -> np.ndarray:
    return np.concatenate([walk(33, seed=seed, at=(1, 1))[..., :2] / 100, walk(33, seed=seed + 9)[..., 1:] / 100], -1)


def mediapipe(folder: Path) -> Made:
    for i in range(2):
        lines = [json.dumps({"t": j / 30, "world_landmarks": frame.tolist()}) for j, frame in enumerate(landmarks(i))]
        (folder / f"{i}.jsonl").write_text("\n".join(lines))
    return [folder / "0.jsonl", folder / "1.jsonl"], {}


def mediapipe_image(folder: Path) -> Made:
    for i in range(2):
        np.savez(folder / f"{i}.npz", np.clip(landmarks(i), 0, 1))
    return [folder / "0.npz", folder / "1.npz"], {"topology": "mediapipe33_image", **SIZE}


def openpose(folder: Path) -> Made:
    made = [save_openpose(folder / f"c/{i}", walk(25, seed=i), walk(25, seed=5, at=(99, 99))) for i in range(2)]
    return made, {"min_score": 0.1}


def coco(folder: Path) -> Made:
    return [save_results(folder / f"{i}.json", walk(17, seed=i)) for i in range(2)], SIZE


def coco_text(folder: Path) -> Made:
    return [save_yolo(folder / f"c/{i}", walk(17, seed=i), size=(640, 480)) for i in range(2)], SIZE


def stgcn(folder: Path) -> Made:
    frames = np.random.default_rng(0).uniform(0.1, 1, (2, 1, 9, 25, 3))
    save_stgcn(folder, "train", frames, ["a", "b"], [0, 1])
    np.save(folder / "mine.npy", np.load(folder / "train_data_joint.npy"))
    return [folder / "mine.npy"], {}


def bvh(folder: Path) -> Made:
    motion = np.random.default_rng(0).uniform(-30, 30, (2, 5, 18))
    return [save_bvh(folder / f"{i}.bvh", motion[i]) for i in range(2)], {}


def as_prepared(store: Store) -> Prepared:
    about = {"format": store.format, "options": store.options, "units": store.units}
    return Prepared(topology=store.topology, origin=store.origin, **about)  # type: ignore[arg-type]


def test_a_pipe_is_no_clip(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "a.csv")
    gathered = gather([pipe], tmp_path, prepared=Prepared(topology=load_topology("tiny5"), origin="none"))
    assert gathered.failed == {str(pipe): f"{pipe}: no such file or folder"}


@pytest.mark.parametrize("made", [mediapipe, mediapipe_image, openpose, coco, coco_text, stgcn, bvh])
def test_files_equal_their_store(
    made: Callable[[Path], Made], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raw").mkdir()
    paths, options = made(tmp_path / "raw")
    store = open_store(
        prepare(made.__name__.split("_")[0], tmp_path / "raw", tmp_path / "store", options=options, strict=True).store
    )
    for clips in (paths, [tmp_path / "raw"]):
        found = gather(clips, tmp_path / f"loose{len(clips)}", prepared=as_prepared(store))
        assert not found.failed and len(found.stores) == 1
        loose = found.stores[0]
        np.testing.assert_array_equal(loose.frames, store.frames)
        assert (loose.units, loose.topology, loose.origin) == (store.units, store.topology, store.origin)
    monkeypatch.setenv("MASKSEM_GRAPH_CACHE", str(tmp_path / "cache"))
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    main(["inspect", str(tmp_path / "raw"), "--format", store.format, *given])
    assert f"{store.format} on {store.topology.name}" in capsys.readouterr().out


def test_a_run_on_arrays_takes_a_trackers_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trained on .npy of MediaPipe's joints; then its JSON lines, and those of bodies, say the same."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for i in range(4):
        np.save(folder / f"{i}.npy", landmarks(i)[..., :3])
    (folder / "clips.csv").write_text("file,label\n0.npy,a\n1.npy,b\n2.npy,a\n3.npy,b\n")
    (folder / "dataset.yaml").write_text("topology: mediapipe33\nsplits: {half: {folds: 2}}\n")
    store, run = tmp_path / "store", tmp_path / "run"
    main(["prepare", "folder", str(folder), "--output", str(store), "--workers", "1", "--strict"])
    data = ["--data.format", "folder", "--data.split", "half_1", "--data.root", str(store)]
    main(["train", *replaced([*SMALL, *data, "--output", str(run)])])
    short = ["--protocol", "linear", "--protocol.epochs", "2", "--figures", "false", "--device.accelerator", "cpu"]
    main(["evaluate", "--run", str(run), *short, "--output", str(run / "linear")])
    (tmp_path / "lines").mkdir()
    made, _ = mediapipe(tmp_path / "lines")
    bodies = [{"t": j, "bodies": [{"id": "me", "joints": frame.tolist()}]} for j, frame in enumerate(landmarks(0)[..., :3])]
    (tmp_path / "bodies.jsonl").write_text("\n".join(map(json.dumps, bodies)))
    by_store = predicted(capsys, run / "linear", store)
    np.testing.assert_allclose(predicted(capsys, run / "linear", *made), by_store[:2], atol=1e-5)
    np.testing.assert_allclose(predicted(capsys, run / "linear", tmp_path / "bodies.jsonl"), by_store[:1], atol=1e-5)
    (tmp_path / "image").mkdir()
    image = [{"t": 0, "landmarks": landmarks(0)[0].tolist(), **SIZE}]
    (tmp_path / "image.jsonl").write_text(json.dumps(image[0]))
    openpose_clip = save_openpose(tmp_path / "op", walk(25))
    for path, message in (
        (tmp_path / "image.jsonl", "found t, landmarks, width, height, expected world_landmarks"),
        (openpose_clip, "found coordinates in pixels, expected metres, as the run's clips"),
    ):
        with pytest.raises(SystemExit):
            main(["predict", str(path), "--run", str(run / "linear")])
        assert message in capsys.readouterr().err
