"""Every protocol through the command: semi-supervised, transfer, from scratch, streams, fusion; and what is refused."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from masksem_graph.cli import main
from masksem_graph.cli.train import parse
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.data.views import CropConfig, central_view
from masksem_graph.evaluation.classifier import load_classifier
from masksem_graph.report.evaluation import read_scores
from masksem_graph.topology import load_topology
from masksem_graph.training.run import pretrain
from tests.cli.options import replaced

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--protocol.epochs", "2", "--protocol.batch_size", "6", "--protocol.head.hidden", "16"]


def train_run(arguments: list[str], folder: Path, *more: str) -> Path:
    config, plain, _ = parse(replaced([*arguments, "--output", str(folder), "--train.epochs", "1", *more]))
    pretrain(config, plain)
    return folder


@pytest.fixture(scope="module")
def run(train_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_run(train_arguments, tmp_path_factory.mktemp("runs") / "run")


def evaluate(output: Path, *arguments: str) -> dict[str, Any]:
    main(["evaluate", "--output", str(output), *arguments])
    return json.loads((output / "results.json").read_text())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_finetune_leaves_a_classifier_that_makes_the_same_scores(run: Path, tmp_path: Path) -> None:
    results = evaluate(tmp_path / "out", "--protocol", "finetune", "--run", str(run), *QUICK)
    assert results["protocol"] == "finetune" and results["labelled_clips"] == results["train_clips"] == 14
    assert results["std"] is None and results["top1"] == results["mean"]
    low, high = results["top1_interval"]
    assert 0 <= low <= results["top1"] <= high <= 100
    for field in ("commit", "versions", "device", "device_name", "wall_seconds", "seeds", "config", "pretraining"):
        assert results[field], field
    assert (
        results["config"]["protocol"]["init_args"]["layer_decay"] == 0.8
        and results["pretraining"]["method"]["mask_ratio"] == 0.9
    )

    classifier = load_classifier(tmp_path / "out")
    scores, classes = read_scores(tmp_path / "out")
    store = open_store(results["config"]["data"]["root"])
    source = SkeletonLoader(store, frames=16, segment=4)
    test = torch.from_numpy(store.splits["half"]["test"])
    with torch.no_grad():
        again = classifier.network(source.load(source.plan(central_view(test, source.length[test], CropConfig()))))
    np.testing.assert_allclose(again.numpy(), scores.scores[0], atol=1e-5)
    assert classifier.classes == classes == store.classes
    assert scores.name.tolist() == [f"clip{i:02d}" for i in range(14, 22)]


def test_semi_supervised(run: Path, tmp_path: Path) -> None:
    semi = ["--protocol", "finetune", "--labels", "10%", "--run", str(run), *QUICK, "--labels.share", "0.5"]
    results = evaluate(tmp_path / "out", *semi)
    assert results["protocol"] == "semi_50" and results["labelled_clips"] == 7 and results["train_clips"] == 14
    assert results["seeds"] == [0, 1, 2, 3, 4] and len(results["top1_by_seed"]) == 5
    assert results["mean"] == pytest.approx(np.mean(results["top1_by_seed"]))
    assert results["std"] == pytest.approx(np.std(results["top1_by_seed"], ddof=1))
    assert sum(map(sum, results["confusion"])) == 5 * results["test_clips"]
    with (tmp_path / "out" / "labelled.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["seed"] for row in rows) == dict.fromkeys("01234", 7)
    assert len({tuple(row["clip"] for row in rows if row["seed"] == seed) for seed in "01234"}) > 1
    assert {int(row["clip"][4:]) for row in rows} <= set(range(14)), "labelled clips are training clips"
    assert all(row["class"] == ("left", "right", "still")[int(row["clip"][4:]) % 3] for row in rows)


def test_labels_per_class_for_any_protocol(run: Path, tmp_path: Path) -> None:
    knn = ["--protocol", "knn", "--run", str(run), "--labels.per_class", "2"]
    results = evaluate(tmp_path / "out", *knn)
    assert results["protocol"] == "knn_2_per_class" and results["labelled_clips"] == 6
    assert not (tmp_path / "out" / "head.yaml").exists(), "k-NN trains no head"


def test_too_few_labels_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    semi = ["--protocol", "finetune", "--labels", "1%", "--run", str(run), "--output", str(tmp_path / "out")]
    line = refused(capsys, *semi)
    assert "labels.share: 1 % of 14 clips are 0, expected at least 3" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("protocol", ["linear", "finetune", "knn"])
def test_from_scratch(protocol: str, small_store: Path, tmp_path: Path) -> None:
    """A model's file brings its own numbers for pre-training, which must not become the protocol's."""
    data = ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(small_store)]
    small = ["--model.frames", "16", "--model.width", "16", "--model.backbone.depth", "2"]
    quick = {"linear": ["--protocol.epochs", "1"], "finetune": QUICK, "knn": []}[protocol]
    chosen = ["--protocol", protocol, "--model", "tiny", "--run", "none"]
    results = evaluate(tmp_path / "out", *chosen, *data, *small, *quick)
    assert results["untrained"] and results["checkpoint"] == "none" and results["pretraining"] is None
    assert results["config"]["model"]["width"] == 16 and results["config"]["model"]["crop"]["min_frames"] == 24
    assert (
        results["config"]["protocol"]["init_args"].get("batch_size") == {"linear": 256, "finetune": 6, "knn": None}[protocol]
    )
    if protocol == "finetune":
        assert load_classifier(tmp_path / "out").network.encoder.width == 16


def test_from_scratch_needs_a_model(small_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data.format", "nw_ucla", "--data.split", "half", "--data.root", str(small_store)]
    line = refused(capsys, "--protocol", "knn", "--run", "none", "--output", str(tmp_path), *data)
    assert "--model: --run none expects a model, such as --model small" in line


@pytest.fixture(scope="module")
def other_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of another data set: four classes, the 20 joints of kinect20."""
    folder = tmp_path_factory.mktemp("other")
    rng = np.random.default_rng(0)
    with StoreWriter(folder / "store", topology=load_topology("kinect20"), classes=tuple("abcd")) as writer:
        for i in range(16):
            frames = rng.standard_normal((12, 20, 3)).astype(np.float32)
            writer.add(Clip(name=str(i), label=i % 4, bodies=(Body(0, frames, np.ones(12, bool)),)))
        writer.splits = {"halves": np.arange(16) < 8}
    data = {"format": "ntu", "split": "halves", "root": str(folder / "store")}
    (folder / "other.yaml").write_text(yaml.safe_dump(data))
    return folder / "other.yaml"


