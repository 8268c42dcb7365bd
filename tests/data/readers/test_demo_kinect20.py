"""The second embedded data set: other people, fewer classes, 20 joints that stand where they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from masksem_graph.data.demo import CLASSES, write_demo
from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers import load_reader
from masksem_graph.data.store import open_store
from masksem_graph.topology import load_topology


def test_its_joints_are_those_of_the_other_skeleton(tmp_path: Path) -> None:
    write_demo(tmp_path / "files", subjects=1)
    whole, reader = load_reader("demo"), load_reader("demo_kinect20")
    sources = reader.sources(tmp_path / "files")
    assert len(sources) == 6 * 3
    ntu, kinect = load_topology("ntu25").index, load_topology("kinect20").index
    same = {name: name for name in kinect if name in ntu}
    same |= {"hip_centre": "spine_base", "spine": "spine_middle", "shoulder_centre": "spine_shoulder"}
    assert set(same) == set(kinect)
    for source in sources:
        clip, original = reader.read(source), whole.read(source)
        assert reader.classes[clip.label] == CLASSES[original.label]
        for name, there in same.items():
            np.testing.assert_array_equal(clip.bodies[0].frames[:, kinect[name]], original.bodies[0].frames[:, ntu[there]])


def test_it_is_written_where_nothing_is(tmp_path: Path) -> None:
    prepare("demo_kinect20", tmp_path / "files", tmp_path / "store", workers=1)
    store = open_store(tmp_path / "store")
    assert len(store) == 180 and store.topology.name == "kinect20" and len(store.classes) == 6
    assert len(store.splits["xsub"]["train"]) == len(store.splits["xsub"]["test"]) == 90
