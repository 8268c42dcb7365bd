"""Naming actions: files, folders and stores give the evaluation's own scores; what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from masksem_graph.cli import main
from masksem_graph.cli.train import parse, pretrain
from masksem_graph.data.demo import write_demo
from masksem_graph.report.evaluation import read_scores

SMALL = ["--model.width", "16", "--model.backbone.depth", "1", "--model.decoder.depth", "1", "--device.accelerator", "cpu"]
SMALL += ["--figures", "false"]


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
    chosen = ["--config", "data/demo_xsub", "--config", "model/tiny", "--config", "method/mamp", "--data.root", str(source)]
    config, plain = parse([*chosen, *SMALL, "--epochs", "1", "--evaluate_every", "0", "--output", str(folder)])
    pretrain(config, plain)
    arguments = ["--config", "protocol/linear", "--checkpoint", str(folder), "--output", str(folder / "linear")]
    main(["evaluate", *arguments, "--epochs", "3"])
    return folder / "linear"


def predicted(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:
    capsys.readouterr()
    main(["predict", *arguments, "--json", "--device.accelerator", "cpu"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_evaluations_own_scores(evaluation: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores, classes = read_scores(evaluation)
    paths = [source / f"{name}.skeleton" for name in scores.name]
    rows = predicted(capsys, *map(str, paths), "--checkpoint", str(evaluation), "--top", "12")
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
    by_folder = predicted(capsys, str(source), "--checkpoint", str(evaluation))
    by_store = predicted(capsys, str(tmp_path / "store"), "--checkpoint", str(evaluation))
    one = predicted(capsys, by_folder[3]["clip"], "--checkpoint", str(evaluation))
    assert len(by_folder) == len(by_store) == len(list(source.iterdir()))
    for a, b in zip(by_folder, by_store, strict=True):
        assert Path(a["clip"]).stem == b["clip"].split(": ")[1]
        assert [g["class"] for g in a["top"]] == [g["class"] for g in b["top"]]
    assert one[0]["top"][0]["class"] == by_folder[3]["top"][0]["class"] and len(one[0]["top"]) == 5


def test_a_table(evaluation: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    path = sorted(source.iterdir())[0]
    best = predicted(capsys, str(path), "--checkpoint", str(evaluation), "--top", "1")[0]["top"][0]
    main(["predict", str(path), "--checkpoint", str(evaluation), "--top", "2", "--device.accelerator", "cpu"])
    out = capsys.readouterr().out
    assert best["class"] in out and f"{100 * best['probability']:.1f}" in out


def test_what_does_not_fit(
    evaluation: Path, source: Path, small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = tmp_path / "clip.xyz"
    unknown.write_text("")
    bad = tmp_path / "S001C001P001R001A001.skeleton"
    bad.write_text("1\n1\n")
    run, file = str(evaluation), str(next(source.iterdir()))
    for arguments, line in (
        ([file, "--checkpoint", str(evaluation.parent)], "expected the folder of an evaluation that trains a head"),
        ([file, "--checkpoint", str(tmp_path / "none")], "no such folder"),
        ([str(tmp_path / "none.skeleton"), "--checkpoint", run], "no such file or folder"),
        ([str(bad), "--checkpoint", run], str(bad)),
        ([str(small_store), "--checkpoint", run], "tiny5: the clips have its 5 joints"),
        ([str(small_store), file, "--checkpoint", run], "expected one skeleton"),
        ([file, "--checkpoint", run, "--top", "0"], "--top: expected at least 1"),
        ([file, "--checkpoint", run, "--format", "mp4"], "mp4"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["predict", *arguments])
        assert stopped.value.code == 2
        assert line in capsys.readouterr().err.splitlines()[-1]
