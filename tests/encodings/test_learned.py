"""Learned tables: by joint name, or by segment."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from masksem_graph.encodings import Learned
from masksem_graph.errors import InputError
from masksem_graph.models.build import joint_names
from masksem_graph.topology import load_topology
from tests.helpers import grid, reordered

TINY, NTU, KINECT = (load_topology(name) for name in ("tiny5", "ntu25", "kinect20"))


def learned(over: Literal["joints", "segments"] = "joints", joints: tuple[str, ...] = TINY.joints) -> Learned:
    return Learned(width=6, joints=joints, segments=3, over=over)


def test_what_they_are_numbered_by() -> None:
    for over, shape in (("joints", (1, 5, 6)), ("segments", (3, 1, 6))):
        one = learned(over)  # type: ignore[arg-type]
        assert one.table.shape == shape and torch.equal(one(grid(TINY, 3)), one.table)


def test_a_joint_has_one_vector_on_every_skeleton() -> None:
    names = joint_names([NTU, KINECT])
    assert names[:25] == NTU.joints and set(names) == set(NTU.joints) | set(KINECT.joints) and len(set(names)) == len(names)
    one = learned(joints=names)
    on = {topology: one(grid(topology, 3))[0] for topology in (NTU, KINECT)}
    shared = set(NTU.joints) & set(KINECT.joints)
    assert len(shared) >= 10
    for joint in shared:
        assert torch.equal(on[NTU][NTU.index[joint]], on[KINECT][KINECT.index[joint]])
    assert torch.equal(one(grid(reordered(NTU, range(24, -1, -1)), 3))[0], on[NTU].flip(0))


def test_vectors_of_joints_that_are_there_learn() -> None:
    names = joint_names([NTU, KINECT])
    one = learned(joints=names)
    one(grid(KINECT, 3)).sum().backward()
    assert one.table.grad is not None
    assert {names[i] for i in one.table.grad[0].abs().sum(1).nonzero()[:, 0].tolist()} == set(KINECT.joints)


def test_a_joint_without_a_vector_is_named() -> None:
    line = r"^model.encodings: Learned has no vector for hip, foot of tiny5; expected joints that the encoder was trained on"
    with pytest.raises(InputError, match=line):
        learned(joints=("head", "right_hand", "left_hand"))(grid(TINY, 3))


def test_another_number_of_segments_is_refused() -> None:
    with pytest.raises(InputError, match=r"^Learned: expected 3 segments, found 4$"):
        learned("segments")(grid(TINY, 4))
    assert learned("joints")(grid(TINY, 4)).shape == (1, 5, 6)
