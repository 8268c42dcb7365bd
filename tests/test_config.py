"""Composition of configurations: order, precedence, refusals, scalars; and types where the parts are there."""

from __future__ import annotations

import itertools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masksem_graph.cli import evaluate
from masksem_graph.cli.evaluate import GROUPS as EVALUATE_GROUPS
from masksem_graph.cli.evaluate import ROOT as EVALUATE
from masksem_graph.cli.train import GROUPS as TRAIN_GROUPS
from masksem_graph.cli.train import ROOT as TRAIN
from masksem_graph.cli.train import read
from masksem_graph.compose import GROUPS, compose, flatten, group_names
from masksem_graph.config import parse_mapping
from masksem_graph.declared import declared_fields
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.models.build import ModelConfig
from masksem_graph.options import HOMES, as_value, read_options
from masksem_graph.parser import Parser
from masksem_graph.plain_yaml import parse_yaml, read_plain
from masksem_graph.tasks.pretrain import MethodConfig

pytestmark = pytest.mark.skipif(
    find_spec("masksem_graph.data.transforms") is None, reason="needs the transforms, which are merged later"
)


def train(*argv: str) -> dict[str, Any]:
    return read_options(argv, TRAIN, TRAIN_GROUPS).compose().fields


def typed(line: str) -> dict[str, Any]:
    return read(read_options(line.split(), TRAIN, TRAIN_GROUPS))[1]


def write(path: Path, fields: Any) -> str:
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return str(path)


PAIRS = [
    ("--data", "nw_ucla_xview"),
    ("--model", "small"),
    ("--method", "ha_cm"),
    ("--backbone", "gps"),
    ("--encodings", "rest_pose"),
    ("--augment", "wide_turn"),
    ("--train", "paper"),
    ("--config", "demo"),
    ("--model.backbone", "masksem_graph.backbones.GAT"),
    ("--model.backbone.depth", "2"),
    ("--model.frames", "48"),
    ("--train.epochs", "7"),
    ("--method.target.class_path", "masksem_graph.targets.Coordinates"),
    ("--method.operator", "masksem_graph.operators.Heat"),
    ("--method.operator.time", "2.0"),
    ("--data.options", "{actions: 60}"),
    ("--data.options.exclude", "some.txt"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(PAIRS), unique=True, min_size=2).flatmap(
        lambda pairs: st.tuples(st.just(pairs), st.permutations(pairs))
    )
)
def test_the_order_of_the_options_makes_no_difference(pairs: tuple[list[Any], list[Any]]) -> None:
    one, other = map(outcome, pairs)
    assert one == other


def outcome(pairs: list[tuple[str, str]]) -> Any:
    """What some options make, or why they are refused."""
    try:
        found = read_options(list(itertools.chain(*pairs)), TRAIN, TRAIN_GROUPS).compose()
    except InputError as error:
        return str(error)
    return found.fields, found.origin, sorted(map(str, found.competed))


def test_every_permutation_of_four_groups() -> None:
    chosen = [("--data", "demo_xsub"), ("--model", "small"), ("--method", "masksem"), ("--backbone", "gps")]
    found = [train(*itertools.chain(*some)) for some in itertools.permutations(chosen)]
    assert all(one == found[0] for one in found)
    assert found[0]["model"]["backbone"]["class_path"] == "masksem_graph.backbones.GPS"
    assert found[0]["model"]["decoder"]["class_path"] == "masksem_graph.backbones.Transformer"


