"""Devices, precision and processes, through Lightning Fabric."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from masksem_graph.console import console
from masksem_graph.errors import InputError

if TYPE_CHECKING:  # importing them takes seconds; a command line is read before
    import lightning_fabric
    import torch


@dataclass(frozen=True)
class DeviceConfig:
    """Where and how to compute. Several devices or machines: start the same command with torchrun.

    Args:
        accelerator: ``auto`` takes a GPU where there is one.
        precision: float32, or bfloat16 autocast.
        compile: compile the networks; needs a C compiler on the CPU.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False

    def compiles(self, device: "torch.device") -> bool:
        """Whether to compile: it is asked for, and a trial succeeds; a line says why it fails."""
        import torch

        if not self.compile:
            return False
        try:
            torch.compile(lambda x: x.cos() + x)(torch.ones(4, device=device))
        except Exception as error:  # it fails in as many ways as there are compilers
            fault = " ".join(str(error).split())[:160]
            console.print(f"device.compile: skipped, a trial failed: {fault}", markup=False)
            return False
        return True


def launch(config: DeviceConfig) -> "lightning_fabric.Fabric":
    """A started Fabric: one device, or as many processes as torchrun started; `InputError` where the device is not there."""
    import torch
    from lightning_fabric import Fabric

    name = config.accelerator
    if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not torch.backends.mps.is_available()):
        raise InputError(f"device.accelerator: expected cpu or auto (torch sees no {name.upper()} device), found {name}")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=name,
        devices=local,
        num_nodes=max(world // local, 1),
        strategy="ddp" if world > 1 else "auto",
        precision=config.precision,
    )
    fabric.launch()
    if fabric.device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return fabric
