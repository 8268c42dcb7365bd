"""Published checkpoints as runs and back: nothing changes by a bit, and the goldens of the authors' code are met."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rich.progress import Progress
from safetensors.torch import load_file, save_file

from masksem_graph import load_encoder
from masksem_graph.cli import main
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.data.views import CropConfig
from masksem_graph.errors import InputError
from masksem_graph.models.heads import LinearHead
from masksem_graph.models.io import load_head, save_head
from masksem_graph.protocols import Evaluation, OwnHead
from masksem_graph.published import export_run, import_run
from masksem_graph.published.layout import Weights
from masksem_graph.topology import load_topology
from masksem_graph.training.checkpoint import load_checkpoint

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


def published(path: Path) -> dict[str, Any]:
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, weights_only=True)


def assert_equal(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value), name


@pytest.mark.parametrize("kind", ["mamp", "encoder", "linear", "probe", "finetune"])
def test_round_trip_is_exact(states: dict[str, Weights], write: Write, tmp_path: Path, kind: str) -> None:
    import_run(write(states[kind]), tmp_path / "run", topology="tiny5")
    export_run(tmp_path / "run", tmp_path / "back.pth")
    assert_equal(published(tmp_path / "back.pth")["model"], states[kind])
    # The second way round needs no option: the file now says how many attention heads it has.
    again = import_run(tmp_path / "back.pth", tmp_path / "again", topology="tiny5")
    assert again.attention_heads == 2
    for name in ("encoder.safetensors", "encoder.yaml", *(["head.safetensors", "head.yaml"] if "head" in again.parts else [])):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_masksem_round_trip_is_its_student_and_the_teacher_is_kept(
    states: dict[str, Weights], write: Write, tmp_path: Path
) -> None:
    state = states["masksem"]
    found = import_run(write(state), tmp_path / "run", topology="tiny5")
    task = load_checkpoint(tmp_path / "run" / "last.pt")["task"]
    for name, value in found.parts["teacher"].items():
        assert torch.equal(task[f"teacher.{name}"], value)
    export_run(tmp_path / "run", tmp_path / "back.pth")
    student = {name.removeprefix("mamp."): value for name, value in state.items() if name.startswith("mamp.")}
    assert_equal(published(tmp_path / "back.pth")["model"], student)


def test_the_keys_bias_changes_nothing_and_is_kept(states: dict[str, Weights], write: Write, tmp_path: Path) -> None:
    """Softmax cancels it, and published files hold one all the same."""
    state, clips, features = states["encoder"], torch.randn(2, 6, 5, 3), []
    for name, scale in (("as_is", 1.0), ("larger", 3.0)):
        bias = state["blocks.0.attn.qkv.bias"].clone()
        bias[8:16] *= scale
        run = tmp_path / name
        import_run(write(state | {"blocks.0.attn.qkv.bias": bias}, name=f"{name}.pth"), run, topology="tiny5")
        encoder = load_encoder(run)
        assert torch.equal(encoder.backbone.blocks[0].attention.qkv.bias, bias)
        features.append(encoder.features(clips).detach())
    torch.testing.assert_close(features[0], features[1], atol=1e-5, rtol=0)


def test_what_a_run_says_of_its_origin(states: dict[str, Weights], write: Write, tmp_path: Path) -> None:
    path = write(states["finetune"])
    import_run(path, tmp_path / "run", topology="tiny5")
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    about = config["converted"]
    assert (about["file"], about["kind"], about["epoch"]) == ("published.pth", "MAMP, evaluation", 399)
    assert about["arguments"] == {"lr": 1e-3, "model_args": {"num_heads": 2, "dim_in": 3}} and len(about["sha256"]) == 64
    assert config["data"] == {"absent_frames": "zero"}
    model = yaml.safe_load((tmp_path / "run" / "encoder.yaml").read_text())["model"]
    assert model["pool"] == "all_slots" and model["backbone"]["init_args"] == {"depth": 2, "heads": 2, "mlp_ratio": 2.0}
    saved = load_head(tmp_path / "run")
    assert saved is not None and saved.classes is None and not saved.head.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topology": "ntu25"}, "found 5 joints, and ntu25 has 25; expected the checkpoint's own skeleton as --topology"),
        ({"heads": 4}, "--heads: the file says 2 attention heads, found 4"),
        ({"args": None}, r"nothing in it says how many attention heads it has; expected --heads N .*this one is of width 8"),
        ({"args": None, "heads": 0}, "--heads: expected a divisor of the width 8, found 0"),
        ({"args": None, "heads": 3}, "--heads: expected a divisor of the width 8, found 3"),
    ],
)
def test_what_cannot_be_known(
    states: dict[str, Weights], write: Write, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    path = write(states["mamp"], **({"args": None} if "args" in options else {}))
    given = {"topology": "tiny5"} | {name: value for name, value in options.items() if name != "args"}
    with pytest.raises(InputError, match=message):
        import_run(path, tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_a_probe_that_keeps_joints_apart_has_no_place_in_their_layout(
    states: dict[str, Weights], write: Write, tmp_path: Path
) -> None:
    import_run(write(states["encoder"]), tmp_path / "run", topology="tiny5")
    head = LinearHead(width=8, joints=5, classes=3, read="joints")
    save_head(tmp_path / "run", head, width=8, joints=5, classes=3)
    with pytest.raises(InputError, match=r"head\.yaml: read: MAMP's layout has no place for it; expected mean, found joints"):
        export_run(tmp_path / "run", tmp_path / "back.pth")
    assert not (tmp_path / "back.pth").exists()


def test_an_imported_run_says_what_it_is(states: dict[str, Weights], write: Write, tmp_path: Path) -> None:
    import_run(write(states["mamp"]), tmp_path / "run", topology="tiny5")
    encoder = load_encoder(tmp_path / "run")
    assert encoder.topologies == encoder.recorded == (load_topology("tiny5"),) and encoder.pool == "all_slots"
    assert encoder.input_spec == InputSpec(absent_frames="zero") and encoder.encode(np.ones((4, 5, 3))).shape == (8,)


def test_published_width_has_published_heads(tmp_path: Path) -> None:
    from masksem_graph.published.layout import Sizes, encoder_layout

    sizes = Sizes(channels=3, segment=2, segments=2, joints=5, width=256, depth=1, hidden=256)
    torch.save({name: torch.zeros(place.shape) for name, place in encoder_layout(sizes).items()}, tmp_path / "wide.pth")
    import_run(tmp_path / "wide.pth", tmp_path / "run", topology="tiny5")
    assert load_encoder(tmp_path / "run").backbone.blocks[0].attention.heads == 8


def test_features_are_the_authors(golden: Path, tmp_path: Path) -> None:
    clips = torch.from_numpy(np.load(golden / "clips_NCTVM.npy")).permute(0, 4, 2, 3, 1).flatten(0, 1)
    expected = torch.from_numpy(np.load(golden / "mamp_node_features_NMTVD.npy")).flatten(2, 3).flatten(0, 1)
    main(["convert", str(golden / "mamp_tiny.pth"), "--heads", "4", "--output", str(tmp_path / "run")])
    encoder = load_encoder(tmp_path / "run")
    torch.testing.assert_close(encoder.features(clips).detach(), expected, atol=1e-5, rtol=0)
    absent = encoder.absent_features(encoder.batch(clips))
    assert absent is not None
    # The second slots of clips 1 and 2 are all zero.
    torch.testing.assert_close(absent.detach().expand(2, -1, -1), expected[[3, 5]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["mamp_tiny", "mamp_probe_tiny", "masksem_tiny"])
def test_golden_round_trip(golden: Path, tmp_path: Path, name: str) -> None:
    main(["convert", str(golden / f"{name}.pth"), "--heads", "4", "--output", str(tmp_path / "run")])
    main(["convert", str(tmp_path / "run"), "--to", "mamp", "--output", str(tmp_path / "back.pth")])
    state = published(golden / f"{name}.pth")["model"]
    if name.startswith("masksem"):
        state = {key.removeprefix("mamp."): value for key, value in state.items() if key.startswith("mamp.")}
    assert_equal(published(tmp_path / "back.pth")["model"], state)


@pytest.fixture(scope="module")
def probe(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The converted golden probe, and a store of the golden clips that holds present bodies alone."""
    folder = tmp_path_factory.mktemp("probe")
    import_run(golden / "mamp_probe_tiny.pth", folder / "run", heads=4)
    array = np.load(golden / "clips_NCTVM.npy").transpose(0, 4, 2, 3, 1)
    classes = tuple(f"class {i}" for i in range(7))
    with StoreWriter(folder / "store", topology=load_topology("ntu25"), classes=classes) as writer:
        for i, slots in enumerate([*array, array[0]]):
            bodies = [Body(0, np.ascontiguousarray(slot), np.ones(len(slot), bool)) for slot in slots if slot.any()]
            writer.add(Clip(name=str(i), label=i, bodies=tuple(bodies)))
        writer.splits = {"golden": np.array([False, False, False, True])}
    return folder / "run", folder / "store"