def test_dotted_fields_win_over_all_files(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.yaml", {"model": "tiny", "train": {"epochs": 3, "lr": 0.5}})
    assert train("--config", whole)["train"] == {"epochs": 3, "lr": 0.5}
    assert train("--config", whole, "--train.epochs", "4")["train"] == {"epochs": 4, "lr": 0.5}
    found = train("--config", whole, "--train", "paper", "--train.epochs", "4")["train"]
    assert found == {"epochs": 4, "batch_size": 128, "warmup": 0.05, "lr": 0.5}


@pytest.mark.parametrize("form", ["section", "dotted"])
def test_fields_of_an_experiment_refine_what_an_option_names(tmp_path: Path, form: str) -> None:
    """``model: {backbone: GPS}`` beside ``--model small`` must not train a transformer; what was decided is told."""
    backbone = {"class_path": "masksem_graph.backbones.GPS"}
    fields = {"model": {"backbone": backbone}} if form == "section" else {"model.backbone.class_path": backbone["class_path"]}
    whole = write(tmp_path / "whole.yaml", fields | {"method": {"mask_ratio": 0.5}})
    argv = ["--config", whole, "--model", "small", "--method", "masksem"]
    options = read_options(argv, TRAIN, TRAIN_GROUPS).compose()
    assert options.fields["model"]["backbone"]["class_path"] == backbone["class_path"]
    assert options.fields["method"]["mask_ratio"] == 0.5
    assert f"method.mask_ratio = 0.5 from {whole} (method/masksem: 0.9)" in map(str, options.competed)
    decided = train(*argv, "--model.backbone", "masksem_graph.backbones.GAT", "--method.mask_ratio", "0.7")
    assert decided["model"]["backbone"]["class_path"] == "masksem_graph.backbones.GAT"
    assert decided["method"]["mask_ratio"] == 0.7


def test_a_whole_section_and_a_group_that_disagree_are_refused(tmp_path: Path) -> None:
    section = read_plain(shipped("configs") / "method" / "mamp.yaml")
    whole = write(tmp_path / "whole.yaml", {"method": section})
    with pytest.raises(
        InputError, match=r"method\.operator\.class_path: .*whole\.yaml says .*Identity, method/masksem says .*Adj"
    ):
        train("--config", whole, "--method", "masksem")


def test_a_group_takes_the_place_of_a_run_s_section(tmp_path: Path) -> None:
    """Options of the other data set's reader, or its root, must not stay."""
    (tmp_path / ".masksem_graph").write_text("run\n")
    whole = write(
        tmp_path / "whole.yaml", {"data": {"format": "ntu", "split": "xsub", "root": "/ntu", "options": {"actions": 60}}}
    )
    options = read_options(["--config", whole, "--data", "nw_ucla_xview"], TRAIN, TRAIN_GROUPS).compose()
    assert options.fields["data"] == {"format": "nw_ucla", "split": "xview", "view": "body", "view_of": "first"}
    assert [str(one) for one in options.competed] == [f"data = nw_ucla_xview from --data ({whole}: its own)"]


def test_an_experiment_names_groups_and_changes_fields(tmp_path: Path) -> None:
    (tmp_path / ".masksem_graph").write_text("run\n")
    whole = write(
        tmp_path / "whole.yaml", {"model": "paper", "backbone": "gcn", "model.decoder.depth": 5, "data": "demo_xsub"}
    )
    found = train("--config", whole)
    assert found["model"]["decoder"]["init_args"] == {"depth": 5, "heads": 8}
    assert found["model"]["backbone"]["class_path"] == "masksem_graph.backbones.GCN"
    assert found["data"] == {"format": "demo", "split": "xsub"}


def test_ha_cm_is_whole_with_any_model() -> None:
    for model in group_names("model"):
        options = read_options(["--method", "ha_cm", "--model", model, "--train", "paper"], TRAIN, TRAIN_GROUPS).compose()
        found = options.fields
        assert (found["model"]["frames"], found["model"]["segment"], found["model"]["topology"]) == (72, 3, "{data}_limbs")
        assert found["train"]["epochs"] == 500
        assert f"model.frames = 72 from method/ha_cm (model/{model}:" in " ".join(map(str, options.competed))
    assert train("--method", "ha_cm", "--model", "tiny", "--model.frames", "36")["model"]["frames"] == 36
    assert "requires" not in str(found)


def test_two_files_that_require_different_things_are_refused(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.yaml", {"class_path": "masksem_graph.backbones.GCN", "requires": {"model": {"frames": 64}}})
    with pytest.raises(InputError, match=r"model\.frames: .*requires .*, .*requires .*; expected one of the two"):
        train("--method", "ha_cm", "--backbone", mine)


def test_two_experiments_that_disagree_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one.yaml", {"train": {"epochs": 3}})
    other = write(tmp_path / "other.yaml", {"train": {"epochs": 4}})
    third = write(tmp_path / "third.yaml", {"train": {"lr": 0.1}})
    with pytest.raises(InputError, match=r"train\.epochs: .*one\.yaml says 3, .*other\.yaml says 4"):
        train("--config", one, "--config", other)
    assert train("--config", one, "--config", third)["train"] == {"epochs": 3, "lr": 0.1}


def test_another_class_starts_with_no_options() -> None:
    found = train("--method", "masksem", "--method.operator", "masksem_graph.operators.Heat", "--method.operator.time", "2")
    assert found["method"]["operator"] == {"class_path": "masksem_graph.operators.Heat", "init_args": {"time": 2}}
    same = train("--method", "masksem", "--method.operator.hops", "2")["method"]["operator"]
    assert same == {"class_path": "masksem_graph.operators.Adjacency", "init_args": {"hops": 2}}


def test_a_backbone_by_its_dotted_path() -> None:
    argv = ("--model", "tiny", "--backbone", "torch_geometric.nn.models.GIN", "--model.backbone.num_layers", "4")
    assert train(*argv)["model"]["backbone"] == {
        "class_path": "torch_geometric.nn.models.GIN",
        "init_args": {"num_layers": 4},
    }


def test_what_competed_is_told_once() -> None:
    options = read_options(["--model", "tiny", "--model.frames", "16", "--model.width", "64"], TRAIN, TRAIN_GROUPS).compose()
    assert [str(one) for one in options.competed] == ["model.frames = 16 from --model.frames (model/tiny: 32)"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"frames": 32, "epochs": 3},
            r"mine\.yaml: epochs: is a field of train, not of model; expected it in a file of --train",
        ),
        ({"model": {"frames": 32}}, r"mine\.yaml: model: is a section; this file holds the fields of model alone"),
        ({"widht": 32}, r"mine\.yaml: widht: no such field of model; did you mean width\?"),
        ({"optim": {"lr": 1}}, r"mine\.yaml: optim: no such field of model"),
        (["frames"], r"mine\.yaml: expected the fields of --model"),
        (None, r"mine\.yaml: expected the fields of --model"),
    ],
)
def test_a_group_s_file_holds_its_fields_and_no_others(tmp_path: Path, fields: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train("--model", write(tmp_path / "mine.yaml", fields))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--model tyni", r"--model: tyni: no such file, and no shipped model; did you mean tiny\?"),
        ("--model model/tyni", r"did you mean tiny\?"),
        ("--model.widht 3", r"--model\.widht: no such field of model; did you mean --model\.width\?"),
        ("--epochs 3", r"--epochs: no such option; did you mean --train\.epochs\?"),
        ("--optim.lr 3", r"--optim\.lr: no such option; did you mean --train\.lr\?"),
        ("--checkpoint x", r"--checkpoint: is called --run now"),
        ("--config model/tiny", r"is a file of one group; expected --model tiny"),
        ("--config no/such", r"no such file"),
        ("--train.epochs 3 --train.epochs 4", r"--train\.epochs: given twice, with 3 and 4"),
        ("--model tiny --model small", r"--model: given twice"),
        ("--model", r"--model: expected a value"),
        ("tiny", r"tiny: expected an option"),
        ("--backbone nothing", r"--backbone: nothing: no such file"),
        ("--protocol linear", r"--protocol: no such option"),
    ],
)
def test_mistakes_on_the_command_line(argv: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(*argv.split())


def test_a_flag_needs_no_value() -> None:
    assert train("--overwrite", "--model", "tiny")["overwrite"] is True
    assert train("--model", "tiny", "--overwrite")["overwrite"] is True
    assert train("--overwrite", "false")["overwrite"] is False


def test_labels_as_a_percentage() -> None:
    found = read_options(["--protocol", "finetune", "--labels", "1%"], EVALUATE, EVALUATE_GROUPS).compose().fields
    assert found["labels"] == {"share": 0.01}
    assert found["protocol"]["class_path"] == "masksem_graph.protocols.FineTune"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[yes, no]", ["yes", "no"]),
        ("[01]", ["01"]),
        ("1e-3", 1e-3),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("null", None),
        ("-3", -3),
        ("a: b: c", "a: b: c"),
        ("C:\\x: [", "C:\\x: ["),
    ],
)
def test_scalars_as_people_mean_them(text: str, value: Any) -> None:
    assert as_value(text) == value and type(as_value(text)) is type(value)


