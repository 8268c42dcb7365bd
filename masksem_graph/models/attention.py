"""Scaled dot-product attention that uses all of a CPU.

PyTorch's fused attention calls MKL on the CPU, as its linear layer does (see `masksem_graph.models.linear`). Where bodies have
many nodes, the two products of a head through oneDNN and the softmax between them take less time than the fused kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product as pairs
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from masksem_graph.models.linear import onednn_product, uses_onednn

LEAST_NODES, LEAST_WIDTH = 500, 32  # of a head; below, the fused kernel is as fast or faster
MOST_NODES = 2000  # one head's weights take 16 MB then


def attention(
    q: Float[Tensor, "B H n d"],
    k: Float[Tensor, "B H n d"],
    v: Float[Tensor, "B H n d"],
    *,
    bias: Float[Tensor, "#B H n n"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "B H n d"]:
    """``softmax(q k^T / sqrt(d) + bias) v`` for each body and head.

    Args:
        q, k, v: queries, keys and values.
        bias: added to the logits.
        dropout: of the attention weights.
    """
    if bias is None and dropout == 0 and goes_head_by_head(q):
        return _HeadByHead.apply(q, k, v)
    return F.scaled_dot_product_attention(q, k, v, bias, dropout_p=dropout)


def goes_head_by_head(q: Float[Tensor, "B H n d"]) -> bool:
    """Whether `attention` without dropout goes through oneDNN.

    It does where `uses_onednn` says so and bodies are of a size that gains by it, unless the caller has chosen among PyTorch's
    kernels by ``torch.nn.attention.sdpa_kernel``.
    """
    left_open = torch.backends.cuda.flash_sdp_enabled() and torch.backends.cuda.math_sdp_enabled()  # of the CPU's too
    nodes, width = q.shape[2:]
    return LEAST_NODES <= nodes <= MOST_NODES and width >= LEAST_WIDTH and left_open and uses_onednn(q)


class _HeadByHead(torch.autograd.Function):
    """Attention weights exist for one head at a time; the backward pass computes them again."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(q, k, v)
        bodies, heads, nodes, width = q.shape
        out = q.new_empty(bodies, nodes, heads, width).transpose(1, 2)

        def head(b: int, h: int) -> None:
            out[b, h] = _forward(q[b, h], k[b, h], v[b, h])

        _share(head, pairs(range(bodies), range(heads)))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = ctx.saved_tensors
        of_q, of_k, of_v = (torch.empty_like(values) for values in (q, k, v))

        def head(b: int, h: int) -> None:
            of_q[b, h], of_k[b, h], of_v[b, h] = _backward(q[b, h], k[b, h], v[b, h], gradient[b, h])

        _share(head, pairs(range(q.shape[0]), range(q.shape[1])))
        return of_q, of_k, of_v


def _forward(q: Float[Tensor, "n d"], k: Float[Tensor, "n d"], v: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    weights = onednn_product(q * q.shape[1] ** -0.5, k.contiguous()).softmax(1)
    return onednn_product(weights, v.contiguous().t())


def _backward(
    q: Float[Tensor, "n d"], k: Float[Tensor, "n d"], v: Float[Tensor, "n d"], gradient: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    scale = q.shape[1] ** -0.5
    q, k, gradient = q * scale, k.contiguous(), gradient.contiguous()
    weights = onednn_product(q, k).softmax(1)
    # Of v and k transposed: a product whose first operand is a transposed matrix would copy all of it.
    of_v = onednn_product(gradient.t(), weights.t()).t()
    of_logits = torch._softmax_backward_data(onednn_product(gradient, v.contiguous()), weights, 1, torch.float32)
    return onednn_product(of_logits, k.t()).mul_(scale), onednn_product(q.t(), of_logits.t()).t(), of_v


def _share(work: Callable[..., None], items: Iterable[tuple[int, ...]]) -> None:
    """Call ``work`` with each item, on as many threads as PyTorch uses here; inside, it uses one.

    Threads that meet after every single product, as PyTorch's own do, stand still where other programs keep a core busy: five
    times as slow as fused attention was measured. Here each takes the next head when it is done with one. What a head gets
    does not depend on the number of threads.
    """
    threads, items = torch.get_num_threads(), iter(items)

    def run() -> None:
        with torch.inference_mode():  # a mode of each thread
            for item in items:
                work(*item)

    if threads == 1:
        return run()
    torch.set_num_threads(1)  # holds for this thread and for those that start from now on
    try:
        with ThreadPoolExecutor(threads - 1) as pool:
            others = [pool.submit(run) for _ in range(threads - 1)]
            run()
        for other in others:
            other.result()
    finally:
        torch.set_num_threads(threads)
