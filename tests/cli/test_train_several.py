"""Several data sets in one pre-training, through the real command line; the loop itself is tested in tests/training."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from masksem_graph import load_encoder, load_topology, open_store
from masksem_graph.cli import main
from masksem_graph.cli.train import parse
from masksem_graph.config import parse_mapping
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.demo import write_demo
from masksem_graph.data.readers import demo_kinect20
from masksem_graph.data.store import StoreWriter
from masksem_graph.errors import InputError
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.training.checkpoint import load_checkpoint
from masksem_graph.training.pretrain import PretrainLoop
from masksem_graph.training.restore import load_task
from masksem_graph.training.run import pretrain
from tests.cli.options import replaced

ROOT = Path(__file__).resolve().parents[2]


class Killed(Exception):
    """Stands in for the power going off."""


@pytest.fixture(scope="session")
def kinect_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 clips of two classes on kinect20, every third with two bodies."""
    path = tmp_path_factory.mktemp("store") / "kinect"
    random = np.random.default_rng(1)
    with StoreWriter(path, topology=load_topology("kinect20"), classes=("up", "down")) as writer:
        for i in range(15):
            time, speed = np.arange(16 + i)[:, None, None] / 10, random.uniform(0.5, 1 + i % 2, (1, 20, 3))
            frames = [np.sin(speed * time + random.uniform(0, 3, (1, 20, 3))) for _ in range(2 if i % 3 == 0 else 1)]
            bodies = tuple(Body(0, one.astype(np.float32), np.ones(len(one), bool)) for one in frames)
            writer.add(Clip(name=f"clip{i:02d}", label=i % 2, subject=i % 3, bodies=bodies))
        writer.splits = {"most": np.arange(15) < 10}
    return path


@pytest.fixture(scope="session")
def arguments(train_arguments: list[str], kinect_store: Path) -> list[str]:
    """14 clips on tiny5 and 10 on kinect20 in batches of 6: five steps an epoch."""
    further = {"kinect": {"format": "nw_ucla", "split": "most", "root": str(kinect_store), "weight": 1.5}}
    return replaced(
        [*train_arguments, "--data.also", json.dumps(further), "--train.epochs", "2", "--train.evaluate_every", "2"]
    )


def train(arguments: list[str], folder: Path, *more: str) -> Path:
    config, plain, _ = parse(replaced([*arguments, "--output", str(folder), *more]))
    pretrain(config, plain)
    return folder


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "last.pt")["task"]