def test_a_field_of_text_keeps_its_text() -> None:
    assert train("--output", "2024", "--data.split", "01", "--data.root", "1e3") == {
        "output": "2024",
        "data": {"split": "01", "root": "1e3"},
    }
    assert train("--data.root", "null")["data"]["root"] is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_python_s_values_are_taken_as_they_are(value: Any) -> None:
    assert compose(overrides={"data.options.x": value}).fields["data"]["options"]["x"] == value


def test_nothing_is_shared_with_the_arguments() -> None:
    section = {"format": "demo", "split": "xsub", "options": {"a": [1]}}
    found = compose({"data": section}, overrides={"data.options.b": 2}).fields["data"]
    found["options"]["a"].append(2)
    assert section == {"format": "demo", "split": "xsub", "options": {"a": [1]}}


@pytest.mark.parametrize("name", [name for name in GROUPS if group_names(name)])
def test_every_shipped_file_is_of_its_group(name: str) -> None:
    for file in group_names(name):
        assert compose({name: file}).fields


def test_every_home_is_declared() -> None:
    for home in (*HOMES.values(), TRAIN, EVALUATE):
        fields = declared_fields(home)
        assert fields and all(field.help for field in fields.values() if field.name != "crop"), home


def test_flatten_leaves_init_args_out() -> None:
    part = {"class_path": "a.B", "init_args": {"depth": 3}}
    assert flatten({"model": {"backbone": part}}) == {"model.backbone.class_path": "a.B", "model.backbone.depth": 3}


