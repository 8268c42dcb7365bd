"""Wall time and floating-point operations of pieces of code."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

PRODUCT_SIZE = {"cpu": 2048, "cuda": 8192}


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
    runs: Mapping[str, Callable[[], object]], *, rounds: int, device: torch.device, advance: Callable[[str], None]
) -> dict[str, list[float]]:
    """Wall seconds of each call, by name: in every round each runs once, so that a slow moment of the machine meets all.

    Args:
        runs: what to time; each has run before.
        rounds: how often.
        device: waited for.
        advance: told the name of each call that is done.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(seconds_of(run, device))
            advance(name)
    return seconds


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


def matrix_product(device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """A large square product, and its floating-point operations."""
    size = PRODUCT_SIZE.get(device.type, PRODUCT_SIZE["cpu"])
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return lambda: torch.mm(a, b), 2 * size**3
