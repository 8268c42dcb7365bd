"""The commands from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import masksem_graph as mg
from masksem_graph.api import data_section
from masksem_graph.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
QUICK = {"batch_size": 180, "evaluate_every": 0, "figures": False, "accelerator": "cpu", "width": 16}


def test_the_package_is_imported_without_torch() -> None:
    code = "import sys, masksem_graph as mg; print('torch' in sys.modules, sorted(set(mg.__all__) - set(dir(mg))))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout == "False []\n"


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        mg.nothing  # noqa: B018


def test_pretrain_evaluate_load(tmp_path: Path) -> None:
    run = mg.pretrain("demo_xsub", "tiny", "mamp", epochs=1, output=tmp_path / "run", **QUICK, **{"model.backbone.depth": 1})
    assert isinstance(run, mg.RunFolder) and run.page.is_file()
    encoder = mg.load_encoder(run)
    assert encoder.width == 16
    found = mg.evaluate(run, "knn", figures=False)
    assert found.folder == tmp_path / "run" / "knn" and found.interval[0] <= found.top1 <= found.interval[1]
    assert found.floors and found.figures["test_clips"] == 360 and f"top1={found.top1:.1f}" in repr(found)
    with pytest.raises(InputError, match="already holds results"):
        mg.evaluate(run, "knn", figures=False)
    linear = mg.evaluate(run, "linear", epochs=1, views=1, labels="10%", runs=2, figures=False)
    assert linear.folder.name == "linear_10" and linear.figures["seeds"] == [0, 1] and linear.figures["labelled_clips"] == 36


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epoch": 3}, r"epoch: no such field; did you mean epochs\?"),
        ({"width": "wide"}, r"model\.width"),
        ({"data": 3}, r"data: expected a SkeletonDataset, a name, or a list of them, found int"),
        ({"model": "tyni"}, r"did you mean tiny\?"),
        ({"backbone": object()}, r"backbone: expected plain data, a class"),
        ({"output": ""}, r"--output: expected a folder, found ''"),
    ],
)
def test_mistakes(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mg.pretrain(**{"data": "demo_xsub", "output": tmp_path / "run", **fields})
    assert not (tmp_path / "run").exists()


def test_several_data_sets() -> None:
    found = data_section(["demo_xsub", "demo_kinect20_xsub"])
    assert found["format"] == "demo" and found["also"] == {"demo_kinect20": {"format": "demo_kinect20", "split": "xsub"}}
    twice = data_section([{"format": "ntu", "split": "a"}, {"format": "ntu", "split": "b", "weight": 2.0}])
    assert twice["also"] == {"ntu_2": {"format": "ntu", "split": "b", "weight": 2.0}}
    with pytest.raises(InputError, match="stream is that of the first data set"):
        data_section([{"format": "ntu", "split": "a"}, {"format": "pku", "split": "b", "stream": "bone"}])


def test_a_dataset_is_taken_as_it_is_or_refused(tmp_path: Path) -> None:
    dataset = mg.SkeletonDataset("demo", split="xsub", view="yaw", stream="bone")
    section = data_section(dataset)
    assert (section["split"], section["view"], section["stream"]) == ("xsub", "yaw", "bone")
    with pytest.raises(InputError, match=r"^data: found some of a SkeletonDataset's clips"):
        data_section(dataset[:10])
    with pytest.raises(InputError, match=r"^data: found a SkeletonDataset with a transform.*augment="):
        data_section(mg.SkeletonDataset("demo", split="xsub", transform=lambda clip: clip))
    with pytest.raises(InputError, match=r"^data: found a SkeletonDataset with a topology, expected none; .*'model.topology'"):
        mg.pretrain(mg.SkeletonDataset("demo", split="xsub", topology="ntu25_limbs"), output=tmp_path / "run")
    with pytest.raises(InputError, match=r"^data: found the test part"):
        mg.pretrain(mg.SkeletonDataset("demo", split="xsub", part="test"), output=tmp_path / "run")


def test_an_evaluation_without_a_run_is_told_where_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="output: expected a folder"):
        mg.evaluate("none", "linear", model="tiny", data="demo_xsub")
    assert not list(tmp_path.iterdir())
