"""Topologies on paper: the figures in the tables are right, names do not cover each other, pictures are the same each time."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from masksem_graph.files import shipped
from masksem_graph.report.figures import save_figure
from masksem_graph.report.skeleton import draw_skeleton, front_view, long_links, part_looks, write_names
from masksem_graph.report.topologies import check_figure, compare_figure, compare_table, facts, spectrum
from masksem_graph.topology import load_topology

SHIPPED = sorted(path.stem for path in shipped("graphs").glob("*.yaml"))
TINY = load_topology("tiny5")


def test_facts_by_hand() -> None:
    found = facts(TINY)
    assert found["bones"] == "4, a tree" and found["largest degree"] == "3"
    assert found["hops: largest, mean"] == "3, 1.80"
    assert (found["mirror pairs"], found["centre"]) == ("1", "hip")
    # The head is 0.69 above the hip and the foot 0.91 below it.
    lengths = [np.hypot(0.69, 0.03), *2 * [np.linalg.norm((0.52, 0.76, -0.02))], np.hypot(0.91, 0.11)]
    assert found["mean bone at rest"] == f"{np.mean(lengths) / 1.6:.2f} of the body's size"
    assert facts(replace(TINY, rest_pose={}))["mean bone at rest"] == "-"
    assert facts(load_topology("ntu25_full"))["bones"] == "300, 276 independent cycles"
    assert facts(load_topology("ntu25"))["largest eigenspace"] == "3 dimensions"
    assert facts(load_topology("ntu25_limbs"))["joints"] == "18, and 7 of context"


def test_spectrum_by_hand() -> None:
    # A complete graph of n nodes: 0, and n - 1 times n / (n - 1).
    values = spectrum(load_topology("kinect20_full"))
    np.testing.assert_allclose(values, [0] + 19 * [20 / 19], atol=1e-9)


def test_what_two_share() -> None:
    table = compare_table(load_topology("ntu25"), load_topology("ntu25_hands"))
    rows = {name: cells for name, *cells in zip(*([str(c) for c in column._cells] for column in table.columns), strict=True)}
    assert rows["joints of this one alone"] == ["0", "0"]
    alone = "2: left_hand_tip - left_thumb, right_hand_tip - right_thumb"
    assert rows["bones of this one alone"] == [alone, "2: left_hand - left_hand_tip, right_hand - right_hand_tip"]
    # Of GCN's matrix the diagonal is 1 / (degree + 1).
    ntu = load_topology("ntu25")
    stays = np.mean([1 / (1 + degree) for _, degree in ntu.graph.degree])
    assert rows["stays at a joint: adjacency, 1 hop"][0] == f"{100 * stays:.0f} %"


@pytest.mark.parametrize("name", ["ntu25", "kinect20", "coco17", "smpl24", "tiny5"])
def test_names_stand_beside_their_joints_and_apart(name: str) -> None:
    topology = load_topology(name)
    figure = Figure(figsize=(6.4, 7.4))
    axes = figure.add_subplot()
    places = draw_skeleton(axes, topology)
    axes.margins(0.3, 0.04)
    texts = write_names(axes, topology, places)
    assert [text.get_text() for text in texts] == [joint.replace("_", " ") for joint in topology.joints]
    boxes = [text.get_window_extent() for text in texts]
    for one, other in combinations(boxes, 2):
        common = Bbox.intersection(one, other)
        assert common is None or common.width * common.height < 0.25 * one.width * one.height
    for box, joint in zip(boxes, topology.joints, strict=True):
        place = axes.transData.transform(places[joint])
        nearest = np.clip(place, box.min, box.max)
        assert np.hypot(*(nearest - place)) < 40, f"{joint}: its name stands beside it (pixels)"


def test_long_links_are_what_somebody_added() -> None:
    added = {("head", "left_hand"), ("head", "right_hand"), ("left_hand", "left_foot"), ("right_hand", "right_foot")}
    assert long_links(load_topology("ntu25_long")) == {frozenset(link) for link in added}
    for name in ("ntu25", "ntu25_hands", "kinect20", "coco17", "mediapipe33", "tiny5"):
        assert long_links(load_topology(name)) == set()
    # Shorter than bones of the body, and near each other.
    added = {("left_foot", "right_foot"), ("left_ankle", "right_ankle")}
    ntu25 = load_topology("ntu25")
    assert long_links(replace(ntu25, bones=(*ntu25.bones, *added))) == {frozenset(link) for link in added}
    assert "24 bones and 4 long links" in check_figure(load_topology("ntu25_long")).axes[0].get_title()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_body_from_the_front(name: str) -> None:
    topology = load_topology(name)
    places = front_view(topology)
    assert places.keys() >= set(topology.joints)
    for joint in topology.joints:
        x, y = places[joint]
        assert places[topology.mirror[joint]] == pytest.approx((-x, y), abs=1e-6)
        assert x * (joint.startswith("left_") - joint.startswith("right_")) >= 0, "the left side is on the right"
    apart = [np.hypot(*(places[a] - places[b])) for a, b in combinations(topology.joints, 2)]
    assert min(apart) > 0.07


def test_without_a_rest_pose_hops_lay_it_out() -> None:
    bare = replace(TINY, rest_pose={})
    assert front_view(bare).keys() == set(TINY.joints)
    assert check_figure(bare).axes


def test_parts_are_told_apart_without_colour() -> None:
    for name in SHIPPED:
        looks = part_looks(load_topology(name)).values()
        assert len({marker for _, marker in looks}) == len(looks)


@pytest.mark.parametrize("pair", [("tiny5", "kinect20"), ("tiny5", "tiny5"), ("kinect20", "kinect20_full")])
def test_the_same_picture_each_time(tmp_path: Path, pair: tuple[str, str]) -> None:
    one, other = map(load_topology, pair)
    for i in range(2):
        save_figure(check_figure(other), tmp_path / f"check{i}")
        save_figure(compare_figure(one, other), tmp_path / f"compare{i}")
    for name in ("check", "compare"):
        for ending in ("png", "svg"):
            first, second = (tmp_path / f"{name}{i}.{ending}" for i in range(2))
            assert first.read_bytes() == second.read_bytes() and first.stat().st_size > 5000