def own_scores(run: Path, store: Path, **more: Any) -> torch.Tensor:
    source, saved, clips = SkeletonLoader(open_store(store), frames=24, segment=4), load_head(run), torch.arange(3)
    assert saved is not None
    crop, names = CropConfig(min_frames=1, test_share=1.0), open_store(store).classes
    evaluation = Evaluation(load_encoder(run), source, clips, clips, names, crop, head=saved.head)
    with Progress(disable=True) as progress:
        return OwnHead().run(evaluation, seed=0, progress=progress).scores


def test_probe_logits_are_the_authors(golden: Path, probe: tuple[Path, Path]) -> None:
    expected = torch.from_numpy(np.load(golden / "mamp_probe_logits.npy"))
    torch.testing.assert_close(own_scores(*probe), expected, atol=1e-5, rtol=0)


def describe_anew(folder: Path, change: Callable[[str], str]) -> None:
    """Change ``encoder.yaml``; the weights no longer hold a checksum of it."""
    path = folder / "encoder.yaml"
    path.write_text(change(path.read_text()))
    save_file(load_file(folder / "encoder.safetensors"), folder / "encoder.safetensors")


def test_absent_bodies_matter(golden: Path, probe: tuple[Path, Path], tmp_path: Path) -> None:
    """With the mean over present bodies alone, the two clips of one body get other scores and the third the same."""
    run, store = probe
    for path in run.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    describe_anew(tmp_path, lambda text: text.replace("pool: all_slots", "pool: present"))
    expected = torch.from_numpy(np.load(golden / "mamp_probe_logits.npy"))
    difference = (own_scores(tmp_path, store) - expected).abs().amax(1)
    assert difference[0] < 1e-5 and (difference[1:] > 1e-3).all()


def test_evaluate_scores_with_the_runs_own_head(golden: Path, probe: tuple[Path, Path], tmp_path: Path) -> None:
    run, store = probe
    shutil.copytree(run, tmp_path / "run")
    described = yaml.safe_load((tmp_path / "run" / "encoder.yaml").read_text())
    described["model"]["crop"] = {"test_share": 1.0}
    describe_anew(tmp_path / "run", lambda text: yaml.safe_dump(described))
    data = ["--data.format", "ntu", "--data.split", "golden", "--data.root", str(store), "--data.origin", "none"]
    main(["evaluate", "--run", str(tmp_path / "run"), "--protocol", "own_head", "--output", str(tmp_path / "out"), *data])
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    best = np.load(golden / "mamp_probe_logits.npy").argmax(1)
    assert results["protocol"] == "ownhead" and results["test_clips"] == 3
    assert results["top1"] == pytest.approx(100 * np.mean(best == np.arange(3)))
    assert results["config"]["data"]["absent_frames"] == "zero"
