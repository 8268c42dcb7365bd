"""Export: every shipped backbone, on real clips, to 1e-4; what the file says of itself; what cannot be exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import masksem_graph.exporting.write as write
from masksem_graph.cli import main
from masksem_graph.errors import InputError
from masksem_graph.evaluation.classifier import load_classifier, read_classifier
from masksem_graph.evaluation.loose_clips import gather
from masksem_graph.exporting.runtime import ClipModel, OnnxModel
from masksem_graph.topology import load_topology
from tests.exporting.conftest import HOPS, save_run

BACKBONES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "transformer": ("Transformer", {"heads": 2}, {}),
    "hop bias": ("Transformer", {"heads": 2, **HOPS}, {}),
    "gcn": ("GCN", {}, {}),
    "gat": ("GAT", {"heads": 2}, {}),
    "gps": ("GPS", {"heads": 2}, {}),
    "stgcn": ("STGCN", {}, {}),
    "ha_cm": (
        "Transformer",
        {"heads": 2},
        {"nodes": "kinect20_limbs", "space": {"class_path": "masksem_graph.methods.ha_cm.PoincareBall"}},
    ),
    "all slots": ("Transformer", {"heads": 2}, {"pool": "all_slots"}),
}


def files(shared: Path) -> list[Path]:
    """A few of NW-UCLA's, the shortest among them."""
    folder = shared / "nw-ucla" / "all_sqe"
    return [folder / "a02_s09_e04_v02.json", *sorted(folder.glob("*.json"))[::150]]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", BACKBONES)
def test_backbones(name: str, shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra 'export'")
    backbone, options, more = BACKBONES[name]
    run = save_run(tmp_path / "run", backbone=backbone, options=options, **more)
    made = write.export(run, tmp_path / "model.onnx")
    assert made.difference < 1e-5 and made.about["backbone"] == backbone
    _same(run, tmp_path / "model.onnx", files(shared), tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_two_persons(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra 'export'")
    run = save_run(tmp_path / "run", options={"heads": 2}, data="sbu15", format="sbu")
    write.export(run, tmp_path / "model.onnx")
    _same(run, tmp_path / "model.onnx", [shared / "sbu"], tmp_path)


def _same(run: Path, file: Path, clips: list[Path], folder: Path) -> None:
    classifier = read_classifier(run)
    (store,) = gather(clips, folder / "stores", prepared=classifier.prepared).stores
    expected = classifier.probabilities(store)
    assert len(store) > 9 and expected.std(0).min() > 1e-3  # they differ from clip to clip
    torch.testing.assert_close(load_classifier(file).probabilities(store), expected, atol=1e-5, rtol=0)


def test_real_clips(run: Path, exported: Path, shared: Path, tmp_path: Path) -> None:
    _same(run, exported, files(shared), tmp_path)


def test_what_the_file_says(exported: Path) -> None:
    import onnx

    model = onnx.load(exported)
    sizes = [[size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim] for value in model.graph.input]
    assert sizes == [["clips", "bodies", "frames", 20, 3]]
    assert [entry.version for entry in model.opset_import if not entry.domain] == [write.OPSET]
    about = OnnxModel(exported).about
    assert about["classes"] == ["wave", "kick", "sit", "stand"] and about["licence"] == "CC-BY-4.0"
    assert about["joints"] == list(load_topology("kinect20").joints) and about["units"] == "metres"
    assert (about["frames"], about["view"], about["origin"], about["opset"]) == (16, "body", "centre", write.OPSET)


@pytest.mark.usefixtures("unchecked")
def test_an_encoder_alone(run: Path, tmp_path: Path) -> None:
    """Its features are those of ``encode``."""
    from masksem_graph import load_encoder

    for name in ("encoder.yaml", "encoder.safetensors", "data.yaml"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_bytes((run / name).read_bytes())
    write.export(tmp_path / "run", tmp_path / "encoder.pt2", to="pt2")
    program = torch.export.load(tmp_path / "encoder.pt2")
    clip = np.random.default_rng(0).normal(size=(50, 20, 3)).astype(np.float32)
    found = program.module()(torch.from_numpy(clip)[None, None])[0]
    torch.testing.assert_close(found, load_encoder(run).encode(clip), atol=1e-5, rtol=1e-5)


def test_numbers_of_another_kind_are_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "_write", lambda network, path, to, about: ClipModel(lambda x: np.ones((len(x), 4)), about))
    with pytest.raises(InputError, match=r"model.pt2: found numbers 0\.\d+ off .*expected at most 0.0001; not written"):
        write.export(run, tmp_path / "model.pt2", to="pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_the_operator_that_stands_in_the_way(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from masksem_graph.backbones.transformer import Block

    monkeypatch.setattr(Block, "forward", lambda self, h, bias: h * int(h.abs().max() + 1))
    with pytest.raises(InputError, match=r"Transformer cannot be exported: .*int\(h\.abs\(\)\.max\(\) \+ 1\)"):
        write.export(run, tmp_path / "model.pt2", to="pt2")


def test_refusals(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.onnx").write_bytes(b"")
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    for arguments, message in (
        ([run, "--output", tmp_path / "model.bin"], "--output: expected a name that ends in .onnx"),
        ([run, "--output", tmp_path / "there.onnx"], "is there already"),
        ([run, "--output", tmp_path / "model.onnx"], "needs onnx, onnxscript, onnxruntime, not installed here"),
        ([tmp_path, "--output", tmp_path / "model.pt2", "--to", "pt2"], "expected a run with encoder.yaml"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["export", *map(str, arguments)])
        assert message in capsys.readouterr().err
