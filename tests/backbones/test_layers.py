"""Where a backbone's layers are found."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from masksem_graph.backbones import Backbone, GraphModel
from masksem_graph.graph import SkeletonData


class Holder(Backbone):
    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, h: Tensor, batch: SkeletonData) -> Tensor:
        return h


def lists(**sizes: int) -> dict[str, Any]:
    return {name: nn.ModuleList(nn.Linear(2, 2) for _ in range(size)) for name, size in sizes.items()}


def holding(**children: nn.Module) -> nn.Module:
    module = nn.Module()
    for name, child in children.items():
        module.add_module(name, child)
    return module


def names(backbone: Backbone) -> list[list[str]]:
    known = {id(module): name for name, module in backbone.named_modules()}
    return [[known[id(module)] for module in layer] for layer in backbone.layers()]


def test_lists_of_one_module_lie_side_by_side() -> None:
    assert names(Holder(norm=nn.LayerNorm(2), **lists(a=2, b=3))) == [["a.0", "b.0"], ["a.1", "b.1"], ["b.2"]]


def test_lists_of_different_modules_follow_one_another() -> None:
    low, high = holding(**lists(a=1, b=1)), holding(inner=holding(**lists(a=2)))
    assert names(Holder(low=low, **lists(c=1), high=high)) == [
        ["low.a.0", "low.b.0"],
        ["c.0"],
        ["high.inner.a.0"],
        ["high.inner.a.1"],
    ]


def test_a_list_within_a_layer_is_part_of_it() -> None:
    stack = nn.ModuleList([holding(**lists(mlps=3)), holding(**lists(mlps=3))])
    assert names(Holder(stack=stack)) == [["stack.0"], ["stack.1"]]


@pytest.mark.parametrize("empty", [{}, lists(a=0)], ids=["none", "empty"])
def test_without_lists_all_is_one_layer_and_it_says_so(empty: dict[str, Any]) -> None:
    backbone = Holder(one=nn.Linear(2, 2), **empty)
    with pytest.warns(UserWarning, match=r"^Holder: no nn.ModuleList found, so all of it counts as one layer$"):
        assert backbone.layers() == [[backbone]]


def test_a_wrapped_model_is_called_by_its_path() -> None:
    class Flat(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.linear = nn.Linear(width, width)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.linear(x) + torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])

    with pytest.warns(UserWarning, match=r"test_layers\.test_a_wrapped.*Flat: no nn.ModuleList found"):
        GraphModel(width=4, model=Flat, options={}).layers()
