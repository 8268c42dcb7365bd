"""What inspect shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from masksem_graph.cli.inspect import main
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.inspect import inspect_store, joint_sides
from masksem_graph.data.store import Store, StoreWriter, open_store
from masksem_graph.errors import InputError
from masksem_graph.topology import load_topology


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


def test_command_line(store: Store, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(store.path)])
    main([str(shared / "ntu-rgbd-samples"), "--format", "ntu", "--output", str(tmp_path / "pictures")])
    assert "11 of 60" in capsys.readouterr().out
    assert (tmp_path / "pictures" / "skeletons.png").is_file()
    with pytest.raises(InputError, match="not a store"):
        main([str(shared / "ntu-rgbd-samples")])


def test_sides_follow_the_mirror() -> None:
    topology = load_topology("ntu25")
    sides = joint_sides(topology)
    named = {"left": 1, "right": 2}
    assert sides.tolist() == [named.get(joint.split("_")[0], 0) for joint in topology.joints]
