"""A linear layer that uses all of a CPU.

In float32 PyTorch's own layer calls MKL, which leaves AVX-512 unused on processors that are not Intel's: on a Zen 5 core the
same product takes oneDNN less than half as long. Both are in PyTorch; the results differ by float rounding alone.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

HAS_PRODUCT = hasattr(torch.ops.mkldnn, "_linear_pointwise")  # not part of torch's public interface; may go one day


def uses_onednn(h: Tensor) -> bool:
    """Whether products go through oneDNN: eager float32 on a CPU with AVX-512.

    ``torch.backends.mkldnn.enabled = False`` turns it off.
    """
    return bool(
        HAS_PRODUCT
        and not torch.compiler.is_compiling()
        and h.device.type == "cpu"
        and h.dtype == torch.float32
        and h.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
    )


def onednn_product(
    h: Float[Tensor, "*n i"], weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"] | None = None
) -> Float[Tensor, "*n o"]:
    """``h W^T + b`` by oneDNN.

    A weight that is neither contiguous nor the transpose of contiguous memory takes a thousand times as long.
    """
    return torch.ops.mkldnn._linear_pointwise(h, weight, bias, "none", [], "")


class _OneDnnLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(h, weight)
        return onednn_product(h, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        h, weight = ctx.saved_tensors
        flat = gradient.reshape(-1, weight.shape[0])
        of_h, of_weight, of_bias = ctx.needs_input_grad
        return (
            onednn_product(flat, weight.t()).view_as(h) if of_h else None,
            onednn_product(flat.t(), h.reshape(-1, weight.shape[1]).t()) if of_weight else None,
            flat.sum(0) if of_bias else None,
        )


def linear(h: Float[Tensor, "*n i"], weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"] | None) -> Float[Tensor, "*n o"]:
    """``h W^T + b``."""
    if uses_onednn(h):
        return _OneDnnLinear.apply(h, weight, bias)
    return F.linear(h, weight, bias)


class Linear(nn.Linear):
    """``h W^T + b``, as `torch.nn.Linear` has it."""

    def forward(self, input: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        return linear(input, self.weight, self.bias)


def xavier_linear(module: nn.Module) -> None:
    """Start a linear layer as MAE and the authors of MAMP do; for ``Module.apply``.

    A fixed small deviation barely learns in a few thousand steps at width 128.
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
