"""A folder or a file from a stranger runs no code, whatever field of it names a class."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse._common import parsing_settings

from masksem_graph import trust
from masksem_graph.cli import main
from masksem_graph.errors import InputError

ENCODER = ["model.space", "model.backbone", "model.decoder", "model.encodings.0", "model.backbone.init_args.bias"]
CONFIG = ["method.scores", "method.operator", "method.target", "method.contrast", "data.format", "augment", "model.backbone"]


def poison(path: Path, field: str, value: Any) -> None:
    fields = yaml.safe_load(path.read_text())
    node = fields
    *outer, last = field.split(".")
    for name in outer:
        node = node[int(name)] if isinstance(node, list) else node.setdefault(name, {})
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    path.write_text(yaml.safe_dump(fields))


@pytest.fixture
def stranger(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run, with modules beside it and in the current directory that say when they are imported."""
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    code = f"from pathlib import Path\nPath({str(tmp_path / 'owned')!r}).touch()\n\n\nclass Part:\n    pass\n"
    for folder in (run, run / "linear", tmp_path):
        (folder / "planted.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])  # as `python -m masksem_graph` has it
    monkeypatch.setattr(trust, "_allowed", list(trust._allowed))
    monkeypatch.setitem(parsing_settings, "import_path_verdicts", dict(parsing_settings["import_path_verdicts"]))
    return run


PAYLOADS: dict[str, Callable[[Path], Any]] = {
    "call": lambda run: {"class_path": "os.system", "init_args": {"command": f"touch {run.parent / 'owned'}"}},
    "text": lambda run: "os.system",
    "beside": lambda run: {"class_path": "planted.Part"},
    "inside": lambda run: {"class_path": "run.planted.Part"},
    "text of a module": lambda run: "planted.Part",
    "through a module of ours": lambda run: {
        "class_path": "masksem_graph.files.os.system",
        "init_args": {"command": "touch owned"},
    },
}


def commands(run: Path) -> dict[str, list[str]]:
    out = str(run.parent / "out")
    short = ["--device.accelerator", "cpu", "--figures", "false", "--output", out]
    return {
        "evaluate": ["evaluate", "--run", str(run), "--protocol", "knn", *short],
        "evaluate the probe": ["evaluate", "--run", str(run / "linear"), "--protocol", "own_head", *short],
        "train from": ["train", "--config", str(run / "config.yaml"), "--output", out],
        "saliency": ["visualize", "saliency", "--run", str(run), "--output", out, "--gif", "false"],
        "reconstruction": ["visualize", "reconstruction", "--run", str(run), "--output", out],
        "embedding": ["visualize", "embedding", "--run", str(run), "--output", out, "--points", "4", "--method", "pca"],
        "predict": ["predict", str(run / "clip.npy"), "--run", str(run / "linear")],
        "convert": ["convert", str(run), "--to", "mamp", "--output", f"{out}.pth"],
    }


def attack(run: Path) -> list[str]:
    """Runs every command; which of them refused."""
    import numpy as np

    from masksem_graph import load_encoder

    np.save(run / "clip.npy", np.zeros((20, 5, 3), np.float32))
    refused = []
    for name, arguments in commands(run).items():
        try:
            main(arguments)
        except SystemExit as stopped:
            assert stopped.code in (1, 2), name
            refused.append(name)
        shutil.rmtree(run.parent / "out", ignore_errors=True)
    for folder in (run, run / "linear"):
        try:
            load_encoder(folder)
        except InputError as error:
            assert "\n" not in str(error)
            refused.append(f"load_encoder {folder.name}")
    return refused


def owned(run: Path) -> bool:
    return (run.parent / "owned").exists() or Path("owned").exists()


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("field", ENCODER)
def test_encoder_yaml(stranger: Path, field: str, payload: str) -> None:
    from masksem_graph import load_encoder

    poison(stranger / "encoder.yaml", field, PAYLOADS[payload](stranger))
    with pytest.raises(InputError) as refused:
        load_encoder(stranger)
    assert "\n" not in str(refused.value)
    assert not owned(stranger)


@pytest.mark.parametrize("payload", ["call", "beside"])
def test_encoder_yaml_by_every_command(stranger: Path, payload: str) -> None:
    for folder in (stranger, stranger / "linear"):
        poison(folder / "encoder.yaml", "model.backbone", PAYLOADS[payload](stranger))
    refused = attack(stranger)
    assert not owned(stranger)
    assert set(refused) >= {"evaluate", "evaluate the probe", "predict", "saliency", "reconstruction", "embedding", "convert"}


@pytest.mark.parametrize("payload", ["call", "beside"])
def test_head_yaml_by_every_command(stranger: Path, payload: str) -> None:
    poison(stranger / "linear" / "head.yaml", "head", PAYLOADS[payload](stranger))
    assert {"predict", "evaluate the probe"} <= set(attack(stranger))
    assert not owned(stranger)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("field", CONFIG)
def test_config_yaml_as_an_experiment(stranger: Path, field: str, payload: str) -> None:
    value = PAYLOADS[payload](stranger)
    if field == "augment":
        value = [value]
    poison(stranger / "config.yaml", field, value)
    poison(stranger / "config.yaml", "data.root", str(stranger / "nowhere"))  # a store's format is only a name
    with pytest.raises(SystemExit):
        main(["train", "--config", str(stranger / "config.yaml"), "--output", str(stranger.parent / "out")])
    assert not owned(stranger)


@pytest.mark.parametrize(
    ("field", "payload", "refusing"),
    [
        ("method.scores", "call", {"saliency", "reconstruction", "train from"}),
        ("data.format", "text of a module", {"saliency", "embedding", "train from"}),
        ("augment", "call", {"evaluate", "train from"}),
    ],
)
def test_config_yaml_by_every_command(stranger: Path, field: str, payload: str, refusing: set[str]) -> None:
    value = PAYLOADS[payload](stranger)
    for folder in (stranger, stranger / "linear"):
        poison(folder / "config.yaml", field, [value] if field == "augment" else value)
        poison(folder / "config.yaml", "data.root", str(stranger / "nowhere"))
    assert refusing <= set(attack(stranger))
    assert not owned(stranger)


def test_what_the_user_trusts_is_imported(stranger: Path) -> None:
    poison(stranger / "encoder.yaml", "model.space", {"class_path": "planted.Part"})
    with pytest.raises(SystemExit):
        main(
            ["evaluate", "--run", str(stranger), "--protocol", "knn", "--trust", "planted", "--output", str(stranger / "knn")]
        )
    assert (stranger.parent / "owned").exists()  # imported, and refused as it is no Space
