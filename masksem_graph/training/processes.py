"""What several processes of one run, started by torchrun, tell each other."""

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """How many processes work on this run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def my_share(count: int) -> range:
    """The part of ``count`` things that this process handles: contiguous, and every thing is some process's, once."""
    world, mine = world_size(), rank()
    return range(count * mine // world, count * (mine + 1) // world)


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of every process's ``values``, in place; itself where there is one process."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def sum_gradients(parameters: list[torch.nn.Parameter]) -> None:
    """Put the sum of all processes' gradients in the place of each one's own; a parameter that none used keeps none."""
    if world_size() == 1:
        return
    used = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
    moving = [p for p, count in zip(parameters, sum_over_processes(used).tolist(), strict=True) if count]
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in moving])
    sum_over_processes(flat)
    for p, gradient in zip(moving, flat.split([p.numel() for p in moving]), strict=True):
        p.grad = gradient.view_as(p)


def leave_together() -> None:
    """Wait for all processes, then end what connects them: one that leaves by itself is aborted now and then."""
    if world_size() > 1:
        dist.barrier()
        dist.destroy_process_group()
