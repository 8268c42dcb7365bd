"""Folders as evaluations leave them, with freshly drawn weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch

from masksem_graph.data.input_spec import InputSpec
from masksem_graph.models.heads import LinearHead
from masksem_graph.models.io import EncoderDescription, create_encoder, save_encoder, save_head
from masksem_graph.plain_yaml import write_plain
from masksem_graph.topology import load_topology

HOPS = {"bias": {"class_path": "masksem_graph.encodings.HopBias"}}


def save_run(
    folder: Path,
    *,
    backbone: str = "Transformer",
    options: dict[str, Any] | None = None,
    data: str = "kinect20",
    nodes: str | None = None,
    format: str = "nw_ucla",
    **model: Any,
) -> Path:
    """An evaluation's folder: encoder, head, and what it says of its clips."""
    raw, topology = load_topology(data), load_topology(nodes or data)
    encodings = [
        {"class_path": "masksem_graph.encodings.Learned", "init_args": {"over": over}} for over in ("joints", "segments")
    ]
    blocks = {"class_path": f"masksem_graph.backbones.{backbone}", "init_args": {"depth": 2, **(options or {})}}
    fields = {"frames": 16, "segment": 4, "width": 16, "encodings": encodings, "backbone": blocks, "decoder": blocks, **model}
    spec = InputSpec(view="recorded" if format == "sbu" else "body")
    torch.manual_seed(0)
    encoder = create_encoder(EncoderDescription(fields, [topology.to_dict()], 3, spec, [raw.to_dict()])).eval()
    head = LinearHead(width=16, joints=len(topology), classes=4).eval()
    with torch.no_grad():  # fresh weights would hardly tell one clip from another
        for weights in [*encoder.parameters(), *head.parameters()]:
            weights.add_(0.2 * torch.randn_like(weights))
    folder.mkdir(parents=True)
    save_encoder(folder, encoder)
    save_head(folder, head, width=16, joints=len(topology), classes=["wave", "kick", "sit", "stand"])
    prepared = {"format": format, "options": {}, "units": raw.units, "topology": raw.to_dict()}
    write_plain(folder / "data.yaml", {"prepared": prepared})
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("exporting") / "run", options={"heads": 2, **HOPS})


@contextmanager
def shapes_unchecked() -> Iterator[None]:
    """An exporter's sizes are symbols, which the checks of shapes take for no ints."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def unchecked() -> Iterator[None]:
    with shapes_unchecked():
        yield


@pytest.fixture(scope="session")
def exported(run: Path) -> Path:
    """The run as ONNX."""
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}, which the extra 'export' brings")
    from masksem_graph.cli import main

    file = run.with_suffix(".onnx")
    with shapes_unchecked():
        main(["export", str(run), "--output", str(file), "--licence", "CC-BY-4.0"])
    return file
