"""Which parameters decay, and the learning rate of every step."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from masksem_graph.backbones import Transformer
from masksem_graph.encodings import EncodingFactory, Laplacian, Learned
from masksem_graph.errors import InputError
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.decoder import Decoder
from masksem_graph.topology import load_topology
from masksem_graph.training.config import TrainConfig
from masksem_graph.training.optim import build_adamw, layer_groups, warmup_cosine


@pytest.fixture
def decoder() -> Decoder:
    blocks = partial(Transformer, depth=1, heads=2)
    encodings: list[EncodingFactory] = [partial(Learned, over="joints"), Laplacian]
    model = ModelConfig(frames=4, segment=2, width=8, encodings=encodings, backbone=blocks, decoder=blocks)
    return Decoder(model, topologies=[load_topology("tiny5")], channels=3, heads=["shared"])


def names(module: nn.Module, parameters: list[nn.Parameter]) -> set[str]:
    return {name for name, parameter in module.named_parameters() if any(parameter is p for p in parameters)}


PLACES = {"mask_token", "positions.encodings.0.table", "positions.encodings.1.project.weight"}
MATRICES = {
    "embedding.weight",
    "predict.shared.weight",
    *(f"backbone.blocks.0.{name}.weight" for name in ("attention.qkv", "attention.proj", "mlp.0", "mlp.2")),
}


@pytest.mark.parametrize(("decay_encodings", "decayed"), [(False, MATRICES), (True, MATRICES | PLACES)])
def test_what_decays(decoder: Decoder, decay_encodings: bool, decayed: set[str]) -> None:
    config = TrainConfig(weight_decay=0.07, decay_encodings=decay_encodings)
    with_decay, without = build_adamw(decoder, config).param_groups
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.07, 0.0)
    assert names(decoder, with_decay["params"]) == decayed
    everything = {name for name, _ in decoder.named_parameters()}
    assert names(decoder, without["params"]) == everything - decayed
    assert len(with_decay["params"]) + len(without["params"]) == len(everything)


def test_frozen_parameters_are_left_out(decoder: Decoder) -> None:
    decoder.backbone.requires_grad_(False)
    groups = build_adamw(decoder, TrainConfig()).param_groups
    left = names(decoder, [p for group in groups for p in group["params"]])
    assert left == {name for name, _ in decoder.named_parameters() if not name.startswith("backbone.")}


def test_adamw_takes_the_numbers(decoder: Decoder) -> None:
    optimiser = build_adamw(decoder, TrainConfig(lr=0.02, betas=(0.8, 0.9)))
    assert {(group["lr"], tuple(group["betas"])) for group in optimiser.param_groups} == {(0.02, (0.8, 0.9))}
    token = decoder.mask_token.detach().clone()
    matrix = decoder.embedding.weight.detach().clone()
    for parameter in decoder.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    assert torch.equal(decoder.mask_token, token)
    torch.testing.assert_close(decoder.embedding.weight, matrix * (1 - 0.02 * 0.05))


def test_warm_up_is_linear_and_the_cosine_ends_where_it_should() -> None:
    rates = [warmup_cosine(step, steps=21, warmup=4, peak=1.0, final=0.2) for step in range(21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[12] == pytest.approx(0.6), "half-way between, half-way down"
    assert rates[20] == pytest.approx(0.2)
    assert all(a > b for a, b in pairwise(rates[4:]))
    assert rates[8] == pytest.approx(0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi / 4)))


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 1), (5, 5), (5, 4)])
def test_very_short_schedules(steps: int, warmup: int) -> None:
    rates = [warmup_cosine(step, steps=steps, warmup=warmup, peak=1.0, final=0.0) for step in range(steps)]
    assert rates == [(step + 1) / warmup for step in range(warmup)] + [1.0] * (steps - warmup)


def test_without_warm_up() -> None:
    rates = [warmup_cosine(step, steps=3, warmup=0, peak=1.0, final=0.0) for step in range(4)]
    assert rates == pytest.approx([1.0, 0.5, 0.0, 0.0]), "a step past the end stays at the end"


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0, "final_lr": 0.0}, r"train.lr: expected a number from 1e-12 to 1000.0, found 0.0"),
        ({"lr": -1e-3, "final_lr": 0.0}, r"train.lr: expected a number from 1e-12 to 1000.0, found -0.001"),
        ({"lr": NAN}, r"train.lr: expected a number from 1e-12 to 1000.0, found nan"),
        ({"lr": INF}, r"train.lr: expected a number from 1e-12 to 1000.0, found inf"),
        ({"lr": 1e-3, "final_lr": -1e-4}, r"train.final_lr: expected a number from 0 to 1000.0, found -0.0001"),
        ({"weight_decay": NAN}, r"train.weight_decay: expected a number from 0 to 1000.0, found nan"),
        ({"checkpoint_minutes": -1.0}, r"train.checkpoint_minutes: expected a number from 0 to 1000000.0, found -1.0"),
        ({"betas": (0.9, 1.0)}, r"train.betas: expected two numbers in \[0, 1\), found \[0.9, 1.0\]"),
        ({"betas": (NAN, 0.9)}, r"train.betas: expected two numbers in \[0, 1\), found \[nan, 0.9\]"),
        ({"warmup": 1.5}, r"train.warmup: expected a number from 0 to 1, found 1.5"),
        ({"epochs": 0}, r"train.epochs: expected a number from 1 to 1000000, found 0"),
        ({"batch_size": 0}, r"train.batch_size: expected a number from 1 to 1000000, found 0"),
        ({"accumulate": 0}, r"train.accumulate: expected a number from 1 to 10000, found 0"),
        ({"accumulate": 9, "batch_size": 8}, r"train.accumulate: expected at most train.batch_size = 8, found 9"),
        ({"evaluate_every": -1}, r"train.evaluate_every: expected a number from 0 to 1000000, found -1"),
        ({"seed": -1}, r"train.seed: expected a number from 0 to \d+, found -1"),
    ],
)
def test_numbers_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        TrainConfig(**options)


def test_layer_groups_by_hand() -> None:
    first, second, third = (nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,), (3, 2)))
    frozen = nn.Parameter(torch.zeros(1, 1), requires_grad=False)
    groups = layer_groups([[first, second], [frozen], [third]], {id(second)}, weight_decay=0.1, layer_decay=0.5)
    found = [(group["params"], group["weight_decay"], group["scale"]) for group in groups]
    assert found == [([first], 0.1, 0.25), ([second], 0.0, 0.25), ([third], 0.1, 1.0)]
