"""Composition of configurations: order, precedence and refusals."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masksem_graph.cli.evaluate import GROUPS as EVALUATE_GROUPS
from masksem_graph.cli.evaluate import ROOT as EVALUATE
from masksem_graph.cli.train import GROUPS as TRAIN_GROUPS
from masksem_graph.cli.train import ROOT as TRAIN
from masksem_graph.compose import GROUPS, compose, flatten, group_names
from masksem_graph.declared import declared_fields
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.options import HOMES, read_options
from masksem_graph.plain_yaml import read_plain


def train(*argv: str) -> dict[str, Any]:
    return read_options(argv, TRAIN, TRAIN_GROUPS).compose().fields


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