def test_transfer_to_other_classes_and_another_topology(run: Path, other_data: Path, tmp_path: Path) -> None:
    chosen = ["--protocol", "finetune", "--data", str(other_data), "--run", str(run)]
    results = evaluate(tmp_path / "out", *chosen, *QUICK)
    about = {"format": "", "topology": "kinect20", "classes": 4, "clips": 16}
    assert results["protocol"] == "transfer" and about.items() < results["data_set"].items()
    assert results["pretraining"]["data"]["split"] == "half"


def test_transfer_names_the_part_that_stands_in_the_way(
    train_arguments: list[str], other_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learned = '[{"class_path": "masksem_graph.encodings.Learned", "init_args": {"over": "joints"}}]'
    run = train_run(train_arguments, tmp_path / "run", "--model.encodings", learned)
    chosen = ["--protocol", "finetune", "--data", str(other_data), "--run", str(run)]
    line = refused(capsys, *chosen, *QUICK, "--output", str(tmp_path / "out"))
    assert "Learned has no vector for hip_centre, spine, " in line and " of kinect20; expected joints" in line


def test_streams_and_their_fusion(train_arguments: list[str], run: Path, tmp_path: Path) -> None:
    folders = []
    for stream in ("joint", "bone", "motion"):
        trained = run if stream == "joint" else train_run(train_arguments, tmp_path / stream, "--data.stream", stream)
        folder = tmp_path / f"{stream}_linear"
        results = evaluate(folder, "--protocol", "linear", "--run", str(trained), "--protocol.epochs", "3")
        assert results["stream"] == stream, "the evaluation sees what pre-training saw"
        folders.append(folder)
    results = evaluate(tmp_path / "fused", "--fuse", *map(str, folders))
    assert results["streams"] == ["joint", "bone", "motion"] and results["protocol"] == "linear"
    total = sum(read_scores(folder)[0].scores[0] for folder in folders)
    label = read_scores(folders[0])[0].label
    assert results["top1"] == pytest.approx(100 * (total.argmax(1) == label).mean())
    weighted = evaluate(tmp_path / "one", "--fuse", *map(str, folders), "--weights", "[0, 2, 0]")
    assert weighted["confusion"] == json.loads((folders[1] / "results.json").read_text())["confusion"]


def test_fusion_of_what_does_not_fit(run: Path, other_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(tmp_path / "a", "--protocol", "knn", "--run", str(run))
    evaluate(tmp_path / "b", "--protocol", "knn", "--run", str(run), "--data", str(other_data))
    out = ["--output", str(tmp_path / "out")]
    line = refused(capsys, "--fuse", str(tmp_path / "a"), str(tmp_path / "b"), *out)
    assert "--fuse: data:" in line and "expected the same" in line
    assert "expected at least two evaluations, found 1" in refused(capsys, "--fuse", str(tmp_path / "a"), *out)
    assert "results.json: not the results" in refused(capsys, "--fuse", str(tmp_path / "a"), str(run), *out)
    (tmp_path / "a" / "scores.npz").write_bytes(b"PK")
    line = refused(capsys, "--fuse", str(tmp_path / "a"), str(tmp_path / "a"), *out)
    assert "scores.npz: not the scores of an evaluation" in line


def test_overwriting_leaves_nothing_of_before(run: Path, tmp_path: Path) -> None:
    first = ["--protocol", "linear", "--run", str(run), "--protocol.epochs", "1", "--labels.share", "0.5"]
    evaluate(tmp_path / "out", *first)
    assert (tmp_path / "out" / "head.yaml").exists() and (tmp_path / "out" / "labelled.csv").exists()
    evaluate(tmp_path / "out", "--protocol", "knn", "--run", str(run), "--overwrite", "true")
    assert not (tmp_path / "out" / "head.yaml").exists() and not (tmp_path / "out" / "labelled.csv").exists()


def test_two_processes_find_what_one_finds(run: Path, tmp_path: Path, command: Any) -> None:
    """Uneven test and training batches; dropout, which each process draws for itself, is off."""
    still = ["--protocol.batch_size", "5", "--protocol.drop_path", "0", "--protocol.head.dropout", "0"]
    chosen = ["--protocol", "finetune", "--run", str(run), "--device.accelerator", "cpu", *replaced(QUICK, *still)]
    one = evaluate(tmp_path / "one", *chosen)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--", str(ROOT / "evaluate.py")]
    command(*start, *chosen, "--output", str(tmp_path / "two"))
    two = json.loads((tmp_path / "two" / "results.json").read_text())
    assert one["test_clips"] == two["test_clips"] == sum(map(sum, two["confusion"])) == 8
    assert (one["processes"], two["processes"]) == (1, 2)
    scores = [read_scores(tmp_path / name)[0].scores for name in ("one", "two")]
    np.testing.assert_allclose(scores[1], scores[0], atol=2e-3)
    for file in ("encoder", "head"):
        weights = [load_file(tmp_path / name / f"{file}.safetensors") for name in ("one", "two")]
        # What the head's BatchNorm takes out again has a gradient of rounding noise, which Adam makes steps of.
        for name in weights[0].keys() - {"backbone.norm.bias", "norm.running_mean"}:
            torch.testing.assert_close(weights[1][name], weights[0][name], atol=1e-6, rtol=1e-5)
