"""Runs on the hub: loaded from the library's cache without a network, and what is uploaded, seen by a stand-in of its API."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import masksem_graph as mg
from masksem_graph import hub
from masksem_graph.cli import main
from masksem_graph.errors import InputError
from masksem_graph.evaluation.classifier import read_classifier
from masksem_graph.exporting.push import push, stage
from masksem_graph.plain_yaml import write_plain
from tests.exporting.conftest import save_run

LIBRARY = pytest.importorskip("huggingface_hub", reason="needs the extra 'hub'")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = save_run(tmp_path / "run", options={"heads": 2})
    write_plain(folder / "config.yaml", {"run": "/home/me/runs/1", "data": {"format": "nw_ucla", "root": "/home/me/ucla"}})
    return folder


@pytest.fixture
def offline(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was pushed, as the library caches it, and no network."""
    cached = tmp_path / "cache" / "models--me--ucla"
    for folder in ("refs", "snapshots/abc"):
        (cached / folder).mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc")
    stage(run, cached / "snapshots" / "abc", "me/ucla")
    constants = import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cached / "snapshots" / "abc"


def test_loads_what_was_pushed(run: Path, offline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = np.random.default_rng(0).normal(size=(30, 20, 3)).astype(np.float32)
    expected = mg.load_encoder(run).encode(clip)
    assert torch.equal(mg.load_encoder("hf://me/ucla").encode(clip), expected)
    assert hub.local(Path("hf://me/ucla@main")) == offline and hub.local(run) == run
    np.save(tmp_path / "clip.npy", clip)
    for where in (str(run), "hf://me/ucla"):
        main(["predict", str(tmp_path / "clip.npy"), "--run", where, "--json", "--device.accelerator", "cpu"])
    one, other = capsys.readouterr().out.splitlines()
    assert one == other and read_classifier(run).classes[0] in one


@pytest.mark.parametrize("name", ["hf://me/other", "hf://me", "hf://a/b/c", "hf://me/ucla@v9"])
def test_what_is_not_there(offline: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"hf://.*: cannot be fetched: \S.*"):
        mg.load_encoder(name)


def test_a_strangers_class_is_not_imported(offline: Path) -> None:
    path = offline / "encoder.yaml"
    path.write_text(path.read_text().replace("masksem_graph.backbones.Transformer", "os.system"))
    with pytest.raises(InputError, match=r"os\.system"):
        mg.load_encoder("hf://me/ucla")


def test_what_is_uploaded(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def upload_folder(repo_id: str, folder_path: Path, commit_message: str) -> None:
        seen.update({path.name: path.read_bytes() for path in folder_path.iterdir()}, repo=repo_id)

    api = SimpleNamespace(create_repo=lambda name, **options: f"https://hub/{name}?{options}", upload_folder=upload_folder)
    monkeypatch.setattr(LIBRARY, "HfApi", lambda: api)
    assert push(run, "me/ucla", private=True) == "https://hub/me/ucla?{'private': True, 'exist_ok': True}"
    assert seen.pop("repo") == "me/ucla"
    assert set(seen) == {*hub.FILES, "README.md"}
    assert not any(b"/home/me" in content for content in seen.values())
    for name in ("encoder.safetensors", "encoder.yaml", "head.safetensors", "head.yaml", "data.yaml"):
        assert seen[name] == (run / name).read_bytes()


def test_the_card(run: Path, tmp_path: Path) -> None:
    results = {
        **dict.fromkeys(("top5", "mean_class_accuracy", "test_clips", "wall_seconds"), 90),
        **{"protocol": "linear", "data": "nw_ucla", "split": "xview", "stream": "joint", "pool": "mean", "untrained": False},
        **{"top1": 81.26, "top1_interval": [79.5, 83.5], "seeds": [0], "floors": {"raw": 74.1}, "std": None},
        "data_set": {"format": "nw_ucla", "topology": "kinect20", "classes": 4, "clips": 9},
    }
    (run / "results.json").write_text(json.dumps(results))
    main(["push", str(run), "me/ucla", "--licence", "cc-by-4.0", "--output", str(tmp_path / "staged")])
    _, meta, text = (tmp_path / "staged" / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(meta)
    assert fields["license"] == "cc-by-4.0" and fields["library_name"] == "masksem-graph"
    (entry,) = fields["model-index"][0]["results"]
    assert entry["metrics"] == [{"type": "accuracy", "name": "top-1", "value": 81.26}]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| nw")]
    assert rows == [["nw\\_ucla", "xview", "linear, mean pooled", "1", "81.3", "79.5 to 83.5", "74.1"]]
    assert 'mg.load_encoder("hf://me/ucla")' in text and "wave, kick, sit, stand" in text


def test_refusals(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **options: Any) -> None:
        raise import_module("huggingface_hub.errors").LocalTokenNotFoundError("no token")

    monkeypatch.setattr(LIBRARY, "HfApi", lambda: SimpleNamespace(create_repo=refuse))
    for arguments, message in (
        (["me/ucla"], "me/ucla: cannot be pushed: no token"),
        (["ucla"], "expected a name on the hub, OWNER/NAME, found 'ucla'"),
        (["me/ucla", "--output", str(run)], "is there already"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["push", str(run), *arguments])
        assert message in capsys.readouterr().err
