"""Pages that training and evaluation write, and the command that writes them anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from masksem_graph.cli import main
from masksem_graph.cli.train import parse
from masksem_graph.errors import InputError
from masksem_graph.report.names import short
from masksem_graph.training.pretrain import Interrupted, PretrainLoop
from masksem_graph.training.provenance import commit
from masksem_graph.training.run import pretrain
from tests.cli.options import replaced


def train(arguments: list[str], folder: Path, *more: str) -> Path:
    pretrain(*parse(replaced([*arguments, "--output", str(folder), *more])))
    return folder


@pytest.fixture(scope="module")
def run(train_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train(train_arguments, folder, "--train.epochs", "1", "--train.evaluate_every", "1", "--train.figures", "true")


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def evaluate(run: Path, folder: Path, *more: str) -> str:
    main(["evaluate", "--protocol", "knn", "--protocol.k", "[1]", "--run", str(run), "--output", str(folder), *more])
    return (folder / "report.html").read_text()


def test_training_writes_a_page(run: Path) -> None:
    page = (run / "report.html").read_text()
    (start,) = yaml.safe_load((run / "provenance.yaml").read_text())
    assert start["device"] == "cpu" and start["commit"] == commit()
    for shown in ("1 of 1", "nw_ucla half", "GradCam", start["device_name"], start["versions"]["torch"], "data:image/"):
        assert shown in page
    assert (run / "figures" / "curves.png").is_file() and (run / "figures" / "curves.svg").is_file()


def test_an_evaluation_writes_its_own_and_the_runs(copy: Path) -> None:
    page = evaluate(copy, copy / "quick" / "knn")
    assert "left" in page and "right" in page and "still" in page and "data:image/" in page
    assert "quick/knn" in (copy / "report.html").read_text()
    elsewhere = copy.parent / "elsewhere"
    assert "Confusion" in evaluate(copy, elsewhere)
    assert "elsewhere" not in (copy / "report.html").read_text()


def test_added_up_streams_have_a_page(copy: Path) -> None:
    for name in ("a", "b"):
        evaluate(copy, copy / name)
    main(["evaluate", "--fuse", str(copy / "a"), str(copy / "b"), "--output", str(copy / "sum")])
    assert "2 streams added up" in (copy / "sum" / "report.html").read_text()
    assert "joint + joint" in (copy / "report.html").read_text()


def test_report_writes_it_anew(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (copy / "report.html").read_bytes()
    (copy / "report.html").unlink()
    main(["report", str(copy)])
    assert (copy / "report.html").read_bytes() == before
    assert f"written: {copy / 'report.html'}" in capsys.readouterr().err


@pytest.mark.parametrize("made", [True, False])
def test_report_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str], made: bool) -> None:
    folder = tmp_path / "folder"
    if made:
        folder.mkdir()
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(folder)])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"error: {folder}: expected the folder of a run or of an evaluation")
    assert not (folder / "report.html").exists()


def test_an_interrupted_run_has_a_page_and_the_next_start_is_noted(
    train_arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(self: PretrainLoop, *arguments: object) -> None:
        if self.progressed.epoch == 2:
            self.save()
            raise Interrupted(15, self.progressed)
        original(self, *arguments)

    original = PretrainLoop._epoch
    monkeypatch.setattr(PretrainLoop, "_epoch", stopping)
    with pytest.raises(Interrupted):
        train(train_arguments, tmp_path / "run", "--train.evaluate_every", "0")
    assert "Not finished: 2 of 4 epochs so far." in (tmp_path / "run" / "report.html").read_text()
    monkeypatch.setattr(PretrainLoop, "_epoch", original)
    monkeypatch.setattr("masksem_graph.training.provenance.commit", lambda: "f" * 40)
    train(train_arguments, tmp_path / "run", "--train.evaluate_every", "0")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Not finished" not in page and "4 of 4" in page
    assert [start["commit"] for start in yaml.safe_load((tmp_path / "run" / "provenance.yaml").read_text())] == [
        commit(),
        "f" * 40,
    ]
    assert f"{short(commit())}, ffffffffff" in page


def test_a_folder_with_pictures_of_something_else_is_refused(tmp_path: Path, train_arguments: list[str]) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "saliency.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="holds figures, and no "):
        train(train_arguments, tmp_path, "--train.epochs", "1", "--overwrite", "true")
    assert (tmp_path / "figures" / "saliency.png").read_bytes() == b"mine"


def test_a_new_run_in_an_old_ones_place_shows_nothing_of_it(
    copy: Path, train_arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "figures" / "saliency.png").write_bytes(b"old")
    (copy / "figures" / "mine.png").write_bytes(b"mine")
    left = []

    def looking(self: PretrainLoop, progress: object) -> None:
        left.extend(name for name in ("report.html", "figures/saliency.png", "figures/curves.png") if (copy / name).exists())
        original(self, progress)

    original = PretrainLoop.run
    monkeypatch.setattr(PretrainLoop, "run", looking)
    train(train_arguments, copy, "--train.epochs", "2", "--overwrite", "true")
    assert left == [] and (copy / "figures" / "mine.png").read_bytes() == b"mine"
    assert "2 of 2" in (copy / "report.html").read_text() and len(yaml.safe_load((copy / "provenance.yaml").read_text())) == 1
