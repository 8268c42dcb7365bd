"""The conversion command: what it overwrites, and that training and evaluation take what it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from masksem_graph import load_encoder
from masksem_graph.cli import main
from masksem_graph.published.layout import Sizes, decoder_layout, encoder_layout, linear_head_layout
from masksem_graph.training.checkpoint import load_checkpoint
from tests.cli.options import replaced

SIZES = Sizes(channels=3, segment=4, segments=4, joints=5, width=16, depth=2, hidden=64, decoder_depth=1, decoder_hidden=64)
MODEL = ["--model.frames", "16", "--model.width", "16", "--model.backbone.depth", "2", "--model.backbone.heads", "2"]
DECODER = ["--model.decoder.depth", "1", "--model.decoder.heads", "2", "--model.crop.min_frames", "8"]
LEARNED = "[{class_path: masksem_graph.encodings.Learned, init_args: {over: segments}}, " + (
    "{class_path: masksem_graph.encodings.Learned, init_args: {over: joints}}]"
)


@pytest.fixture
def published(tmp_path: Path) -> dict[str, Path]:
    """A pre-training's and a probe's checkpoint on tiny5, small enough to train on."""
    encoder, paths = encoder_layout(SIZES), {}
    for name, layout in {
        "mamp": encoder | decoder_layout(SIZES),
        "probe": encoder | linear_head_layout(16, 3, norm=True),
    }.items():
        state = {
            key: torch.tensor(1) if key.endswith("tracked") else torch.rand(place.shape) * 0.2 + 0.1
            for key, place in layout.items()
        }
        torch.save({"model": state}, paths.setdefault(name, tmp_path / f"{name}.pth"))
    return paths


def convert(source: Path, output: Path, *more: str) -> Path:
    main(["convert", str(source), "--output", str(output), "--topology", "tiny5", "--heads", "2", *more])
    return output


def train(store: Path, output: Path, *more: str) -> Path:
    data = ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(store)]
    size = ["--train.epochs", "1", "--train.batch_size", "7", "--train.evaluate_every", "1"]
    size += ["--device.accelerator", "cpu", "--train.figures", "false"]
    arguments = ["--model", "small", "--model.encodings", LEARNED, *MODEL, *DECODER, *data, *size]
    main(["train", *replaced([*arguments, "--method", "masksem", "--output", str(output), *more])])
    return output


def uncentred(store: Path) -> list[str]:
    """Options of the small store, which was prepared otherwise than the published clips were, for an evaluation."""
    return ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(store), "--data.origin", "none"]


def test_clips_that_were_prepared_otherwise_are_refused(
    published: dict[str, Path], small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = convert(published["probe"], tmp_path / "run")
    with pytest.raises(SystemExit):
        out = ["--output", str(tmp_path / "out")]
        main(["evaluate", "--protocol", "own_head", "--run", str(run), *out, *uncentred(small_store)[:-2]])
    assert "was prepared with none, the encoder's own clips with centre" in capsys.readouterr().err


def test_training_starts_from_it(published: dict[str, Path], small_store: Path, tmp_path: Path) -> None:
    run = convert(published["mamp"], tmp_path / "run")
    warm = train(small_store, tmp_path / "warm", "--train.init_from", str(run), "--train.lr", "1e-9", "--train.final_lr", "0")
    before, after = (load_checkpoint(folder / "last.pt")["task"] for folder in (run, warm))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-6, rtol=0)
    torch.testing.assert_close(after["teacher.embedding.weight"], before["student.embedding.weight"], atol=1e-6, rtol=0)


def test_a_probe_starts_everything_but_the_decoder(
    published: dict[str, Path], small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = convert(published["probe"], tmp_path / "run")
    train(small_store, tmp_path / "warm", "--train.init_from", str(run), "--model.pool", "all_slots")
    assert "has no decoder, a new one starts from scratch" in " ".join(capsys.readouterr().err.split())
    assert load_encoder(tmp_path / "warm").pool == "all_slots"


@pytest.mark.parametrize("protocol", ["linear", "knn", "own_head"])
def test_evaluation_takes_it(published: dict[str, Path], small_store: Path, tmp_path: Path, protocol: str) -> None:
    run, more = convert(published["probe"], tmp_path / "run"), ["--protocol.epochs", "1"] if protocol == "linear" else []
    out = tmp_path / "out"
    main(["evaluate", "--protocol", protocol, "--run", str(run), "--output", str(out), *uncentred(small_store), *more])
    assert json.loads((out / "results.json").read_text())["test_clips"] == 8


def test_own_head_is_needed_and_has_to_fit(
    published: dict[str, Path], small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = convert(published["probe"], tmp_path / "probe")
    (probe / "head.yaml").write_text((probe / "head.yaml").read_text().replace("classes: 3", "classes: [a, b]"))
    for run, message in (
        (convert(published["mamp"], tmp_path / "run"), "needs a run with a head"),
        (probe, "was changed or damaged"),
    ):
        with pytest.raises(SystemExit):
            arguments = ["--run", str(run), "--output", str(tmp_path / "out"), *uncentred(small_store)]
            main(["evaluate", "--protocol", "own_head", *arguments])
        assert message in capsys.readouterr().err


def test_a_run_of_ours_is_written_for_their_code(small_store: Path, tmp_path: Path) -> None:
    run = train(small_store, tmp_path / "run")
    main(["convert", str(run), "--to", "mamp", "--output", str(tmp_path / "ours.pth")])
    back = tmp_path / "back"
    main(["convert", str(tmp_path / "ours.pth"), "--topology", "tiny5", "--output", str(back)])
    ours, theirs = (load_file(folder / "encoder.safetensors") for folder in (run, back))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    ours, theirs = (load_checkpoint(folder / "last.pt")["task"] for folder in (run, back))
    for name in theirs:
        assert torch.equal(ours[name], theirs[name]), name


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--method.heads", "separate"],
            "decoder: predict.acceleration.bias has no counterpart in MAMP's layout; expected method",
        ),
        (["--model.encodings", "[masksem_graph.encodings.Sinusoidal]"], "model.encodings: MAMP's layout has no place for it"),
        (["--model.decoder.heads", "4"], "model.decoder.heads: MAMP's layout has no place for it; expected 2"),
    ],
)
def test_parts_that_their_layout_has_no_place_for(
    small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    run = train(small_store, tmp_path / "run", *more)
    with pytest.raises(SystemExit) as stopped:
        main(["convert", str(run), "--to", "mamp", "--output", str(tmp_path / "ours.pth")])
    assert stopped.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "ours.pth").exists()


def test_nothing_is_overwritten_unasked(
    published: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = convert(published["mamp"], tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    old = run.with_name(".run.999999999.old")  # of a conversion that was killed at its very end
    old.mkdir()
    cases = [(run, [], "is there already"), (tmp_path / "other", ["--overwrite", "true"], "holds thesis.txt")]
    for output, more, message in cases:
        with pytest.raises(SystemExit):
            convert(published["probe"], output, *more)
        assert message in capsys.readouterr().err
    assert (tmp_path / "other" / "thesis.txt").exists() and not (run / "head.yaml").exists() and not old.exists()
    convert(published["probe"], run, "--overwrite", "true")
    assert (run / "head.yaml").is_file()
    with pytest.raises(SystemExit):
        main(["convert", str(run), "--to", "mamp", "--output", str(published["mamp"])])
    assert "is there already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "--config", str(run / "config.yaml"), "--output", str(run)])
