"""One training step, with each design choice taken or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from masksem_graph.benchmark.autograd import autograd_draw
from masksem_graph.benchmark.workload import Workload
from masksem_graph.masking import Mask
from masksem_graph.training.memory import keep_freed_memory


@dataclass(frozen=True)
class Variant:
    """The choices; the defaults are what training does by itself.

    Args:
        absent_bodies: give every sequence a second body and compute it where it is all zeros.
        autograd_saliency: Grad-CAM by a backward pass instead of the closed form.
        explicit_attention: build the matrix of attention weights of all heads, and keep it for the backward pass.
        fused_attention: PyTorch's fused kernel, whatever the device.
        bf16: bfloat16 autocast.
        torch_linear: no oneDNN: linear layers, and with them attention, by PyTorch's own kernels.
        memory_given_back: freed memory goes back to the system as glibc has it.
    """

    absent_bodies: bool = False
    autograd_saliency: bool = False
    explicit_attention: bool = False
    fused_attention: bool = False
    bf16: bool = False
    torch_linear: bool = False
    memory_given_back: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the choices that are not the default."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The settings that hold during a step, autocast aside."""
        onednn = bool(torch.backends.mkldnn.enabled)
        try:
            _use_onednn(onednn and not self.torch_linear)
            if self.memory_given_back:
                keep_freed_memory(False)
            with self._attention():
                yield
        finally:
            _use_onednn(onednn)
            if self.memory_given_back:
                keep_freed_memory()

    def _attention(self) -> AbstractContextManager[None]:
        if self.explicit_attention:
            return sdpa_kernel(SDPBackend.MATH)
        if self.fused_attention:
            return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION])
        return nullcontext()


def _use_onednn(on: bool) -> None:
    torch.backends.mkldnn.enabled = on  # type: ignore[assignment]


def loss_of(work: Workload, variant: Variant) -> Float[Tensor, ""]:
    """The loss of the batch: the same number for every variant, up to float rounding."""
    task, clips = work.task, work.padded if variant.absent_bodies else work.clips
    bodies = len(work.clips.sequence)
    uniform = work.uniform[: len(clips.sequence)]
    with torch.autocast(clips.coordinates.device.type, torch.bfloat16, enabled=variant.bf16):
        drawn = autograd_draw(task, clips, uniform) if variant.autograd_saliency else task.draw(clips, uniform)
        predictions = {name: values[:bodies] for name, values in task.predict(clips, drawn.mask).items()}
        mask = Mask(drawn.mask.kept[:bodies], drawn.mask.masked[:bodies])
        parts = task.losses(work.clips, mask, drawn.pi[:bodies], predictions)
    weights = task.target.weights
    return torch.stack([parts[name] * weights[name] for name in weights]).sum() / (bodies * task.masked)


def train_step(work: Workload, variant: Variant) -> None:
    """Update the teacher, draw, predict, losses, backward, AdamW."""
    work.task.update_teacher()
    loss_of(work, variant).backward()
    work.optimiser.step()
    work.optimiser.zero_grad(set_to_none=True)