def rows(folder: Path) -> list[dict[str, str]]:
    timed = ("seconds", "sequences_per_second")
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in timed} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole_run(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return train(arguments, tmp_path_factory.mktemp("runs") / "whole")


def test_neighbours_are_counted_in_each_data_set(whole_run: Path) -> None:
    found = rows(whole_run)
    assert {"knn_nw_ucla_top1_k1", "knn_kinect_top1_k1", "knn_kinect_top1_k20"} <= found[-1].keys()
    assert found[-1]["knn_kinect_top1_k1"] and not found[0]["knn_kinect_top1_k1"]
    assert "knn_top1_k1" not in found[-1]
    assert {"share_nw_ucla", "share_kinect", "loss_nw_ucla", "loss_kinect"} <= found[-1].keys()


def test_the_run_names_all_that_it_was_trained_on(whole_run: Path, kinect_store: Path, small_store: Path) -> None:
    described = yaml.safe_load((whole_run / "encoder.yaml").read_text())
    assert [topology["name"] for topology in described["topologies"]] == ["tiny5", "kinect20"]
    found = yaml.safe_load((whole_run / "data.yaml").read_text())
    kinect = found["also"]["kinect"]
    for told, store, split in ((found, open_store(small_store), "half"), (kinect, open_store(kinect_store), "most")):
        about = {"format": "", "options": {}, "origin": "none", "units": "metres", "fingerprint": store.fingerprint}
        assert told["prepared"] == about | {"topology": store.topology.to_dict()}
        assert (told["topology"], told["classes"], told["clips"]) == (store.topology.name, len(store.classes), len(store))
        assert told["split"] == split and told["labels"] and told["members"]
    means = load_file(whole_run / "reference.safetensors")
    assert {name: tuple(mean.shape) for name, mean in means.items()} == {
        "reference": (16, 5, 3),
        "reference_kinect": (16, 20, 3),
    }
    assert torch.equal(means["reference"], state(whole_run)["reference_0"])
    assert torch.equal(means["reference_kinect"], state(whole_run)["reference_1"])
    assert torch.equal(load_task(whole_run).reference(), means["reference"]), "pictures see the first data set"
    again, *_ = parse(["--config", str(whole_run / "config.yaml")])
    assert again.data.also["kinect"].weight == 1.5


def test_a_contrast_is_over_batches_of_one_skeleton(arguments: list[str], tmp_path: Path, one_thread: None) -> None:
    """HA-CM, on the limbs of either skeleton, in one piece and in three."""
    chosen = replaced(
        [*arguments, "--method", "ha_cm", "--model.frames", "18", "--train.evaluate_every", "0", "--train.epochs", "1"]
    )
    whole, parts = train(chosen, tmp_path / "whole"), train(chosen, tmp_path / "parts", "--train.accumulate", "3")
    for name, value in state(whole).items():
        torch.testing.assert_close(state(parts)[name], value, atol=2e-5, rtol=0, msg=lambda t, n=name: f"{n}: {t}")
    assert yaml.safe_load((whole / "encoder.yaml").read_text())["topologies"][1]["name"] == "kinect20_limbs"
    assert rows(whole)[0]["contrast"]


@pytest.mark.parametrize("name", ["tiny5", "kinect20", "coco17", "smpl24"])
def test_the_encoder_is_used_on_either_and_on_skeletons_it_never_saw(whole_run: Path, name: str) -> None:
    topology = load_topology(name)
    encoder = load_encoder(whole_run, topology=topology)
    features = encoder(encoder.batch(torch.randn(2, 16, len(topology), 3)))
    assert features.shape == (2, 4 * len(topology), 16) and features.isfinite().all()
    assert all(
        torch.equal(value, encoder.state_dict()[n]) for n, value in load_file(whole_run / "encoder.safetensors").items()
    )


def test_an_evaluation_is_of_the_first_data_set_or_of_the_one_it_is_told(
    whole_run: Path, kinect_store: Path, tmp_path: Path
) -> None:
    there = ["--data.format", "nw_ucla", "--data.split", "most", "--data.root", str(kinect_store)]
    for protocol, data, joints in (("knn", [], 5), ("knn", there, 20), ("finetune", there, 20)):
        quick = (
            ["--protocol.epochs", "1", "--protocol.batch_size", "8", "--protocol.head.hidden", "8"]
            if protocol == "finetune"
            else []
        )
        folder = tmp_path / f"{protocol}{joints}"
        chosen = ["--protocol", protocol, "--run", str(whole_run), *quick, *data]
        main(["evaluate", *chosen, "--output", str(folder)])
        results = json.loads((folder / "results.json").read_text())
        assert results["data_set"]["clips"] == (22 if joints == 5 else 15)
        assert results["protocol"] == protocol, "it was pre-trained on both, so neither is a transfer"


def test_evaluations_take_the_variant_that_was_trained() -> None:
    """With ``{data}_long`` on both, clips on kinect20 are encoded on kinect20_long."""
    trained = [load_topology(name) for name in ("ntu25_long", "kinect20_long")]
    model = yaml.safe_load((ROOT / "configs" / "model" / "tiny.yaml").read_text())
    encoder = SkeletonEncoder(parse_mapping(ModelConfig, model, source="test"), topologies=trained, channels=3)
    for data, expected in (("ntu25", "ntu25_long"), ("kinect20", "kinect20_long"), ("coco17", "coco17")):
        assert encoder.topology_for(load_topology(data)).name == expected
    assert encoder.topology.name == "ntu25_long"


@pytest.fixture(scope="module")
def demo_roots(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Four people of each embedded data set."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder / "ntu_files", subjects=4)
    write_demo(folder / "kinect_files", seed=demo_kinect20.SEED, subjects=4)
    main(["prepare", "demo", str(folder / "ntu_files"), "--output", str(folder / "ntu")])
    main(["prepare", "demo_kinect20", str(folder / "kinect_files"), "--output", str(folder / "kinect")])
    return ["--data.root", str(folder / "ntu"), "--data.also.demo_kinect20.root", str(folder / "kinect")]


def test_the_loss_falls_on_both_embedded_sets(demo_roots: list[str], tmp_path: Path) -> None:
    chosen = ["--data", "demo_both", "--model", "tiny", "--encodings", "rest_pose"]
    small = ["--model.width", "32", "--model.backbone.depth", "1", "--train.batch_size", "24"]
    small += ["--train.epochs", "5", "--train.warmup", "0.1"]
    quick = ["--train.lr", "4e-3", "--train.evaluate_every", "0", "--device.accelerator", "cpu"]
    found = rows(train([*chosen, "--method", "masksem", *small, *quick, *demo_roots], tmp_path / "run"))
    for name in ("demo", "demo_kinect20"):
        losses = [float(row[f"loss_{name}"]) for row in found if row[f"loss_{name}"]]
        assert losses[-1] < 0.85 * losses[0], (name, losses)
    assert open_store(demo_roots[1]).topology.name == "ntu25" and open_store(demo_roots[3]).topology.name == "kinect20"


def test_a_run_on_several_goes_on_where_the_data_moved(
    arguments: list[str], kinect_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PretrainLoop._end_epoch

    def dying(self: PretrainLoop) -> dict[str, float]:
        if self.progressed.epoch == 1:
            raise Killed
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainLoop, "_end_epoch", dying)
        with pytest.raises(Killed):
            train(arguments, tmp_path / "run")
    with pytest.raises(InputError, match=r"--data\.also\.kinect\.weight: .*unfinished run with 1\.5, found 2\.0"):
        train(arguments, tmp_path / "run", "--data.also.kinect.weight", "2")
    (tmp_path / "moved").symlink_to(kinect_store)
    train(arguments, tmp_path / "run", "--data.also.kinect.root", str(tmp_path / "moved"))
    assert len(rows(tmp_path / "run")) == 2


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--data.also.kinect.weight", "0"], "data.also.kinect.weight: expected a number above 0, found 0.0"),
        (["--data.weight", "-1"], "data.weight: expected a number above 0, found -1.0"),
        (["--data.also.kinect.split", "half"], "data.also.kinect.split: expected one of most, found half"),
        (["--data.also.kinect.root", "no/such/folder"], "data.also.kinect.root: "),
        (["--data.also.kinect.wieght", "1"], "wieght"),
        (["--data.also", "{nw_ucla: {format: nw_ucla, split: most}}"], "nw_ucla is what the first data set is called"),
        (["--model.topology", "tiny5"], "its joint "),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], named: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", *replaced([*arguments, "--output", str(tmp_path / "run"), *more])])
    assert stopped.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ") and named in line, line


def test_an_evaluation_of_several_is_refused(whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--protocol", "knn", "--data", "demo_both", "--run", str(whole_run)]
    with pytest.raises(SystemExit):
        main(["evaluate", *chosen, "--output", str(tmp_path / "out")])
    assert "data.also: an evaluation is of one data set" in capsys.readouterr().err
