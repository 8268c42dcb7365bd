"""The evaluation command: both protocols on a run, their files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from masksem_graph.cli import main
from masksem_graph.cli.train import parse
from masksem_graph.training.run import pretrain
from tests.cli.options import replaced


@pytest.fixture(scope="module")
def run(train_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    config, plain, _ = parse(replaced([*train_arguments, "--output", str(folder), "--train.epochs", "1"]))
    pretrain(config, plain)
    return folder


@pytest.mark.parametrize(
    ("protocol", "more"),
    [("linear", ["--protocol.epochs", "2", "--protocol.batch_size", "4"]), ("knn", ["--protocol.k", "[3]"])],
)
def test_results(run: Path, tmp_path: Path, protocol: str, more: list[str]) -> None:
    main(["evaluate", "--protocol", protocol, "--run", str(run), "--output", str(tmp_path / "out"), *more])
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["protocol"] == protocol and results["split"] == "half" and results["unit"] == "per cent"
    assert sum(map(sum, results["confusion"])) == results["test_clips"] == 8
    diagonal = sum(results["confusion"][i][i] for i in range(3))
    assert results["top1"] == pytest.approx(100 * diagonal / 8)
    assert results["top5"] == 100.0
    assert set(results["per_class_recall"]) == {"left", "right", "still"}
    assert results["config"]["run"] == str(run) and results["seeds"] == [0]
    for ending in ("png", "svg"):
        assert (tmp_path / "out" / "figures" / f"confusion.{ending}").stat().st_size > 1000


def test_same_seed_same_result_and_runs_are_summarised(run: Path, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        arguments = [
            "--run",
            str(run),
            "--output",
            str(tmp_path / name),
            "--protocol.epochs",
            "2",
            "--runs",
            "3",
            "--seed",
            "5",
        ]
        main(["evaluate", "--protocol", "linear", *arguments])
        found.append(json.loads((tmp_path / name / "results.json").read_text()))
    assert found[0]["seeds"] == [5, 6, 7] and len(found[0]["top1_by_seed"]) == 3
    assert found[0]["mean"] == pytest.approx(sum(found[0]["top1_by_seed"]) / 3)
    assert found[0]["confusion"] == found[1]["confusion"] and found[0]["top1_by_seed"] == found[1]["top1_by_seed"]


def test_untrained_encoder_differs_and_depends_on_the_seed(run: Path, tmp_path: Path) -> None:
    found = {}
    for name, more in {"trained": [], "a": ["--untrained", "true"], "b": ["--untrained", "true", "--seed", "1"]}.items():
        arguments = ["--run", str(run), "--output", str(tmp_path / name), *more]
        main(["evaluate", "--protocol", "linear", "--protocol.epochs", "1", *arguments])
        found[name] = json.loads((tmp_path / name / "results.json").read_text())
    assert found["a"]["untrained"] and not found["trained"]["untrained"]
    assert len({figures["train_loss"] for figures in found.values()}) == 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--protocol", "linear", "--epoch", "3"], "epoch"),
        (["--protocol", "linear", "--protocol.lr", "fast"], "lr"),
        (["--protocol", "knn", "--protocol.k", "[0]"], "k:"),
        (["--protocol", "none"], "no shipped protocol"),
        (["--model", "tiny"], "--protocol"),
        (["--protocol", "masksem_graph.topology.Topology"], "Protocol"),
        (["--protocol", "knn", "--run", "no/run"], "no/run"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    named_run = [] if "--run" in arguments else ["--run", str(run)]
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *arguments, *named_run, "--output", str(tmp_path / "out")])
    assert stopped.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ") and named in line
    assert not (tmp_path / "out" / "results.json").exists()


def test_damaged_weights_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.yaml", "encoder.yaml", "encoder.safetensors"):
        (copy / name).write_bytes((run / name).read_bytes())
    (copy / "encoder.safetensors").write_bytes((run / "encoder.safetensors").read_bytes()[:500])
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--protocol", "knn", "--run", str(copy), "--output", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "encoder.safetensors: not the weights" in capsys.readouterr().err


def test_help_needs_no_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--help"])
    assert stopped.value.code == 0
    assert "--run" in capsys.readouterr().out
