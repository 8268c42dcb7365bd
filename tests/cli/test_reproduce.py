"""A whole recipe on a small store: all steps, once; what is missing is left out; the shipped recipes are valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from masksem_graph.cli import evaluate, main, train
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.reproduce import estimate, load_recipe, steps_of

RECIPES = sorted(path.stem for path in (shipped("configs") / "reproduce").glob("*.yaml"))


@pytest.fixture(autouse=True)
def short_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "SECONDS", 0.01)


@pytest.fixture
def recipe(small_store: Path, tmp_path: Path) -> Path:
    """Every protocol, two streams, their fusion, and a step that needs data nobody gives."""
    data = {"format": "nw_ucla", "split": "half"}
    tiny = {"model.width": 16, "model.frames": 16, "model.backbone.depth": 1, "model.decoder.depth": 1, "crop.min_frames": 8}
    options = {"data": data, **tiny, "epochs": 1, "batch_size": 8, "evaluate_every": 1}
    quick = {"epochs": 1, "head.hidden": 8}
    evaluations = {
        "linear": {"config": ["protocol/linear"], "options": {"epochs": 2, "views": 1}},
        "knn": {"config": ["protocol/knn"]},
        "finetune": {"config": ["protocol/finetune"], "options": quick},
        "scratch": {"config": ["protocol/finetune"], "options": {**quick, "untrained": True, "layer_decay": 1.0}},
        "half": {"config": ["protocol/semi_10"], "options": {**quick, "labels": {"share": 0.5}, "runs": 2}},
        "elsewhere": {"config": ["protocol/transfer"], "root": "other", "options": {"data": {"format": "pku"}}},
    }
    config = ["model/tiny", "method/mamp"]
    bone = {"config": config, "root": "small", "options": {**options, "data": {**data, "stream": "bone"}}}
    fields = {
        "roots": {"small": "the small store", "other": "the other data"},
        "runs": {
            "joint": {"config": config, "root": "small", "options": options, "evaluations": evaluations},
            "bone": {**bone, "evaluations": {"linear": evaluations["linear"]}},
        },
        "fuse": {"fused": ["joint/linear", "bone/linear"]},
        "tables": ["IV", "all"],
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def reproduce(recipe: Path, output: Path, small_store: Path, *more: str) -> None:
    roots = ["--roots.small", str(small_store)]
    main(["reproduce", str(recipe), "--output", str(output), *roots, "--device.accelerator", "cpu", *more])


def test_everything_once_and_only_once(
    recipe: Path, small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("masksem_graph.cli.reproduce.console", Console(stderr=True, width=500))
    output = tmp_path / "out"
    reproduce(recipe, output, small_store)
    said = capsys.readouterr()
    found = {path.parent.relative_to(output).as_posix(): json.loads(path.read_text()) for path in output.rglob("results.json")}
    assert set(found) == {"joint/linear", "joint/knn", "joint/finetune", "joint/scratch", "joint/half", "bone/linear", "fused"}
    assert found["joint/scratch"]["untrained"] and found["joint/half"]["protocol"] == "semi_50"
    assert found["bone/linear"]["stream"] == "bone" and found["fused"]["streams"] == ["joint", "bone"]
    assert "10 steps, of which 9 are to run" in said.err and "--roots.other is not given" in said.err
    assert "in all about" in said.err
    table = (output / "tables.md").read_text()
    assert table in said.out or "All protocols" in said.out
    for name in ("linear", "k-NN", "fine-tuned", "fine-tuned on 50 %"):
        assert name in table
    assert f"{found['joint/linear']['top1']:.1f}" in table and "from scratch" in table
    assert "Transfer" not in table and "\\toprule" in (output / "tables.tex").read_text()

    before = {path: path.stat().st_mtime_ns for path in output.rglob("results.json")}
    gone = output / "joint" / "knn" / "results.json"
    gone.unlink()
    reproduce(recipe, output, small_store)
    assert "10 steps, of which 1 are to run" in capsys.readouterr().err
    assert all(path.stat().st_mtime_ns == before[path] for path in before if path != gone) and gone.is_file()


def test_only_the_plan(recipe: Path, small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reproduce(recipe, tmp_path / "out", small_store, "--plan", "true")
    assert "takes about" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("results.json")) and not list((tmp_path / "out").rglob("last.pt"))


def test_what_is_refused(
    recipe: Path, small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def line(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["reproduce", *arguments])
        assert stopped.value.code == 2
        return capsys.readouterr().err.splitlines()[-1]

    output = ["--output", str(tmp_path / "out")]
    without = line(str(recipe), *output)
    assert "nothing can run without" in without and "--roots.small PATH" in without
    assert "none of the shipped" in line("reproduce/none", *output)
    reproduce(recipe, tmp_path / "out", small_store, "--plan", "true")
    roots = ["--roots.small", str(small_store)]
    assert "holds the runs of another recipe or seed" in line(str(recipe), *output, *roots, "--seed", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "reproduce runs in one process" in line(str(recipe), *output, *roots)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fuse": {"f": ["a/b"]}}, "fuse.f: expected evaluations of this recipe, found a/b"),
        ({"runs": {"a": {"config": [], "evaluations": {}, "root": "x"}}}, "root: expected one of none, found x"),
        ({"run": {"a": 1}}, "run"),
        ({"tables": ["V"]}, "tables"),
    ],
)
def test_a_bad_recipe_is_refused(changed: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"runs": {}, **changed}))
    with pytest.raises(InputError, match=message):
        load_recipe(str(path))


@pytest.mark.parametrize("name", RECIPES)
def test_every_command_of_a_shipped_recipe_is_valid(name: str, tmp_path: Path) -> None:
    recipe, _ = load_recipe(f"reproduce/{name}")
    wanted = {c for run in recipe.runs.values() for part in (run, *run.evaluations.values()) for c in part.config}
    if missing := sorted(c for c in wanted if not (shipped("configs") / f"{c}.yaml").is_file()):
        pytest.skip(f"needs configs/{missing[0]}.yaml")
    steps = steps_of(recipe, tmp_path, roots=dict.fromkeys(recipe.roots, "/data"), shared={})
    plans = {step.name: train.parse(step.arguments) for step in steps if step.kind == "train"}
    for step in steps:
        assert step.missing is None and not step.finished
        if step.kind == "evaluate":
            parsed = evaluate.parse(step.arguments, run=plans[step.needs[0]][1])
            assert parsed["protocol"].work(100, 100) is not None
            assert parsed["config"].data.root == ("/data" if recipe.roots else None)


def test_every_data_set_has_its_recipe() -> None:
    assert RECIPES == ["embedded", "ntu120", "ntu60", "nw_ucla", "pku1", "pku2"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.1, "1 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h"), (3e5, "3.5 days")]
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert estimate.in_words(seconds) == words
