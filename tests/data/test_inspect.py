"""What inspect shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from masksem_graph.cli.inspect import main
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.inspect import _strip, inspect_store
from masksem_graph.data.mean_pose import joint_sides
from masksem_graph.data.prepare import cached_store
from masksem_graph.data.store import Store, StoreWriter, open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology, parse_topology


@pytest.fixture
def store(tmp_path: Path) -> Store:
    topology = load_topology("kinect20")
    with StoreWriter(tmp_path / "store", topology=topology, classes=("walk", "run"), format="nw_ucla") as writer:
        for i, count in enumerate((1, 3, 8)):
            frames = np.random.randn(count, 20, 3).astype(np.float32)
            one = Body(start=0, frames=frames, present=np.ones(count, bool))
            bodies = (one, Body(start=1, frames=frames, present=np.ones(count, bool))) if i == 2 else (one,)
            writer.add(Clip(name=f"c{i}", label=i % 2 - (i == 2), subject=(1, 2, 5)[i], bodies=bodies))
        writer.splits = {"xsub": np.array([True, True, False])}
    return open_store(tmp_path / "store")


def test_table_and_pictures(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = inspect_store(store, output=tmp_path / "pictures")
    shown = capsys.readouterr().out
    for line in ("two-person clips | 1", "length | 1 to 9 frames, median 3", "subjects | 3: 1-2, 5", "xsub | 2 train, 1 test"):
        assert line in " ".join(shown.replace("│", "|").split()), line
    assert [path.name for path in pictures] == ["skeletons.png", "splits.png"]
    for path in pictures:
        assert imread(path).std() > 0.05, "not a blank picture"


def test_names_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither mathematics for matplotlib nor markup for rich."""
    names = ("$\\frac{$", "[/red]", "a_b^c")
    with StoreWriter(tmp_path / "[red]", topology=load_topology("tiny5"), classes=names) as writer:
        for i in range(3):
            frames = np.random.randn(4, 5, 3).astype(np.float32)
            writer.add(Clip(name=f"$x_{i}", label=i, bodies=(Body(start=0, frames=frames, present=np.ones(4, bool)),)))
        writer.splits = {"$[/b]$": np.array([True, True, False])}
    assert len(inspect_store(open_store(tmp_path / "[red]"), output=tmp_path / "$pictures[/x]$")) == 2
    assert "[red]: a store on tiny5" in (shown := capsys.readouterr().out)
    assert "split $[/b]$" in shown


def test_command_line(store: Store, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(store.path)])
    main([str(shared / "ntu-rgbd-samples"), "--format", "ntu", "--output", str(tmp_path / "pictures")])
    assert "11 of 60" in capsys.readouterr().out
    assert (tmp_path / "pictures" / "skeletons.png").is_file()
    with pytest.raises(InputError, match="not a store"):
        main([str(shared / "ntu-rgbd-samples")])


def test_reader_options_when_given_a_source(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(shared / "golden/ntu")
    main([source, "--format", "ntu"])
    main([source, "--format=ntu", "--cleaning", "recorded", "--origin", "none"])
    shown = capsys.readouterr().out
    recorded = cached_store("ntu", source, origin="none", options={"cleaning": "recorded"})
    assert recorded.path.name in shown.split("origin: centre")[1].split("origin: none")[0]
    with pytest.raises(InputError, match="cleaning"):
        main([source, "--format", "ntu", "--cleaning", "thorough"])
    with pytest.raises(InputError, match="cleaning"):
        main([source, "--cleaning", "recorded"])


def test_what_was_dropped_and_who_is_in_neither_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.random.randn(3, 5, 3).astype(np.float32)
    with StoreWriter(tmp_path / "store", topology=load_topology("tiny5"), classes=("a",)) as writer:
        for i in range(20):
            writer.add(Clip(name=f"c{i}", label=0, bodies=(Body(start=0, frames=frames, present=np.ones(3, bool)),)))
        writer.skip("file.npy", "file.npy: is no clip")
        writer.splits = {f"fold_{k}": np.where(np.arange(20) == k, 0, np.where(np.arange(20) == 19, -1, 1)) for k in range(12)}
    store = open_store(tmp_path / "store")
    inspect_store(store, output=tmp_path / "pictures")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "fold_3 18 train, 1 test, 1 in neither" in shown
    assert "dropped 1 bad clips, listed in" in shown
    assert imread(tmp_path / "pictures" / "splits.png").shape[0] < 5000, "not a picture of all twelve"


def test_images_are_drawn_upright() -> None:
    topology = load_topology("coco17")
    frames = np.zeros((1, 17, 3), np.float32)
    frames[0, :, 1] = [joint.endswith("ankle") for joint in topology.joints]  # further down in the image
    clip = Clip(name="c", label=0, bodies=(Body(start=0, frames=frames, present=np.ones(1, bool)),))
    (body,) = _strip(clip, topology)
    assert body[topology.index["left_ankle"], 1] < body[topology.index["nose"], 1]


@pytest.mark.parametrize("name", ["ntu25", "kinect20", "coco17", "tiny5"])
def test_sides_are_named_not_numbered(name: str) -> None:
    topology = load_topology(name)
    named = {"left": 1, "right": 2}
    assert joint_sides(topology).tolist() == [named.get(joint.split("_")[0], 0) for joint in topology.joints]
    order = list(reversed(topology.joints))
    turned = parse_topology(topology.to_dict() | {"joints": order}, source_file=name)
    assert joint_sides(turned).tolist() == joint_sides(topology).tolist()[::-1]


def test_sides_follow_the_mirror() -> None:
    topology = load_topology("ntu25")
    sides = joint_sides(topology)
    named = {"left": 1, "right": 2}
    assert sides.tolist() == [named.get(joint.split("_")[0], 0) for joint in topology.joints]


def test_a_body_whose_y_grows_downwards_is_drawn_upright() -> None:
    mediapipe = load_topology("mediapipe33")
    rest = np.array([mediapipe.rest_pose[joint] for joint in mediapipe.joints], np.float32)
    for sign, turned in ((1, rest), (-1, rest * (1, -1, -1)), (1, rest[:, [1, 0, 2]])):
        body = Body(start=0, frames=np.tile(turned.astype(np.float32), (3, 1, 1)), present=np.ones(3, bool))
        drawn = _strip(Clip(name="a", label=-1, bodies=(body,)), mediapipe)
        np.testing.assert_allclose(drawn[0][:, 1], sign * turned[:, 1], atol=1e-6)
