"""docs/backbones.md: its Python blocks run, and what they define keeps the contract."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch_geometric.nn import models

from masksem_graph.backbones import Backbone, graph_model
from masksem_graph.graph import SkeletonBatch
from masksem_graph.topology import load_topology

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs" / "backbones.md").read_text(), re.DOTALL | re.MULTILINE)
CODE = [text for language, text in BLOCKS if language == "python"]


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "docs/backbones.md", "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize("code", CODE, ids=[f"block {i}" for i in range(len(CODE))])
def test_python(code: str) -> None:
    run(code)


def test_what_it_defines_trains() -> None:
    defined = {name: part for code in CODE for name, part in run(code).items() if getattr(part, "__module__", "") == "page"}
    assert set(defined) == {"MyModel", "SAGE"}
    tree = next(yaml.safe_load(text) for language, text in BLOCKS if language == "yaml" and "my_backbone.SAGE" in text)
    made: list[Backbone] = [graph_model(defined["MyModel"])(width=8), defined["SAGE"](width=8, **tree["init_args"])]
    frames = torch.zeros(2, 3, 5, 3)
    batch = SkeletonBatch.from_frames(frames, topology=load_topology("tiny5"), segment=1, sequence=torch.arange(2))
    for backbone in made:
        backbone(torch.randn(2, 15, 8), batch).square().sum().backward()
        assert all(p.grad is not None for p in backbone.parameters()) and len(backbone.layers()) > 1


def test_its_yaml_names_a_model() -> None:
    tree = next(yaml.safe_load(text) for language, text in BLOCKS if language == "yaml" and "GIN" in text)
    assert tree["class_path"] == "torch_geometric.nn.models.GIN"
    graph_model(models.GIN, **tree["init_args"])(width=8)


def test_the_shipped_files_are_in_its_table() -> None:
    table = {names[0] for names in re.findall(r"^\| `(\w+)` \| `(\w+)`", (ROOT / "docs" / "backbones.md").read_text(), re.M)}
    assert table == {path.stem for path in (ROOT / "configs" / "backbone").glob("*.yaml")}
