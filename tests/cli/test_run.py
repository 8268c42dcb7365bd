"""The run command: every shipped recipe and ablation, its options, and a small experiment through the real commands."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from masksem_graph.cli import evaluate, main, train
from masksem_graph.experiments import run
from masksem_graph.files import shipped

GROUPS = {name: sorted(path.stem for path in (shipped("configs") / name).glob("*.yaml")) for name in ("recipe", "ablation")}
EXPERIMENTS = [(name, "demo") for names in GROUPS.values() for name in names] + [("table5", "nw_ucla")]
QUICK, FLAT = {"protocol.epochs": 1, "protocol.head.hidden": 8}, {"protocol.layer_decay": 1.0}


def commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    main(["run", *arguments, "--dry_run", "true"])
    return [shlex.split(line)[1:] for line in capsys.readouterr().out.splitlines()]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["run", *arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def roots(name: str, on: str) -> list[str]:
    path = f"recipe/{name}" if name in GROUPS["recipe"] else f"ablation/on/{on}"
    declared = yaml.safe_load((shipped("configs") / f"{path}.yaml").read_text()).get("roots", {})
    there = str(shipped("configs"))
    return [word for root in declared for word in ("--data.root" if root == "data" else f"--roots.{root}", there)]


def test_every_data_set_has_its_recipe() -> None:
    assert GROUPS["recipe"] == [
        "demo",
        "embedded",
        "ntu120",
        "ntu60",
        "nw_ucla",
        "nw_ucla_gpu",
        "nw_ucla_masksem",
        "pku1",
        "pku2",
    ]


@pytest.mark.parametrize(("name", "on"), EXPERIMENTS)
def test_what_is_shipped_can_be_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, on: str) -> None:
    output = tmp_path / "out"
    found = commands([name, "--on", on, *roots(name, on), "--output", str(output)], capsys)
    assert not output.exists()
    for command in found:
        assert command[0] in ("train", "evaluate", "table")
        for group in ("data", "model", "method", "protocol"):
            if f"--{group}" in command:
                assert (shipped("configs") / group / f"{command[command.index(f'--{group}') + 1]}.yaml").is_file()


@pytest.mark.parametrize(("name", "on"), EXPERIMENTS)
def test_every_command_of_what_is_shipped_is_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, on: str
) -> None:
    runs: dict[str, Any] = {}
    for command, *words in commands([name, "--on", on, *roots(name, on), "--seeds", "0", "--output", str(tmp_path)], capsys):
        if command == "train":
            runs[words[-1]] = train.parse(words)[1]
        elif command == "evaluate" and "--fuse" not in words:
            evaluate.parse(words, run=runs[words[words.index("--run") + 1]])


def test_options_in_any_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--train.epochs", "2", "heads", "--set", "model=small", "--output", str(tmp_path), "--on=demo", "--train.lr=0.5"]
    first, *_ = found = commands([*more, "--seeds", "0,3"], capsys)
    assert len(found) == 2 * 2 * 3 and [c[-3] for c in found if c[0] == "train"] == ["0", "3"] * 2
    given = dict(zip(first[1::2], first[2::2], strict=True))
    assert (given["--train.epochs"], given["--model"], given["--train.lr"]) == ("2", "small", "0.5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tabel5"], "tabel5: no such file, and no shipped recipe or ablation; did you mean table5?"),
        (["table5", "--on", "moon"], "moon: no such file, and no shipped ablation"),
        (["table5"], "nothing can run without --data.root DIR (the folder with the JSON files of NW-UCLA)"),
        (["table5", "--on", "demo", "--seeds", "x"], "--seeds: expected whole numbers such as 0,1,2, found x"),
        (["table5", "--on", "demo", "--seeds", "1,1"], "seeds: expected a list of different whole numbers"),
        (["table5", "--on", "demo", "--train.seed", "1"], "--train.seed: the planner gives this option; expected --seeds"),
        (["table5", "--on", "demo", "--jobs", "0"], "--jobs: expected at least 1, found 0"),
        (["table5", "--on", "demo", "--set", "model"], "--set: expected OPTION=VALUE, found model"),
        (["table5", "--on", "demo", "--train.lr"], "--train.lr: expected a value after it"),
        (["table5", "--epochs", "3"], "--epochs"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    line = refused([*arguments[:1], "--output", str(tmp_path / "out"), *arguments[1:]], capsys)
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "out").exists()


def test_trust_is_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [{"train": "a", "data": "demo_xsub", "model": "tiny", "method": "masksem", "method.operator": "my_ops.Mine"}]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"steps": steps}, sort_keys=False))
    arguments = [str(tmp_path / "r.yaml"), "--output", str(tmp_path / "out")]
    assert "add --trust my_ops" in refused([*arguments, "--dry_run", "true"], capsys)
    (command,) = commands([*arguments, "--trust", "my_ops"], capsys)
    assert command[command.index("--trust") + 1] == "my_ops"


def test_a_failure_is_the_commands_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PROGRAM", [sys.executable, "-c", "raise SystemExit('no such thing')"])
    steps = [{"train": "a"}, {"evaluate": "a/b", "run": "a", "data": "x", "root": "other"}]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"roots": {"other": "the other data"}, "steps": steps}, sort_keys=False))
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "r.yaml"), "--output", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert stopped.value.code == 1
    assert "left out: seed0/a/b, without --roots.other DIR (the other data)" in said
    log = tmp_path / "out" / "logs" / "seed0" / "a.txt"
    assert f"FAILED: seed0/a: exit status 1: no such thing; its log: {log}" in said and log.is_file()


def test_a_small_recipe_from_nothing_to_the_tables(
    small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every protocol, two streams, their fusion, two seeds; then one evaluation anew and nothing else."""
    tiny = {"model.width": 16, "model.backbone.depth": 1, "model.decoder.depth": 1, "train.epochs": 1, "train.batch_size": 8}
    common = {
        "model": "tiny",
        "method": "mamp",
        "data.format": "nw_ucla",
        "data.split": "half",
        "train.figures": False,
        **tiny,
    }
    joint = {"run": "joint"}
    steps: list[dict[str, Any]] = [
        {"train": "joint", **common},
        {"evaluate": "joint/linear", "protocol": "linear", **joint, "protocol.epochs": 2, "protocol.views": 1},
        {"evaluate": "joint/knn", "protocol": "knn", **joint},
        {"evaluate": "joint/finetune", "protocol": "finetune", **joint, **QUICK},
        {
            "evaluate": "joint/scratch",
            "protocol": "finetune",
            **joint,
            **QUICK,
            "untrained": True,
            "protocol.layer_decay": 1.0,
        },
        {"evaluate": "joint/half", "protocol": "finetune", **joint, **QUICK, "labels": "50%", "runs": 2},
        {"train": "bone", **common, "data.stream": "bone"},
        {"evaluate": "bone/linear", "protocol": "linear", "run": "bone", "protocol.epochs": 2, "protocol.views": 1},
        {"evaluate": "fused/linear", "fuse": ["joint/linear", "bone/linear"]},
        {"table": "all.md", "style": "all"},
    ]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"seeds": [0, 1], "steps": steps}, sort_keys=False))
    output = tmp_path / "out"
    command = ["run", str(tmp_path / "r.yaml"), "--output", str(output), "--data.root", str(small_store)]
    main([*command, "--device.accelerator", "cpu"])
    results = {path: json.loads(path.read_text()) for path in output.rglob("results.json")}
    assert len(results) == 14
    assert results[output / "seed1" / "joint" / "half" / "results.json"]["protocol"] == "semi_50"
    assert results[output / "seed0" / "fused" / "linear" / "results.json"]["streams"] == ["joint", "bone"]
    table = (output / "tables" / "all.md").read_text()
    assert "from scratch" in table and table in capsys.readouterr().out
    with (output / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["seed"]) for row in rows] == [(run, seed) for run in ("joint", "bone", "fused") for seed in "01"]
    before = {path: path.stat().st_mtime_ns for path in results}
    gone = output / "seed1" / "joint" / "knn" / "results.json"
    gone.unlink()
    main([*command, "--device.accelerator", "cpu"])
    assert gone.is_file() and all(path.stat().st_mtime_ns == before[path] for path in before if path != gone)
