"""Devices, precision and processes, through Lightning Fabric."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch
from lightning_fabric import Fabric

from masksem_graph.errors import InputError

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


def launch(config: DeviceConfig) -> Fabric:
    """A started Fabric: one device, or as many processes as torchrun started.

    Raises:
        InputError: the accelerator is not there.
    """
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
    return fabric
