"""An encoder on disk: rebuilt from its folder alone, refused where it would be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.models.build import ModelConfig, build_encoder
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import load_encoder, new_encoder, save_encoder
from masksem_graph.topology import load_topology, parse_topology

TINY = load_topology("tiny5")
ROOT = Path(__file__).resolve().parents[2]


def part(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": f"masksem_graph.{name}", "init_args": init_args}


BLOCKS = part("backbones.Transformer", depth=2, heads=2)
LEARNED = [part("encodings.Learned", over="segments"), part("encodings.Learned", over="joints")]
GRAPH = [part("encodings.Sinusoidal"), part("encodings.Laplacian", vectors=4), part("encodings.RandomWalk", steps=4)]


def save(run: Path, encodings: list[dict[str, Any]]) -> SkeletonEncoder:
    model = {"frames": 6, "segment": 2, "width": 8, "encodings": encodings, "backbone": BLOCKS, "decoder": BLOCKS}
    encoder = build_encoder(parse_mapping(ModelConfig, model, source="test"), topology=TINY, channels=3)
    save_encoder(run, encoder, model)
    return encoder.eval()


def test_the_same_features_in_a_new_process(tmp_path: Path, one_thread: None) -> None:
    runs = {name: tmp_path / name for name in ("learned", "graph", "both")}
    encoders = [save(runs["learned"], LEARNED), save(runs["graph"], GRAPH), save(runs["both"], LEARNED + GRAPH)]
    clips = torch.randn(3, 6, 5, 3)
    torch.save(clips, tmp_path / "clips.pt")
    script = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from masksem_graph.models.io import load_encoder\n"
        "clips = torch.load(sys.argv[1])\n"
        "for run in sys.argv[2:]:\n"
        "    encoder = load_encoder(run)\n"
        "    assert not encoder.training\n"
        "    torch.save(encoder.features(clips).detach(), run + '/features.pt')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "clips.pt"), *map(str, runs.values())]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    for run, encoder in zip(runs.values(), encoders, strict=True):
        assert torch.equal(torch.load(run / "features.pt"), encoder.features(clips)), run.name


def test_graph_encodings_travel_to_another_skeleton(tmp_path: Path) -> None:
    encoder, ntu = save(tmp_path, GRAPH), load_topology("ntu25")
    there = load_encoder(tmp_path, topology=ntu)
    assert there.grid == (3, 25)
    assert there.features(torch.randn(2, 6, 25, 3)).isfinite().all()
    for name, value in encoder.state_dict().items():
        assert torch.equal(there.state_dict()[name], value), name


@pytest.mark.parametrize("other", ["ntu25", "reordered"])
def test_joint_numbered_encodings_do_not(tmp_path: Path, other: str) -> None:
    save(tmp_path, LEARNED)
    reordered = parse_topology(TINY.to_dict() | {"joints": list(TINY.joints[::-1]), "name": other}, source_file="x")
    topology = reordered if other == "reordered" else load_topology(other)
    with pytest.raises(InputError) as error:
        load_encoder(tmp_path, topology=topology)
    assert str(error.value) == (
        f"{tmp_path}: this encoder belongs to its own 5 joints because of its Learned encoding; "
        f"expected encodings of the graph alone to use it on {other}"
    )


def test_its_own_skeleton_may_be_given(tmp_path: Path) -> None:
    encoder, clips = save(tmp_path, LEARNED), torch.randn(1, 6, 5, 3)
    assert torch.equal(load_encoder(tmp_path, topology=load_topology("tiny5")).features(clips), encoder.features(clips))


def test_a_new_encoder_has_other_weights(tmp_path: Path) -> None:
    encoder, clips = save(tmp_path, LEARNED), torch.randn(1, 6, 5, 3)
    fresh = new_encoder(tmp_path).eval()
    assert [n for n, _ in fresh.named_parameters()] == [n for n, _ in encoder.named_parameters()]
    assert not torch.equal(fresh.features(clips), encoder.features(clips))


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        path = run / "encoder.yaml"
        fields = yaml.safe_load(path.read_text())
        for name, value in changes.items():
            if value is None:
                del fields[name]
            elif isinstance(value, dict):
                fields[name] |= value
            else:
                fields[name] = value
        path.write_text(yaml.safe_dump(fields))

    return change


def cut(run: Path) -> None:
    path = run / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "encoder.yaml").unlink(), "expected a run with encoder.yaml and encoder.safetensors, found no"),
        (lambda run: (run / "encoder.safetensors").unlink(), "encoder.safetensors: not the weights of encoder.yaml: "),
        (cut, "encoder.safetensors: not the weights of encoder.yaml: "),
        (lambda run: (run / "encoder.safetensors").write_bytes(b""), "encoder.safetensors: not the weights of encoder.yaml: "),
        (lambda run: (run / "encoder.yaml").write_text("a: [b\nc"), "encoder.yaml: not a readable YAML file: "),
        (lambda run: (run / "encoder.yaml").write_text("- 1\n"), "encoder.yaml: format: expected 1, found list"),
        (edit(format=2), "encoder.yaml: format: expected 1, found 2"),
        (edit(channels=None), "encoder.yaml: channels: this field is missing"),
        (edit(channels="three"), "encoder.yaml: channels: expected a whole number from 1, found 'three'"),
        (edit(channels=0), "encoder.yaml: channels: expected a whole number from 1, found 0"),
        (edit(model=[1]), r"encoder.yaml: model: expected a mapping, found \[1\]"),
        (edit(topology=[1]), "encoder.yaml: file: expected a mapping with"),
        (edit(topology={"centre": "tail"}), "encoder.yaml: centre: no joint is called 'tail'"),
        (edit(model={"width": 16}), "encoder.safetensors: not the weights of encoder.yaml: .* size mismatch"),
        (edit(model={"width": "wide"}), "encoder.yaml: .*width"),
        (edit(model={"widht": 8}), "encoder.yaml: .*widht"),
        (edit(model={"backbone": part("backbones.Transfomer")}), "encoder.yaml: .*Transfomer"),
        (
            edit(model={"backbone": part("backbones.Transformer", heads=3)}),
            "encoder.yaml: heads: expected a divisor of the width 8",
        ),
    ],
)
def test_missing_or_damaged_files_give_one_line(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    save(tmp_path, LEARNED)
    damage(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        load_encoder(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_no_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^.*nowhere: expected a run with encoder.yaml"):
        load_encoder(tmp_path / "nowhere")
