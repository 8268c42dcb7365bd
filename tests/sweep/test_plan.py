"""From an ablation's YAML to commands: what comes out, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from masksem_graph.errors import InputError
from masksem_graph.sweep import Plan, load_plan
from masksem_graph.sweep.plan import load_cell

ON = {
    "config": ["data/demo_xsub", "model/tiny"],
    "options": {"evaluate_every": 0},
    "epochs": 10,
    "seeds": [0, 1],
    "evaluate": {"linear": {"config": "protocol/linear", "views": 2}, "knn": {"config": "protocol/knn", "k": [1, 5]}},
}
GRID = {"mask": {"motion": {"config": "method/mamp"}, "semantic": {"config": ["method/masksem"]}}, "optim.lr": [0.001, 0.01]}


def plan(folder: Path, ablation: dict[str, Any], on: dict[str, Any] = ON, **options: Any) -> Plan:
    for name, fields in (("ablation", ablation), ("on", on)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(fields, sort_keys=False))
    return load_plan(str(folder / "ablation.yaml"), output=folder / "out", data=str(folder / "on.yaml"), **options)


def test_a_grid_times_seeds(tmp_path: Path) -> None:
    found = plan(tmp_path, {"title": "T", "grid": GRID})
    assert (found.title, found.axes, found.evaluations) == ("T", ("mask", "optim.lr"), ("linear", "knn"))
    assert [cell.name for cell in found.cells[:3]] == [
        "motion, 0.001, seed 0",
        "motion, 0.001, seed 1",
        "motion, 0.01, seed 0",
    ]
    assert len(found.cells) == 8 and len({cell.folder for cell in found.cells}) == 8


def test_the_commands_of_a_cell(tmp_path: Path) -> None:
    options = {"config": "method/masksem", "options": {"method.mask_ratio": 0.5}}
    cell = plan(tmp_path, options | {"grid": GRID}, seeds=[3], epochs=7, more=["--data.root", "/d", "--x=y z"]).cells[-1]
    run = str(cell.folder / "run")
    assert cell.folder == tmp_path / "out" / "cells" / "semantic-0.01" / "seed3"
    configs = ["data/demo_xsub", "model/tiny", "method/masksem", "method/masksem"]
    assert [step.arguments for step in cell.steps] == [
        [
            "train",
            *(word for name in configs for word in ("--config", name)),
            *("--evaluate_every", "0", "--method.mask_ratio", "0.5", "--optim.lr", "0.01", "--data.root", "/d", "--x", "y z"),
            *("--epochs", "7", "--seed", "3", "--output", run),
        ],
        [
            *("evaluate", "--config", "protocol/linear", "--views", "2", "--checkpoint", run, "--seed", "3"),
            *("--output", str(cell.folder / "linear")),
        ],
        [
            *("evaluate", "--config", "protocol/knn", "--k", "[1, 5]", "--checkpoint", run, "--seed", "3"),
            *("--output", str(cell.folder / "knn")),
        ],
    ]
    assert [step.epochs for step in cell.steps] == [7, 0, 0]


def test_what_is_trained_first_and_for_how_long(tmp_path: Path) -> None:
    cells = {
        "warm": {"config": "method/masksem", "init_from": {"config": "method/mamp", "epochs_times": 0.5}},
        "longer": {"config": "method/masksem", "epochs_times": 2},
    }
    warm, longer = plan(tmp_path, {"cells": cells}, seeds=[0], more=["--data.root", "/d"]).cells
    assert warm.labels == {"variant": "warm"}
    assert [(step.name, step.epochs) for step in warm.steps] == [("first", 5), ("run", 10), ("linear", 0), ("knn", 0)]
    first, run = (step.arguments for step in warm.steps[:2])
    assert "method/mamp" in first and "method/masksem" not in first and "--init_from" not in first
    assert run[run.index("--init_from") + 1] == str(warm.folder / "first")
    assert all(command[command.index("--data.root") + 1] == "/d" for command in (first, run))
    assert [step.epochs for step in longer.steps] == [20, 0, 0]
    assert warm.work(warm.steps[2]) == pytest.approx(0.75)


def test_a_cell_on_disk(tmp_path: Path) -> None:
    cell = plan(tmp_path, {"grid": GRID}).cells[0]
    cell.save()
    assert load_cell(cell.folder) == cell
    assert not cell.finished


def test_a_folder_goes_on_only_with_the_same_settings(tmp_path: Path) -> None:
    free = {"output", "checkpoint", "data.root", "device"}
    for cell in plan(tmp_path, {"grid": GRID}, more=["--data.root", "/a"]).cells:
        cell.save()
    plan(tmp_path, {"grid": GRID}, more=["--data.root", "/b", "--device.accelerator", "cpu"]).refuse_others(free)
    plan(tmp_path, {"grid": GRID}, seeds=[0, 1, 2]).refuse_others(free)
    with pytest.raises(InputError, match=r"found 'run: --epochs=10', expected 'run: --epochs=11'; name another folder"):
        plan(tmp_path, {"grid": GRID}, epochs=11).refuse_others(free)
    with pytest.raises(InputError, match=r"other settings: found 'knn: --k=\[1, 5\]', expected 'knn: --k=\[1\]'"):
        on = ON | {"evaluate": ON["evaluate"] | {"knn": {"config": "protocol/knn", "k": [1]}}}
        plan(tmp_path, {"grid": GRID}, on).refuse_others(free)


@pytest.mark.parametrize(
    ("ablation", "message"),
    [
        ([1], r"ablation\.yaml: file: expected a mapping with cells, config, grid, options, title, found \[1\]"),
        ({}, r"ablation\.yaml: expected either `grid:` or `cells:`"),
        ({"grid": {}, "cells": {}}, "expected either `grid:` or `cells:`"),
        ({"grid": {}}, "grid: expected at least one axis"),
        ({"grid": [1]}, "grid: expected a mapping"),
        ({"grid": {"optim.lr": []}}, r"optim\.lr: expected label: \{option: value\}, or a list of the option's values"),
        ({"grid": {"optim.lr": 1}}, r"optim\.lr: expected label"),
        ({"grid": {"a": {"b": 3}}}, r"a\.b: expected option: value, found 3"),
        ({"grid": {"a": {"b": {"config": 3}}}}, r"a\.b\.config: expected a shipped name or a file"),
        ({"grid": {"a": {"b": {"epochs_times": 0}}}}, r"a\.b\.epochs_times: expected a number above 0, found 0"),
        ({"grid": {"a": {"b": {"init_from": 1}}}}, r"a\.b\.init_from: expected option: value, found 1"),
        ({"grid": {"a": {"x y": {}, "x-y": {}}}}, "two variants' names differ in signs alone"),
        ({"gird": {}}, "gird: unknown field; expected cells, config, grid, options, title"),
    ],
)
def test_faults_of_an_ablation_are_named(tmp_path: Path, ablation: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        plan(tmp_path, ablation)
    assert str(error.value).startswith(str(tmp_path / "ablation.yaml")) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "many"}, "epochs: expected a whole number, found 'many'"),
        ({"epochs": 0}, "--epochs: expected at least 1, found 0"),
        ({"seeds": 3}, "seeds: expected a list of whole numbers, found 3"),
        ({"seeds": [1, 1]}, r"--seeds: expected different whole numbers from 0, found \[1, 1\]"),
        ({"evaluate": {}}, "evaluate: expected at least one evaluation"),
        ({"evaluate": {"run": {}}}, "evaluate: expected names of letters and digits, other than run and first, found 'run'"),
        ({"grid": {}}, "grid: unknown field"),
    ],
)
def test_faults_of_what_it_runs_on_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(tmp_path, {"grid": GRID}, ON | changes)


def test_further_options_come_in_pairs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected options of train\.py as --name value, found --a"):
        plan(tmp_path, {"grid": GRID}, more=["--a"])
    with pytest.raises(InputError, match=r"no such file, and none of the shipped configs: .*ablation/table5"):
        load_plan("ablation/table6", output=tmp_path, data="demo")
    with pytest.raises(InputError, match=r"ablation/on/moon: no such file"):
        load_plan("ablation/table5", output=tmp_path, data="moon")