def test_yaml_aliases_and_doubles_are_refused() -> None:
    for text in ("a: &x [1]\nb: *x", "a: 1\na: 2", "[" * 5000, "a: \x01"):
        with pytest.raises(InputError, match=r"not a readable YAML|nested deeper than 50 levels"):
            parse_yaml(text, "mine.yaml")


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
    ("text", "message"),
    [
        ("a:\n  b: 1\n c: 2", "line 3, column 2: another indentation than the lines before"),
        ("- a\nb: 1", "line 2, column 1: another indentation than the lines before"),
        ("a: 1\n\tb: 2", "line 2, column 1: a tab; lines are indented by spaces"),
        ("a: [1", "line 2, column 1: a [ without its ]"),
        ("a: 'x", "line 1, column 6: a quote without its end"),
        ("a: b: c", "line 1, column 5: a second colon; text with a colon in it stands in quotes"),
    ],
)
def test_faults_of_yaml_in_plain_words(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_yaml(text, "mine.yaml")
    assert str(refused.value) == f"mine.yaml: not a readable YAML file: {message}"


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


def test_a_required_option_that_is_left_out_is_named_as_it_is_typed() -> None:
    parser = Parser()
    parser.add_argument("clips", type=str, nargs="+")
    parser.add_argument("--run", type=str, required=True)
    with pytest.raises(InputError, match=r"^clips, --run: required, but not given$"):
        parser.parse_args([])


def test_one_transform_is_a_list_of_it() -> None:
    argv = ["--data", "demo_xsub", "--model", "tiny", "--method", "mamp", "--output", "runs/x"]
    argv += ["--augment", "masksem_graph.data.transforms.Mirror", "--augment.probability", "0.25"]
    config, plain, _ = read(read_options(argv, TRAIN, TRAIN_GROUPS))
    assert [one.probability for one in config.augment] == [0.25] and len(plain["augment"]) == 1
