"""From a YAML to commands: what comes out, what is refused, and that nothing is imported."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from masksem_graph.errors import InputError
from masksem_graph.experiments import ExperimentPlan, arguments, load_plan

ON = {
    "train": {"data": "demo_xsub", "model": "tiny", "train.epochs": 10},
    "seeds": [0, 1],
    "evaluate": {"linear": {"protocol": "linear", "protocol.views": 2}, "knn": {"protocol": "knn", "protocol.k": [1, 5]}},
}
GRID = {"mask": {"motion": {"method": "mamp"}, "semantic": {"method": "masksem"}}, "train.lr": [0.001, 0.01]}
STEPS = [
    {"prepare": "store", "format": "ntu", "root": "data"},
    {"train": "joint", "data": "ntu60_xsub", "model": "tiny", "root": "store"},
    {"train": "warm", "data": "demo_xsub", "train.init_from": "joint"},
    {"evaluate": "joint/linear", "protocol": "linear", "run": "joint"},
    {"evaluate": "joint/moved", "protocol": "transfer", "run": "joint", "data": "pku2_xsub", "root": "pku2"},
    {"evaluate": "fused/linear", "fuse": ["joint/linear", "joint/linear"]},
    {"table": "linear.md", "style": "I"},
    {"table": "moved.tex", "style": "IV", "runs": ["joint/moved"]},
]
ROOTS = {"data": "the files of NTU", "pku2": "those of PKU"}


def plan(folder: Path, fields: Any, on: Any = ON, **options: Any) -> ExperimentPlan:
    for name, content in (("plan", fields), ("on", on)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load_plan(str(folder / "plan.yaml"), on=str(folder / "on.yaml"), **options)


def lines(plan: ExperimentPlan) -> list[str]:
    return [" ".join(arguments(step, Path("out"))) for step in plan.steps]


def test_the_commands_of_a_recipe(tmp_path: Path) -> None:
    found = plan(tmp_path, {"roots": ROOTS, "steps": STEPS, "seeds": [3]}, roots={"data": "/d", "pku2": "/p"})
    assert lines(found) == [
        "prepare ntu /d --output out/stores/store",
        "train --data.root out/stores/store --data ntu60_xsub --model tiny --train.seed 3 --output out/seed3/joint",
        "train --train.init_from out/seed3/joint --data demo_xsub --data.root /d --train.seed 3 --output out/seed3/warm",
        "evaluate --run out/seed3/joint --protocol linear --seed 3 --output out/seed3/joint/linear",
        "evaluate --run out/seed3/joint --protocol transfer --data pku2_xsub --data.root /p --seed 3 "
        "--output out/seed3/joint/moved",
        "evaluate --fuse out/seed3/joint/linear out/seed3/joint/linear --output out/seed3/fused/linear",
        "table out/seed3/joint/linear out/seed3/joint/moved out/seed3/fused/linear --style I --format markdown "
        "--output out/tables/linear.md",
        "table out/seed3/joint/moved --style IV --format latex --output out/tables/moved.tex",
    ]
    assert [(step.row, step.column) for step in found.steps[3:6]] == [
        *((("joint",), name) for name in ("linear", "moved")),
        (("fused",), "linear"),
    ]
    assert not found.compares and found.axes == ("run",)


def test_seeds_of_a_recipe_share_stores_and_tables(tmp_path: Path) -> None:
    found = lines(plan(tmp_path, {"roots": ROOTS, "steps": STEPS}, seeds=[0, 1], roots={"data": "/d", "pku2": "/p"}))
    assert len(found) == 1 + 2 * 5 + 2
    assert found[-1].startswith("table out/seed0/joint/moved out/seed1/joint/moved --style IV")
    assert sum(line.startswith("prepare") for line in found) == 1


def test_what_lacks_its_data_is_left_out(tmp_path: Path) -> None:
    found = plan(tmp_path, {"roots": ROOTS, "steps": STEPS}, roots={"data": "/d"})
    missing = {step.name: step.missing for step in found.steps if step.missing}
    assert missing == dict.fromkeys(["seed0/joint/moved", "tables/moved.tex"], "--roots.pku2 DIR (those of PKU)")
    assert all(step.missing for step in plan(tmp_path, {"roots": ROOTS, "steps": STEPS}).steps)


def test_a_grid_times_seeds(tmp_path: Path) -> None:
    found = plan(tmp_path, {"title": "T", "grid": GRID})
    assert (found.title, found.axes, found.compares) == ("T", ("mask", "train.lr"), True)
    assert len(found.steps) == 4 * 2 * 3 and len({step.name for step in found.steps}) == 24
    assert [(step.row, step.seed) for step in found.steps[:9:3]] == [
        *((("motion", "0.001"), seed) for seed in (0, 1)),
        (("motion", "0.01"), 0),
    ]


def test_the_commands_of_an_ablation(tmp_path: Path) -> None:
    overrides = {"train.epochs": "7", "device.accelerator": "cpu"}
    fields = {"train": {"method": "masksem", "method.mask_ratio": 0.5}, "grid": GRID}
    found = lines(plan(tmp_path, fields, seeds=[3], overrides=overrides, roots={"data": "/d"}))[-3:]
    folder, common = "out/variants/semantic-0.01/seed3", "--seed 3 --device.accelerator cpu"
    assert found == [
        "train --data demo_xsub --model tiny --train.epochs 7 --method masksem --method.mask_ratio 0.5 --train.lr 0.01 "
        f"--device.accelerator cpu --data.root /d --train.seed 3 --output {folder}/run",
        f"evaluate --run {folder}/run --protocol linear --protocol.views 2 {common} --output {folder}/linear",
        f"evaluate --run {folder}/run --protocol knn --protocol.k [1, 5] {common} --output {folder}/knn",
    ]


def test_a_warm_start_and_longer_runs(tmp_path: Path) -> None:
    variants = {
        "warm": {"method": "masksem", "init_from": {"method": "mamp", "epochs_times": 0.5}},
        "longer": {"method": "masksem", "epochs_times": 2},
    }
    first, run, _, _, longer, *_ = lines(plan(tmp_path, {"variants": variants}, seeds=[0]))
    assert "--method mamp --train.seed 0 --output out/variants/warm/seed0/first" in first and "--train.epochs 5" in first
    assert run.startswith("train --train.init_from out/variants/warm/seed0/first --data demo_xsub") and "epochs 10" in run
    assert "--train.epochs 20" in longer


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([1], r"plan\.yaml: file: expected a mapping"),
        ({}, "expected either `grid:` or `variants:`"),
        ({"grid": {}, "variants": {}}, "expected either `grid:` or `variants:`"),
        ({"grid": {}}, "grid: expected at least one axis"),
        ({"grid": [1]}, "grid: expected a mapping"),
        ({"grid": {"train.lr": []}}, r"train\.lr: expected label: \{option: value\}, or a list"),
        ({"grid": {"train.lr": 1}}, r"train\.lr: expected label"),
        ({"variants": [1]}, "variants: expected label"),
        ({"grid": {"a": {"b": 3}}}, r"a\.b: expected a mapping of names, found 3"),
        ({"grid": {"a": {"b": {"epochs_times": 0}}}}, r"epochs_times: expected a number above 0, and train\.epochs, found 0"),
        ({"grid": {"a": {"b": {"init_from": 1}}}}, "init_from: expected a mapping of names, found 1"),
        ({"grid": {"a": {"x y": {}, "x-y": {}}}}, "two variants' names differ in signs alone"),
        ({"gird": {}}, r"gird: no such field; did you mean grid\?"),
        ({"grid": {"train.seed": [0, 1]}}, r"train\.seed: the planner gives this option"),
        ({"train": {"output": "/"}, "grid": GRID}, r"train\.output: the planner gives this option"),
        ({"steps": []}, "steps: expected a list of steps"),
        ({"steps": [1]}, "step 1: expected a mapping"),
        (
            {"steps": [{"run": "a", "train": "b"}]},
            "step 1: expected `COMMAND: NAME` first, of prepare, train, evaluate, table",
        ),
        ({"steps": [{"train": "../a"}]}, r"step 1: expected train: NAME, found \.\./a"),
        ({"steps": [{"evaluate": "a"}]}, "step 1: expected evaluate: RUN/NAME, found a"),
        ({"steps": [{"train": "a"}, {"train": "a"}]}, "step 2: a: an earlier step has this name"),
        ({"steps": [{"evaluate": "a/b"}]}, "a/b: expected either `run:` or `fuse:`"),
        ({"steps": [{"prepare": "a"}]}, "a: expected `format:` and `root:`"),
        (
            {"steps": [{"train": "joint"}, {"evaluate": "a/b", "run": "joimt"}]},
            r"a/b: expected an earlier step, found 'joimt'; did you mean joint\?",
        ),
        ({"steps": [{"train": "a"}, {"evaluate": "a/b", "run": ["a"]}]}, r"a/b: expected an earlier step, found \['a'\]"),
        ({"steps": [{"train": "a"}, {"evaluate": "a/b", "fuse": 3}]}, "a/b: expected an earlier step, found 3"),
        ({"steps": [{"train": "a"}, {"table": "t.md", "runs": "a/b"}]}, "t.md: expected an earlier step, found 'a/b'"),
        ({"steps": [{"train": "a", "root": ["x"]}]}, r"a\.root: expected one of none, found"),
        ({"steps": [{"train": "a", "root": "x"}]}, r"a\.root: expected one of none, found 'x'"),
        ({"steps": [{"train": "a"}], "table": 1}, r"table: no such field"),
    ],
)
def test_faults_are_named(tmp_path: Path, fields: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        plan(tmp_path, fields)
    assert str(error.value).startswith(str(tmp_path / "plan.yaml")) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 3}, "seeds: expected a list of different whole numbers from 0, found 3"),
        ({"seeds": [1, 1]}, r"seeds: expected .* found \[1, 1\]"),
        ({"seeds": [-1]}, r"seeds: expected .* found \[-1\]"),
        ({"evaluate": {}}, "evaluate: expected NAME: options"),
        ({"evaluate": {"run": {}}}, "evaluate: expected NAME: options, other than run and first"),
        ({"grid": {}}, "grid: no such field"),
    ],
)
def test_faults_of_what_it_runs_on_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(tmp_path, {"grid": GRID}, ON | changes)


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"tabel5: no such file, and no shipped recipe or ablation; did you mean table5\?"):
        load_plan("tabel5")
    with pytest.raises(InputError, match=r"dmo: no such file, and no shipped ablation; did you mean demo\?"):
        load_plan("table5", on="dmo")
    named, by_path = load_plan("ablation/table5", on="demo"), load_plan("configs/ablation/table5.yaml", on="demo")
    assert named == by_path == load_plan("table5", on="demo")


FOREIGN = [
    "evil.Class",
    " evil.Class",
    "'evil.Class'",
    "evil.Class # quiet",
    "{class_path: evil.Class}",
    {"class_path": "masksem_graph.operators.Heat", "init_args": {"of": ["evil.Class"]}},
    "masksem_graphs.Class",
    "./group.yaml",
]


@pytest.mark.parametrize("value", FOREIGN)
def test_a_class_of_another_package_is_refused_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text("open('ran', 'w')")
    (tmp_path / "group.yaml").write_text("operator: {class_path: evil.Class}")
    places: list[dict[str, Any]] = [
        {"grid": {"a": {"b": {"method.operator": value}}}},
        {"grid": {"method.operator": [value]}},
        {"train": {"method.operator": value}, "grid": GRID},
        {"variants": {"a": {"init_from": {"method": value}}}},
        {"steps": [{"train": "a", "method": value}]},
    ]
    for fields in places:
        with pytest.raises(InputError, match=r"Class is not a class of masksem_graph or torch_geometric\.nn; .* --trust"):
            plan(tmp_path, fields)
    with pytest.raises(InputError, match=r"evaluate\.linear\.protocol: "):
        plan(tmp_path, {"grid": GRID}, ON | {"evaluate": {"linear": {"protocol": value}}})
    assert "evil" not in sys.modules and not (tmp_path / "ran").exists()


def test_classes_of_the_package_and_trusted_ones_are_passed_on(tmp_path: Path) -> None:
    classes = ["masksem_graph.operators.Heat", "torch_geometric.nn.models.GIN", "mine.Operator", "0.5", "1%", "a b.c"]
    found = plan(tmp_path, {"grid": {"x": classes}}, seeds=[0], trust=["mine"])
    assert all(
        f"--x {name} --train.seed 0 --trust mine" in line for name, line in zip(classes, lines(found)[::3], strict=True)
    )


@pytest.mark.parametrize("options", [{"a": "--trust=evil"}, {"a=1 --b": 1}, {"trust": "evil"}, {"overwrite": True}])
def test_no_option_comes_in_by_a_back_door(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"plan\.yaml: a"):
        plan(tmp_path, {"steps": [{"train": "a", **options}]})


def test_a_folder_goes_on_only_with_the_same_settings(tmp_path: Path) -> None:
    out, cpu = tmp_path / "out", {"device.accelerator": "cpu"}
    before = plan(tmp_path, {"grid": GRID}, roots={"data": "/a"})
    before.record(out)
    plan(tmp_path, {"grid": GRID}, overrides={"train.epochs": 11}).refuse_others(out)  # nothing has been started
    for step in before.steps:
        (out / step.name).mkdir(parents=True)
    plan(tmp_path, {"grid": GRID}, roots={"data": "/b"}, overrides=cpu, seeds=[1, 2]).refuse_others(out)
    with pytest.raises(InputError, match=r"seed0/run was started with other settings: train\.epochs: found 10, expected 11"):
        plan(tmp_path, {"grid": GRID}, overrides={"train.epochs": 11}).refuse_others(out)
    with pytest.raises(
        InputError, match=r"seed0/knn was started .* protocol.k: found \[1, 5\], expected nothing; name another folder"
    ):
        plan(tmp_path, {"grid": GRID}, ON | {"evaluate": {"knn": {"protocol": "knn"}}}).refuse_others(out)
    plan(tmp_path, {"grid": GRID}, seeds=[7]).record(out)
    with pytest.raises(InputError, match="other settings"):  # a record is added to, not replaced
        plan(tmp_path, {"grid": GRID}, overrides={"train.epochs": 11}).refuse_others(out)


def test_a_text_whose_aliases_are_endless_is_not_followed(tmp_path: Path) -> None:
    """Nine times nine times ... the command that gets the text refuses its aliases, in one line."""
    levels = ", ".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghij"))
    found = plan(tmp_path, {"steps": [{"train": "a", "data": f"{{a: &a [x], {levels}}}"}]})
    assert found.steps[0].options["data"].startswith("{a: &a")
