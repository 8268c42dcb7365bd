"""Every shipped YAML starts through the real command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from masksem_graph.cli import evaluate, main, train
from masksem_graph.cli.train import parse
from masksem_graph.encodings import Learned
from masksem_graph.files import shipped
from masksem_graph.models.io import load_encoder

CONFIGS = {
    kind: sorted(path.stem for path in (shipped("configs") / kind).glob("*.yaml"))
    for kind in ("data", "model", "backbone", "encodings", "method", "protocol")
}
SMALL = ["--model.width", "16", "--model.backbone.depth", "1", "--model.decoder.depth", "1", "--device.accelerator", "cpu"]
SMALL += ["--train.figures", "false"]


@pytest.mark.parametrize("method", CONFIGS["method"])
@pytest.mark.parametrize("model", CONFIGS["model"])
def test_method_and_model_train(small_store: Path, tmp_path: Path, method: str, model: str) -> None:
    data = ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(small_store)]
    chosen = ["--model", model, "--method", method]
    main(["train", *chosen, *data, *SMALL, "--train.epochs", "1", "--output", str(tmp_path / "run")])
    assert (tmp_path / "run" / "encoder.safetensors").is_file()


@pytest.mark.parametrize("backbone", CONFIGS["backbone"])
def test_backbones_train_at_the_depth_of_the_model(small_store: Path, tmp_path: Path, backbone: str) -> None:
    data = ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(small_store)]
    chosen = ["--model", "tiny", "--backbone", backbone, "--method", "masksem"]
    sizes = ["--model.width", "16", "--device.accelerator", "cpu", "--train.figures", "false"]
    main(["train", *chosen, *data, *sizes, "--train.epochs", "1", "--output", str(tmp_path / "run")])
    encoder = load_encoder(tmp_path / "run")
    assert type(encoder.backbone).__name__.lower() == backbone
    assert len(encoder.backbone.blocks) == 3


@pytest.mark.parametrize("encodings", CONFIGS["encodings"])
def test_encodings_replace_those_of_the_model(small_store: Path, tmp_path: Path, encodings: str) -> None:
    data = ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(small_store)]
    chosen = ["--model", "small", "--encodings", encodings, "--method", "mamp"]
    main(["train", *chosen, *data, *SMALL, "--train.epochs", "1", "--output", str(tmp_path / "run")])
    encodings = load_encoder(tmp_path / "run").positions.encodings
    assert not any(isinstance(encoding, Learned) and encoding.joints for encoding in encodings)


@pytest.mark.parametrize("data", CONFIGS["data"])
def test_data_configurations_name_a_known_format(data: str, tmp_path: Path) -> None:
    config, plain, _ = parse(["--data", data, "--model", "tiny", "--method", "mamp", "--output", str(tmp_path)])
    from masksem_graph.data.readers import load_reader

    for one in config.data.each.values():
        assert load_reader(one.format, **one.options).topology
    assert yaml.safe_load(yaml.safe_dump(plain)) == plain


@pytest.mark.parametrize("protocol", CONFIGS["protocol"])
def test_protocols_read_and_every_number_is_a_field(protocol: str, tmp_path: Path) -> None:
    scratch = ["--run", "none", "--model", "tiny", "--data", "demo_xsub", "--output", str(tmp_path)]
    plain = evaluate.parse(["--protocol", protocol, *scratch])[1]["protocol"]
    fields = yaml.safe_load((shipped("configs") / "protocol" / f"{protocol}.yaml").read_text())
    for name, value in fields.get("init_args", {}).items():
        given = plain["init_args"][name]
        assert value.items() <= given.items() if isinstance(value, dict) else given == value
    numbers = {name: value for name, value in fields.get("init_args", {}).items() if type(value) in (int, float)}
    options = [argument for name, value in numbers.items() for argument in (f"--protocol.{name}", str(value))]
    by_hand = evaluate.parse(["--protocol", fields["class_path"], *options, *scratch])[1]["protocol"]
    assert all(by_hand["init_args"][name] == value for name, value in numbers.items())


def test_the_shipped_experiment_is_whole(tmp_path: Path) -> None:
    config, plain, competed = parse(["--config", "demo", "--output", str(tmp_path)])
    assert config.train.epochs == 120 and plain["model"]["frames"] == 32 and not competed


def test_demo_data_trains_from_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    chosen = ["--data", "demo_xview", "--model", "tiny", "--method", "mamp"]
    main(
        [
            "train",
            *chosen,
            *SMALL,
            "--train.batch_size",
            "240",
            "--train.epochs",
            "1",
            "--train.evaluate_every",
            "0",
            "--output",
            str(folder),
        ]
    )
    assert (folder / "metrics.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "evaluate",
        "predict",
        "table",
        "prepare",
        "inspect",
        "convert",
        "run",
        "topology",
    ],
)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_overview_and_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "train" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["trian"])
    assert stopped.value.code == 2
    assert "trian: no such command" in capsys.readouterr().err


def test_a_reader_that_has_enough_and_a_pipe_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"{sys.executable} -m masksem_graph train --help | head -n 1"
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("usage") and not found.stderr

    def broken(rest: list[str]) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(train, "main", broken)
    with pytest.raises(SystemExit, match="2"):
        main(["train"])
    assert "error: [Errno 32] Broken pipe" in capsys.readouterr().err
