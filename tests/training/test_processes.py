"""Sharing work between processes, as one process sees it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masksem_graph.training import processes
from masksem_graph.training.processes import my_share, sum_gradients, sum_over_processes


@given(st.integers(0, 50), st.integers(1, 8))
def test_every_thing_is_someones_once(count: int, world: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "world_size", lambda: world)
        shares = []
        for rank in range(world):
            patch.setattr(processes, "rank", lambda rank=rank: rank)
            shares.append(my_share(count))
    assert [i for share in shares for i in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_nothing_changes() -> None:
    x = torch.arange(3.0)
    assert sum_over_processes(x) is x and my_share(7) == range(7)
    parameter = torch.nn.Parameter(x)
    sum_gradients([parameter])
    assert parameter.grad is None


def test_gradients_of_others_where_one_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    used, unused, theirs = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    used.grad = torch.ones(2)
    handed_in = iter([torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])])
    monkeypatch.setattr(processes, "world_size", lambda: 2)
    monkeypatch.setattr(processes, "sum_over_processes", lambda value: value.add_(next(handed_in)))
    sum_gradients([used, unused, theirs])
    assert used.grad.tolist() == [2.0, 3.0] and unused.grad is None and theirs.grad.tolist() == [3.0, 4.0]
