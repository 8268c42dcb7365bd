"""Clips that meet a run later are prepared as its own were, or refused by name; tiny sets are told before the epochs."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from masksem_graph.cli import main
from masksem_graph.data.prepare import prepare
from masksem_graph.training.pretrain import PretrainLoop
from tests.cli.options import replaced
from tests.cli.test_predict_alike import SMALL, nw_ucla, pyskl, walks

LINEAR = ["--protocol", "linear", "--protocol.epochs", "2", "--figures", "false", "--device.accelerator", "cpu"]
KNN = ["--protocol", "knn", "--figures", "false", "--floors", "false", "--device.accelerator", "cpu"]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time, and are tested elsewhere."""
    monkeypatch.setattr("masksem_graph.report.evaluation.save_figure", lambda *_: None)


def of(format: str, split: str, root: Path) -> list[str]:
    return ["--data.format", format, "--data.split", split, "--data.root", str(root)]


def train(data: list[str], run: Path, *more: str) -> Path:
    main(["train", *replaced([*SMALL, *data, "--output", str(run)], *more)])
    return run


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(list(argv))
    assert stopped.value.code == 2
    return next(line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of the same clips, prepared in several ways, and a run on the first of them."""
    folder = tmp_path_factory.mktemp("alike")
    (folder / "pyskl").mkdir()
    (folder / "nw_ucla").mkdir()
    made, nw = pyskl(folder / "pyskl")[0], nw_ucla(folder / "nw_ucla")[0]
    for name, options in {"image": {"units": "image"}, "pixels": {}, "held": {"units": "image", "missing": "hold"}}.items():
        prepare("pyskl", made, folder / name, workers=1, options=options)
    prepare("nw_ucla", nw, folder / "centre", workers=1)
    prepare("nw_ucla", nw, folder / "none", workers=1, origin="none")
    train(of("pyskl", "main", folder / "image"), folder / "run")
    return folder


def test_units_of_later_clips(stores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One skeleton, one format: what is in pixels is no clip of a run on halves of the image."""
    run, pixels = stores / "run", stores / "pixels"
    expected = f"error: {pixels}: found coordinates in pixels, expected image, as the encoder's"
    out = ["--output", str(tmp_path / "out")]
    assert refusal(capsys, "evaluate", "--run", str(run), "--data.root", str(pixels), *KNN, *out) == expected
    assert refusal(capsys, "evaluate", "--run", str(run), *of("pyskl", "main", pixels), *KNN, *out) == expected
    picture = ["visualize", "saliency", "--run", str(run), "--data.root", str(pixels), "--gif", "false"]
    assert refusal(capsys, *picture, *out) == expected
    also = f"{{b: {{format: pyskl, split: main, root: {pixels}}}}}"
    argv = replaced([*SMALL, *of("pyskl", "main", stores / "image"), "--data.also", also, *out])
    assert "data.also.b: found coordinates in pixels, expected image" in refusal(capsys, "train", *argv)


def test_options_of_later_clips(stores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["evaluate", "--run", str(stores / "run"), "--data.root", str(stores / "held"), *KNN, "--output", str(tmp_path)]
    line = refusal(capsys, *argv)
    assert "data.options.missing: " in line and "prepared with hold, the run's own clips with interpolate" in line
    main([*argv, "--data.options.missing", "hold"])
    assert json.loads((tmp_path / "results.json").read_text())["protocol"] == "knn"


def test_origin_of_further_data(stores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = of("nw_ucla", "xview", stores / "centre")
    for named, message in (("", "data.also.b.origin: "), (", origin: none", "")):
        also = f"{{b: {{format: nw_ucla, split: xview, root: {stores / 'none'}{named}}}}}"
        argv = replaced([*SMALL, *data, "--data.also", also, "--output", str(tmp_path / "run")])
        if message:
            assert message in refusal(capsys, "train", *argv)
        else:
            main(["train", *argv])


def test_other_clips_at_the_same_path_are_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many clips of the same names and labels; only their coordinates differ."""
    (tmp_path / "raw").mkdir()
    nw_ucla(tmp_path / "raw")
    prepare("nw_ucla", tmp_path / "raw", tmp_path / "store", workers=1)
    data, run = of("nw_ucla", "xview", tmp_path / "store"), tmp_path / "run"
    original = PretrainLoop._end_epoch

    def dying(self: PretrainLoop) -> dict[str, float]:
        if self.progressed.epoch == 1:
            raise KeyboardInterrupt
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainLoop, "_end_epoch", dying)
        with pytest.raises(SystemExit, match="130"):
            train(data, run, "--train.epochs", "3")
    for path in (tmp_path / "raw").iterdir():
        fields = json.loads(path.read_text())
        path.write_text(json.dumps({**fields, "skeletons": (np.array(fields["skeletons"]) + 0.01).tolist()}))
    prepare("nw_ucla", tmp_path / "raw", tmp_path / "store", workers=1, origin="none")
    argv = ["train", *replaced([*SMALL, *data, "--output", str(run)], "--train.epochs", "3")]
    assert "prepared.origin was 'centre' and is 'none' now" in refusal(capsys, *argv)
    prepare("nw_ucla", tmp_path / "raw", tmp_path / "store", workers=1)
    assert "was trained on other clips: prepared.fingerprint was " in refusal(capsys, *argv)


def test_clips_that_are_gone(stores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(stores / "image", tmp_path / "store")
    run = train(of("pyskl", "main", tmp_path / "store"), tmp_path / "run")
    shutil.rmtree(tmp_path / "store")
    line = refusal(capsys, "evaluate", "--run", str(run), *KNN)
    assert line.startswith(
        f"error: {run}: the clips of this run were in {tmp_path / 'store'}, which is gone; expected --data.root"
    )
    line = refusal(capsys, "visualize", "saliency", "--run", str(run), "--gif", "false", "--output", str(tmp_path / "out"))
    assert line.startswith(f"error: {run}: data.root: {tmp_path / 'store'}: no such file or folder")


def tiny(folder: Path, labels: list[str], training: int) -> Path:
    """A store of a set of one's own with these labels, the first of which train."""
    (folder / "raw").mkdir()
    for i, clip in enumerate(walks(5, 3, len(labels))):
        np.save(folder / "raw" / f"clip{i}.npy", clip)
    with (folder / "raw" / "clips.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("file", "label"), *((f"clip{i}.npy", label) for i, label in enumerate(labels))])
    (folder / "raw" / "train.txt").write_text("\n".join(f"clip{i}" for i in range(training)))
    (folder / "raw" / "dataset.yaml").write_text("topology: tiny5\nsplits:\n  half: {train: train.txt}\n  cv: {folds: 3}\n")
    prepare("folder", folder / "raw", folder / "store", workers=1)
    return folder / "store"


@pytest.mark.parametrize(
    ("labels", "training", "message"),
    [
        (["a", "b", "a", "b"], 1, "data.split: found 1 labelled training clips in half, expected at least 2"),
        (["a", "a", "a", "a"], 2, "has one class, a; expected at least two, which an evaluation tells apart"),
        (["a", "b", "", ""], 2, "data.split: half of {store} has no labelled test clips"),
        (["", "", "a", "b"], 2, "data.split: half of {store} has no labelled train clips"),
    ],
)
def test_too_few_for_a_figure(
    labels: list[str], training: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training goes through, with its look at the neighbours; the evaluation refuses before it starts."""
    store = tiny(tmp_path, labels, training)
    run = train(of("folder", "half", store), tmp_path / "run", "--train.evaluate_every", "1")
    for protocol in ("linear", "finetune"):
        line = refusal(capsys, "evaluate", "--run", str(run), "--protocol", protocol, "--device.accelerator", "cpu")
        assert message.format(store=store) in line and not (run / protocol).exists()


def test_little_is_told_before_the_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tiny(tmp_path, ["a", "a", "b", "b", "c", "a"], 4)
    run = train(of("folder", "half", store), tmp_path / "run")
    assert "beware     one step an epoch" in capsys.readouterr().err
    main(["evaluate", "--run", str(run), *LINEAR])
    told = capsys.readouterr().err
    assert "beware     no training clip of c: its 1 test clips cannot be recognised" in told
    assert "beware     one step an epoch: 4 training clips in batches of 256" in told
    assert told.index("beware") < told.index("linear probe")
    assert json.loads((run / "linear" / "results.json").read_text())["per_class_recall"]["c"] == 0, "its place by default"


def test_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command: each fold's own results, and their mean; a fold that is done is not done again."""
    store = tiny(tmp_path, ["a", "b"] * 6, 8)
    run = train(of("folder", "half", store), tmp_path / "run")
    argv = ["evaluate", "--run", str(run), *KNN, "--data.split", "cv_1", "--folds", "all"]
    main(argv)
    told = capsys.readouterr().err
    assert "beware     the run was pre-trained on half of these clips" in told
    out = run / "knn_folds"
    folds = {name: json.loads((out / name / "results.json").read_text()) for name in ("cv_1", "cv_2", "cv_3")}
    whole, top1 = json.loads((out / "results.json").read_text()), [one["top1"] for one in folds.values()]
    assert [one["split"] for one in folds.values()] == list(folds) and whole["split"] == "cv (3 folds)"
    assert whole["top1"] == pytest.approx(np.mean(top1)) and whole["std"] == pytest.approx(np.std(top1, ddof=1))
    assert list(whole["top1_by_fold"].values()) == top1 and whole["test_clips"] == 12
    np.testing.assert_array_equal(whole["confusion"], np.sum([one["confusion"] for one in folds.values()], axis=0))
    written = {name: (out / name / "results.json").stat().st_mtime_ns for name in folds}
    (out / "results.json").unlink()
    shutil.rmtree(out / "cv_2")
    main(argv)
    again = {name: (out / name / "results.json").stat().st_mtime_ns for name in folds}
    assert [again[name] == written[name] for name in folds] == [True, False, True]
    assert json.loads((out / "results.json").read_text())["top1"] == whole["top1"]
    assert "already holds results" in refusal(capsys, *argv)
    where = ["--output", str(tmp_path / "other")]
    assert "--folds: found no split that begins with 'half_'" in refusal(capsys, *argv[:-1], "half_", *where)
    assert "is a test clip of several of half, cv_1, cv_2, cv_3" in refusal(capsys, *argv[:-1], "", *where)


def test_splits_from_a_file(stores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any format, by lists, groups and folds; a list that changes is not gone on with."""
    names = sorted(path.stem for path in (stores / "nw_ucla").iterdir())
    (tmp_path / "first.txt").write_text("\n".join(names[:4]))
    (tmp_path / "mine.yaml").write_text("official: {train: first.txt}\nby_camera: {leave_one_out: camera}\n")
    data = [*of("nw_ucla", "official", stores / "centre"), "--data.splits", str(tmp_path / "mine.yaml")]
    train(data, tmp_path / "run")
    told = capsys.readouterr().err
    assert "nw_ucla official: 4 training and 2 test clips" in told
    main(["evaluate", "--run", str(tmp_path / "run"), *KNN, "--folds", "by_camera"])
    assert list(json.loads((tmp_path / "run" / "knn_folds" / "results.json").read_text())["top1_by_fold"]) == [
        "by_camera_1",
        "by_camera_2",
        "by_camera_3",
    ]
    for text, message in (
        ("xview: {train: first.txt}\n", "mine.yaml: xview: is a split of"),
        ("official: {train: {day: [1]}}\n", "expected a column of the table: label, subject, camera, setup"),
        ("[official]\n", "mine.yaml: expected name: split"),
    ):
        (tmp_path / "mine.yaml").write_text(text)
        assert message in refusal(capsys, "train", *replaced([*SMALL, *data, "--output", str(tmp_path / "out")]))
