"""Operators on paper: the numbers are theirs, and an option that one lacks is refused."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.operators import Heat, Identity, Operator, SpatioTemporal, normalised_adjacency
from masksem_graph.pictures.operators import (
    SIDE_BY_SIDE,
    far_joints,
    named_operator,
    operator_pictures,
    spread,
)
from masksem_graph.topology import Topology, load_topology
from masksem_graph.visualize import smoothing

TINY = load_topology("tiny5")


def test_an_impulse_is_a_row_of_the_matrix() -> None:
    for name, matrix in (("adjacency, 2 hops", normalised_adjacency(TINY, 2)), ("heat, time 1", Heat().matrix(TINY))):
        response = spread(SIDE_BY_SIDE[name], TINY)
        np.testing.assert_allclose(response[:, 2], matrix.numpy(), atol=1e-6)
        assert not response[:, [0, 1, 3, 4]].any(), "stays in its segment"
    np.testing.assert_array_equal(spread(Identity(), TINY)[:, 2], np.eye(5))


def test_what_goes_on_in_time() -> None:
    response = spread(SpatioTemporal(), TINY)
    degree = 3 + np.array([TINY.graph.degree[joint] for joint in TINY.joints])  # itself, before, after, bones
    np.testing.assert_allclose(response[:, 3], np.diag(1 / degree), atol=1e-6)
    np.testing.assert_array_equal(response[:, 1], response[:, 3])
    assert not response[:, [0, 4]].any()


def test_named() -> None:
    both = named_operator("heat", {"time": 2.0})
    assert list(both) == ["none", "heat, time 2"]
    np.testing.assert_allclose(spread(both["heat, time 2"], TINY)[:, 2], Heat(time=2.0).matrix(TINY).numpy(), atol=1e-6)
    assert list(named_operator("masksem_graph.operators.Heat", {})) == ["none", "Heat"]
    assert list(named_operator("none", {})) == ["none"]


class Still(Operator):
    """Nothing moves."""

    def matrix(self, topology: Topology) -> Tensor:
        return torch.eye(len(topology))


def told_of(*arguments: Any, **options: Any) -> set[str]:
    """What stands over the matrices."""
    return {axes.get_title() for axes in smoothing(*arguments, **options)[0].figure.axes} - {""}


def test_from_python() -> None:
    assert told_of("tiny5", "heat") == told_of(TINY, ["heat"]) == {"heat"}
    assert told_of(TINY, ["adjacency", Still]) == {"adjacency", "Still"}
    assert told_of(TINY, Still) == {"Still"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operator": "heat"}, "^operator: smoothing has no such argument; did you mean operators\\?$"),
        ({"nonsense": 3}, "^nonsense: smoothing has no such argument; expected one of skeleton, operators, run"),
        ({"operators": Operator}, "^--operator: Operator is abstract; expected a class whose matrix"),
        ({"numbers": {"hops": 2}}, "^--operator.hops: expected together with --operator$"),
    ],
)
def test_what_python_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        smoothing(TINY, **options)


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("heat", {"hops": 2}, "--operator.hops: the operator heat has no such option"),
        ("adjacency", {"normalise": "foo"}, "--operator: normalise: expected one of symmetric, row, found foo"),
        ("adjacency", {"hops": 1.5}, "--operator: hops: expected a whole number, found 1.5"),
        ("sharpen", {}, "--operator: expected one of none, adjacency"),
        ("masksem_graph.topology.Topology", {}, "--operator: expected a subclass of masksem_graph.operators.Operator"),
        ("no_such_module.Operator", {}, "no_such_module.Operator: there is no module no_such_module"),
    ],
)
def test_what_is_refused(name: str, numbers: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        named_operator(name, numbers)


def test_joints_far_apart() -> None:
    assert far_joints(TINY) == ["hip", "foot", "left_hand"]
    for name in ("ntu25", "ntu25_long", "ntu25_hands", "ntu25_full"):  # one body, other bones
        assert far_joints(load_topology(name)) == ["spine_middle", "left_foot", "left_hand_tip"]
    assert far_joints(TINY, 1) == ["hip"]


def test_an_unknown_joint() -> None:
    with pytest.raises(InputError, match="--joints: tiny5 has no joint called 'tail', expected some of hip, head"):
        operator_pictures(TINY, {"heat": Heat()}, ["tail"])


def test_every_panel_says_what_it_is() -> None:
    figure = operator_pictures(TINY, SIDE_BY_SIDE)[0].figure
    panels = [axes for axes in figure.axes if axes.get_title()]
    titles = [axes.get_title().replace("\n", " ") for axes in panels]
    assert titles == [*list(SIDE_BY_SIDE)[1:], "spatio-temporal: to the next segment"], "all but no smoothing"
    assert all(axes.get_xlabel() == "to joint" for axes in panels)
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in panels]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    # Joints stand in the order of their parts.
    shown = np.asarray(panels[0].images[0].get_array())
    order = [TINY.index[joint] for joints in TINY.parts.values() for joint in joints]
    np.testing.assert_allclose(shown, normalised_adjacency(TINY).numpy()[np.ix_(order, order)], atol=1e-6)
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["hip", "head", "left hand", "right hand", "foot"]


def test_three_pictures_of_one_operator() -> None:
    pictures = operator_pictures(TINY, named_operator("parts", {}))
    assert [picture.name for picture in pictures] == ["smoothing_matrices", "smoothing_graphs", "smoothing_impulse"]


def test_a_weight_has_one_colour_in_all_three_pictures() -> None:
    operators = {"none": Identity(), "adjacency": SIDE_BY_SIDE["adjacency, 1 hop"], "heat": Heat()}
    largest = max(float(spread(operators[name], TINY).max()) for name in ("adjacency", "heat"))
    for picture in operator_pictures(TINY, operators):
        norms = {
            (type(shown.norm), shown.norm.vmin, shown.norm.vmax)
            for axes in picture.figure.axes
            for shown in (*axes.images, *axes.collections)
            if shown.get_array() is not None and axes.get_title()
        }
        assert len(norms) == 1 and norms.pop()[1:] == (0, pytest.approx(largest)), picture.name


def test_pictures_name_topology_joints_and_sides() -> None:
    for picture in operator_pictures(load_topology("ntu25_long"), {"heat": Heat()}):
        assert picture.figure.get_suptitle().startswith("ntu25_long: 25 joints, 24 bones and 4 long links")
    graphs = operator_pictures(TINY, {"heat": Heat()})[1].figure
    told = [text.get_text() for axes in graphs.axes for text in axes.texts]
    assert {"hip", "head", "left hand", "right hand", "foot", "left", "right"} <= set(told)
