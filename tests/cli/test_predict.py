"""Naming actions: files, folders and stores give the evaluation's own scores; what does not fit is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from masksem_graph.cli import main
from masksem_graph.cli.train import parse
from masksem_graph.data.demo import write_demo
from masksem_graph.data.readers.ntu import NTUReader
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.report.evaluation import read_scores
from masksem_graph.topology import load_topology
from masksem_graph.training.run import pretrain
from tests.cli.options import replaced

SMALL = ["--model.width", "16", "--model.backbone.depth", "1", "--model.decoder.depth", "1", "--device.accelerator", "cpu"]
SMALL += ["--train.figures", "false"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the embedded data set's files."""
    whole, some = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("some")
    write_demo(whole)
    for path in sorted(whole.rglob("*.skeleton"))[::9]:
        (some / path.name).write_bytes(path.read_bytes())
    return some


@pytest.fixture(scope="module")
def evaluation(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    chosen = ["--data", "demo_xsub", "--model", "tiny", "--method", "mamp", "--data.root", str(source)]
    config, plain, _ = parse(
        replaced([*chosen, *SMALL, "--train.epochs", "1", "--train.evaluate_every", "0", "--output", str(folder)])
    )
    pretrain(config, plain)
    arguments = ["--protocol", "linear", "--run", str(folder), "--output", str(folder / "linear")]
    main(["evaluate", *arguments, "--protocol.epochs", "3"])
    return folder / "linear"


def predicted(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:
    capsys.readouterr()
    main(["predict", *arguments, "--json", "--device.accelerator", "cpu"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_evaluations_own_scores(evaluation: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores, classes = read_scores(evaluation)
    paths = [source / f"{name}.skeleton" for name in scores.name]
    rows = predicted(capsys, *map(str, paths), "--run", str(evaluation), "--top", "12")
    assert [row["clip"] for row in rows] == list(map(str, paths))
    expected = torch.from_numpy(scores.scores[0]).softmax(1).numpy()
    for row, probabilities in zip(rows, expected, strict=True):
        found = {guess["class"]: guess["probability"] for guess in row["top"]}
        np.testing.assert_allclose([found[name] for name in classes], probabilities, atol=1e-5)
        order = [guess["probability"] for guess in row["top"]]
        assert order == sorted(order, reverse=True) and sum(order) == pytest.approx(1, abs=1e-5)


def test_folders_stores_and_files_alike(
    evaluation: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["prepare", "demo", str(source), "--output", str(tmp_path / "store")])
    by_folder = predicted(capsys, str(source), "--run", str(evaluation))
    by_store = predicted(capsys, str(tmp_path / "store"), "--run", str(evaluation))
    one = predicted(capsys, by_folder[3]["clip"], "--run", str(evaluation))
    assert len(by_folder) == len(by_store) == len(list(source.iterdir()))
    for a, b in zip(by_folder, by_store, strict=True):
        assert Path(a["clip"]).stem == b["clip"].split(": ")[1]
        assert [g["class"] for g in a["top"]] == [g["class"] for g in b["top"]]
    assert one[0]["top"][0]["class"] == by_folder[3]["top"][0]["class"] and len(one[0]["top"]) == 5


def test_a_table(evaluation: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = sorted(source.iterdir())[0]
    best = predicted(capsys, str(path), "--run", str(evaluation), "--top", "1")[0]["top"][0]
    main(["predict", str(path), "--run", str(evaluation), "--top", "2", "--device.accelerator", "cpu"])
    out = capsys.readouterr().out
    assert best["class"] in out and f"{100 * best['probability']:.1f}" in out and str(path) in out


def test_what_does_not_fit(
    evaluation: Path, source: Path, small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = tmp_path / "clip.xyz"
    unknown.write_text("")
    bad = tmp_path / "S001C001P001R001A001.skeleton"
    bad.write_text("1\n1\n")
    five = tmp_path / "five"
    with StoreWriter(five, topology=load_topology("tiny5"), classes=("one",), origin="centre") as writer:
        writer.add(open_store(small_store)[0])
    run, file = str(evaluation), str(next(source.iterdir()))
    for arguments, line in (
        ([file, "--run", str(evaluation.parent)], "expected the folder of an evaluation that trains a head"),
        ([file, "--run", str(tmp_path / "none")], "no such folder"),
        ([str(tmp_path / "none.skeleton"), "--run", run], "no such file or folder"),
        ([str(bad), "--run", run], str(bad)),
        ([str(small_store), "--run", run], f"{small_store}: prepared with origin none, expected centre, as the run's clips"),
        ([str(five), "--run", run], "tiny5: the clips have its 5 joints"),
        ([file, "--run", run, "--top", "0"], "--top: expected at least 1"),
        ([file, "--run", run, "--format", "mp4"], "mp4"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["predict", *arguments])
        assert stopped.value.code == 2
        assert line in capsys.readouterr().err.splitlines()[-1]


def test_single_clips_of_any_kind_and_name(
    evaluation: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same joints in every form give the same probabilities, and rows carry the name of the file."""
    original = sorted(source.iterdir())[0]
    shutil.copy(original, tmp_path / "my clip.skeleton")
    clip = NTUReader().read(original)
    frames = clip.bodies[0].frames
    np.save(tmp_path / "a.npy", frames)
    np.save(tmp_path / "b.npy", frames[None])
    np.savez(tmp_path / "c.npz", frames)
    header = ",".join(f"j{i}" for i in range(75))
    np.savetxt(tmp_path / "d.csv", frames.reshape(len(frames), -1), delimiter=",", header=header, comments="")
    (tmp_path / "e.pkl").write_bytes(pickle.dumps({"keypoint": frames[None]}))
    (tmp_path / "f.pkl").write_bytes(pickle.dumps([{"keypoint": frames[None], "frame_dir": "one"}]))
    rows = predicted(capsys, str(original), *map(str, sorted(tmp_path.iterdir())), "--run", str(evaluation), "--top", "12")
    assert [row["clip"].partition(": ")[0] for row in rows[1:]] == list(map(str, sorted(tmp_path.iterdir())))
    expected = {guess["class"]: guess["probability"] for guess in rows[0]["top"]}
    for row in rows:
        found = {guess["class"]: guess["probability"] for guess in row["top"]}
        assert found == pytest.approx(expected, abs=1e-5), row["clip"]


def test_a_bad_file_does_not_keep_the_others(
    evaluation: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = sorted(source.iterdir())[0]
    (tmp_path / "film.mp4").write_bytes(b"film")
    np.save(tmp_path / "few.npy", np.ones((9, 20, 3), np.float32))
    bad = [tmp_path / "film.mp4", tmp_path / "few.npy", tmp_path / "none.skeleton"]
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(bad[0]), str(good), *map(str, bad[1:]), "--run", str(evaluation), "--json"])
    assert stopped.value.code == 1
    found = capsys.readouterr()
    rows = [json.loads(line) for line in found.out.splitlines()]
    assert [row["clip"] for row in rows] == [str(good), *map(str, bad)]
    assert [("top" in row, "error" in row) for row in rows] == [(True, False), (False, True), (False, True), (False, True)]
    assert "is a video or an image" in rows[1]["error"] and "save them as an .npy [frames, 25, 3]" in rows[1]["error"]
    assert len([line for line in found.err.splitlines() if line.startswith("error: ")]) == 3
