"""Wall time and floating-point operations of pieces of code."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

PRODUCT_SIZE, REPEATS = {"cpu": 2048, "cuda": 8192}, 6


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """Wall seconds of one call, until the device is done."""
    _synchronise(device)
    began = time.perf_counter()
    run()
    _synchronise(device)
    return time.perf_counter() - began


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(
    runs: Mapping[str, Callable[[], object]],
    *,
    settled: Collection[str] = (),
    rounds: int,
    device: torch.device,
    advance: Callable[[str], None],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Time each call: in every round each runs once, so that a slow moment of the machine meets all.

    Args:
        runs: what to time, by name; each has run before.
        settled: names of those that run once untimed in each round before they are timed.
        rounds: how often.
        device: waited for.
        advance: told the name of each call that is done.

    Returns:
        wall seconds, and processor seconds of all threads together, by name and round.
    """
    wall: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            if name in settled:
                run()
            began = time.process_time()
            wall[name].append(seconds_of(run, device))
            processor[name].append(time.process_time() - began)
            advance(name)
    return wall, processor


def count_flop(run: Callable[[], object]) -> int:
    """Floating-point operations of a call: products only, backward and attention included.

    Counted by `torch.utils.flop_counter` with attention made of plain products, since it does not see the CPU's fused one.
    """

    def linear(h: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
        return 2 * prod(h) * weight[0]

    mapping = {torch.ops.mkldnn._linear_pointwise: linear} if hasattr(torch.ops.mkldnn, "_linear_pointwise") else {}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        run()
    return int(counter.get_total_flops())


def matrix_products(device: torch.device) -> tuple[dict[str, Callable[[], object]], int]:
    """A large square product, several times over, in three ways, and the floating-point operations of each.

    Returns:
        ``fp32`` and ``bf16``, by ``torch.mm``, and ``layer``, float32 by the networks' own linear layer; operations.
    """
    size = PRODUCT_SIZE.get(device.type, PRODUCT_SIZE["cpu"])
    layer = Linear(size, size, bias=False, device=device).requires_grad_(False)
    a, b = torch.randn(size, size, device=device), layer.weight
    runs: dict[str, Callable[[], object]] = {
        "fp32": partial(_repeat, torch.mm, a, b),
        "bf16": partial(_repeat, torch.mm, a.bfloat16(), b.bfloat16()),
        "layer": partial(_repeat, layer, a),
    }
    return runs, REPEATS * 2 * size**3


def _repeat(run: Callable[..., object], *values: Tensor) -> None:
    for _ in range(REPEATS):
        run(*values)
