"""Configurations with their types checked: values, parts, and the lines that refuse them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from masksem_graph.cli import evaluate
from masksem_graph.cli.train import GROUPS as TRAIN_GROUPS
from masksem_graph.cli.train import ROOT as TRAIN
from masksem_graph.cli.train import read
from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.models.build import ModelConfig
from masksem_graph.options import read_options
from masksem_graph.tasks.pretrain import MethodConfig


def typed(line: str) -> dict[str, Any]:
    return read(read_options(line.split(), TRAIN, TRAIN_GROUPS))[1]


def write(path: Path, fields: Any) -> str:
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return str(path)


BASE = "--data demo_xsub --model tiny --method masksem --output x"


def test_the_whole_configuration_with_defaults() -> None:
    plain = typed(BASE)
    assert (plain["train"]["epochs"], plain["train"]["batch_size"], plain["train"]["final_lr"]) == (100, 32, 5e-4)
    assert plain["augment"] == [
        {"class_path": "masksem_graph.data.transforms.Rotate", "init_args": {"x": 0.3, "y": 0.3, "z": 0.3}}
    ]
    assert plain["model"]["backbone"]["init_args"]["depth"] == 3
    assert typed(f"{BASE} --augment none")["augment"] == []


def test_scale_is_the_model_s() -> None:
    assert typed(f"{BASE} --backbone gps")["model"]["backbone"]["init_args"]["depth"] == 3
    assert typed(f"{BASE} --backbone masksem_graph.backbones.GAT")["model"]["backbone"]["init_args"]["depth"] == 3
    assert typed(f"{BASE} --backbone gps --model.backbone.depth 2")["model"]["backbone"]["init_args"]["depth"] == 2
    wide = BASE.replace("tiny", "paper")
    assert typed(f"{wide} --backbone gps")["model"]["backbone"]["init_args"]["heads"] == 8


def test_a_model_of_torch_geometric_is_wrapped() -> None:
    found = typed(f"{BASE} --backbone torch_geometric.nn.models.GIN --model.backbone.num_layers 4")["model"]["backbone"]
    assert found["class_path"].endswith("GraphModel")
    assert found["init_args"]["model"] in ("torch_geometric.nn.models.GIN", "torch_geometric.nn.GIN")  # one class
    assert found["init_args"]["options"] == {"num_layers": 4}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--model.width many", r"--model\.width"),
        ("--model.width 0", r"model\.width: expected a number from 1"),
        ("--model.backbone.hedas 2", r"--model\.backbone\.hedas: no such option of .*Transformer; did you mean heads\?"),
        ("--train.epochs 1.5", r"--train\.epochs"),
        ("--train.epochs null", r"train\.epochs: expected a whole number, found null"),
        ("--train.seed 18446744073709551616", r"train\.seed: expected a number of at most 64 bits"),
        ("--train.batch_size 99999999999999999999", r"train\.batch_size: expected a number of at most 64 bits"),
        ("--train.accumulate 9999", r"train\.accumulate: expected at most train\.batch_size"),
        (f"--train.lr '{'9' * 400}'", "int too large to convert to float"),
        ("--train.lr .nan", r"train\.lr: expected a number from 1e-12"),
        ("--model.backbone.depth null", r"depth: expected a whole number .*found null"),
        (
            "--method.scores masksem_graph.operators.Heat",
            r"--method\.scores: expected a class of Scores, found masksem_graph\.operators\.Heat",
        ),
        ("--method.scores 3", r"--method\.scores: expected a class of Scores, found 3$"),
        ("--method.operator 3", r"--method\.operator: expected a class of Operator or null, found 3$"),
        ("--method.operator.hops two", r"--method\.operator\.hops: expected a whole number, found two$"),
        ("--method.operator masksem_graph.operators.Operator", r"found the abstract masksem_graph\.operators\.Operator$"),
        (
            "--method.contrast masksem_graph.operators.Heat",
            r"expected a class of Contrast, found masksem_graph\.operators\.Heat$",
        ),
        ("--model.backbone 3", r"--model\.backbone: expected a class of Backbone, found 3$"),
        ("--model.encodings [3]", r"--model\.encodings: expected a class of Encoding, found 3$"),
        ('--data.also {"a":3}', r"--data\.also\.a: expected the fields of a, found 3$"),
        (
            f'--data.options {{"a":{2**64}}}',
            r"data\.options\.a: expected a number of at most 64 bits, found 18446744073709551616$",
        ),
        ("--model.space here", r"--model\.space: expected the dotted path of a class, found here$"),
        ("--model.crop 3", r"--model\.crop: expected the fields of crop, found 3$"),
        ("--data.options [a]", r"--data\.options: expected a mapping, found \['a'\]"),
        ("--train.lr fast", r"--train\.lr: expected a number, found fast"),
        ("--data.origin middle", r"--data\.origin: expected one of centre, none or null, found middle"),
        ("--model.pool presnt", r"--model\.pool: expected one of present, all_slots, found presnt"),
        ("--model.crop.min_frame 3", r"--model\.crop\.min_frame: no such option \(did you mean --model\.crop\.min_frames\?\)"),
        ("--model.backbone.depth two", r"--model\.backbone\.depth: expected a whole number, found two"),
        (
            "--method.scores masksem_graph.masking.Motio",
            r"--method\.scores: .*has no such class; did you mean .*masking\.Motion\?",
        ),
    ],
)
def test_values_of_another_type_or_range(more: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        typed(f"{BASE} {more}")
    assert "\n" not in str(refused.value)


def test_values_with_dashes_and_a_group_that_may_be_null() -> None:
    with pytest.raises(InputError, match=r"--model\.space: expected the dotted path of a class, found a - b$"):
        read(read_options([*BASE.split(), "--model.space", "a - b"], TRAIN, TRAIN_GROUPS))
    run = ["--run", "none", "--model", "tiny", "--data", "demo_xsub", "--protocol", "knn", "--output", "none"]
    for more, message in {
        "--model.crop 3": r"--model\.crop: expected the fields of crop, found 3$",
        "--model.frames 7": r"model\.frames: expected a multiple of model\.segment = 4, found 7$",
        "--model.backbone.depth x": r"--model\.backbone\.depth: expected a whole number, found x$",
    }.items():
        with pytest.raises(InputError, match=message):
            evaluate.parse([*run, *more.split()])


def test_a_part_that_refuses_its_option_in_a_file() -> None:
    method = typed(BASE)["method"]
    method["operator"] = {"class_path": "masksem_graph.operators.Adjacency", "init_args": {"hops": 0}}
    with pytest.raises(InputError, match=r"^config\.yaml: hops: expected at least 1, found 0$"):
        parse_mapping(MethodConfig, method, source="config.yaml")


def test_an_entry_of_a_part_that_is_misspelt() -> None:
    method = typed(BASE)["method"]
    method["operator"] = {"class_path": "masksem_graph.operators.Adjacency", "init_arg": {"hops": 2}}
    with pytest.raises(InputError, match=r"^a\.yaml: operator\.init_arg: no such field; a part has class_path and init_args$"):
        parse_mapping(MethodConfig, method, source="a.yaml")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--labels 5", r"--labels: 5: no such file, and no shipped labels; expected a share such as 10%, or a file"),
        ("--protocol my_protocol", r"--protocol: my_protocol: no such file"),
    ],
)
def test_a_choice_that_is_not_there(option: str, message: str) -> None:
    run = ["--run", "none", "--model", "tiny", "--data", "demo_xsub", "--protocol", "knn", "--output", "none"]
    with pytest.raises(InputError, match=message):
        evaluate.parse([*(run[:6] if "protocol" in option else run), *option.split()])


@pytest.mark.parametrize("given", ["my_scores", "no_such.Scores"])
def test_a_class_that_is_not_there_is_told_by_its_option(given: str) -> None:
    with pytest.raises(InputError, match=rf"^--method\.scores: .*{given}"):
        typed(f"{BASE} --method.scores {given}")


def test_a_forgotten_group_is_named() -> None:
    with pytest.raises(InputError, match=r"--method\.scores, .*: required, but not given; expected --method NAME$"):
        typed("--data demo_xsub --model tiny --output none")


def test_fields_of_a_file_that_are_null_or_missing() -> None:
    model = typed(BASE)["model"]
    for line, fields in {
        "frames: expected a whole number, found null": model | {"frames": None},
        "backbone: expected a class of Backbone, found null": model | {"backbone": None},
        "encodings, decoder: required, but not given": {k: v for k, v in model.items() if k not in ("encodings", "decoder")},
    }.items():
        with pytest.raises(InputError, match=rf"^config\.yaml: {line}$"):
            parse_mapping(ModelConfig, fields, source="config.yaml")


def test_options_of_a_reader_are_free() -> None:
    options = typed(f'{BASE} --data.options {{"class_path":3,"a":{{"class_path":["x"]}}}}')["data"]["options"]
    assert options == {"class_path": 3, "a": {"class_path": ["x"]}}


def test_a_path_that_yaml_cannot_hold() -> None:
    with pytest.raises(InputError, match=r"data\.root: found .*, expected a path: .*surrogates not allowed"):
        typed(f"{BASE} --data.root caf\udce9")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"class_path": "masksem_graph.backbones.GPS", "init_args": [3]}, r"expected options by their names, found \[3\]$"),
        ({"class_path": [3]}, r"\.class_path: expected the dotted path of a class, found \[3\]$"),
        ({"clas_path": "masksem_graph.backbones.GPS"}, r"expected a class of Backbone, found \{'clas_path'"),
    ],
)
def test_a_part_has_a_class_and_options(part: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "mine.yaml", {"frames": 8, "segment": 4, "width": 8, "backbone": part})
    with pytest.raises(InputError, match=r"mine\.yaml: --model\.backbone" + ".*" + message):
        typed(f"{BASE.replace('tiny', str(file))}")


def test_an_error_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.yaml", {"frames": "many", "segment": 4})
    with pytest.raises(InputError, match=r"mine\.yaml: .*model\.frames"):
        typed(f"{BASE.replace('tiny', file)}")
    whole = write(tmp_path / "whole.yaml", {"crop": {"min_frames": 3}})
    with pytest.raises(InputError, match=r"whole\.yaml: .*crop"):
        typed(f"{BASE} --config {whole}")


def test_what_a_run_saves_reads_back_the_same(tmp_path: Path) -> None:
    plain = typed(f"{BASE} --backbone gps --data.options.x 01 --train.lr 1e-5")
    file = write(tmp_path / "config.yaml", plain)
    assert typed(f"--config {file}") == plain


def test_a_name_of_5000_letters() -> None:
    long = "x" * 5000
    for name in ("encodings", "config"):
        with pytest.raises(InputError, match="xxx: no such file, and no"):
            typed(f"{BASE} --{name} {long}")


def test_one_transform_is_a_list_of_it() -> None:
    argv = ["--data", "demo_xsub", "--model", "tiny", "--method", "mamp", "--output", "runs/x"]
    argv += ["--augment", "masksem_graph.data.transforms.Mirror", "--augment.probability", "0.25"]
    config, plain, _ = read(read_options(argv, TRAIN, TRAIN_GROUPS))
    assert [one.probability for one in config.augment] == [0.25] and len(plain["augment"]) == 1
