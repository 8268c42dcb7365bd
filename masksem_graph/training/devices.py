"""Devices, precision and processes, through Lightning Fabric."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from masksem_graph.errors import InputError

if TYPE_CHECKING:  # importing them takes seconds; a command line is read before
    import lightning_fabric
    import torch

Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class DeviceConfig:
    """Where and how to compute. Several devices or machines: start the same command with torchrun.

    Args:
        accelerator: ``auto`` takes a GPU where there is one.
        precision: float32, or bfloat16 autocast.
        compile: compile the networks; needs a C compiler on the CPU.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Precision = "32-true"
    compile: bool = False


def compiler_fault(device: "torch.device") -> str | None:
    """Why ``torch.compile`` cannot work on a device, in one line; None where a trial succeeds.

    On a CPU it needs a C++ compiler and Python's headers, which a machine may well lack.
    """
    import torch

    try:
        torch.compile(lambda x: x.cos() + x)(torch.ones(4, device=device))
    except Exception as error:  # it fails in as many ways as there are compilers
        return " ".join(str(error).split())[:160]
    return None


def launch(config: DeviceConfig) -> "lightning_fabric.Fabric":
    """A started Fabric: one device, or as many processes as torchrun started.

    Raises:
        InputError: the accelerator is not there.
    """
    import torch
    from lightning_fabric import Fabric

    from masksem_graph.training.memory import keep_freed_memory

    if config.accelerator == "cuda" and not torch.cuda.is_available():
        raise InputError("device.accelerator: expected cpu or auto (torch sees no CUDA device), found cuda")
    if config.accelerator == "mps" and not torch.backends.mps.is_available():
        raise InputError("device.accelerator: expected cpu or auto (torch sees no MPS device), found mps")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=local,
        num_nodes=max(world // local, 1),
        strategy="ddp" if world > 1 else "auto",
        precision=config.precision,
    )
    fabric.launch()
    if fabric.device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    if fabric.device.type == "cpu":
        keep_freed_memory()
    return fabric
