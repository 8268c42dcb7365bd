"""Peak memory of a training step. On the CPU it takes a fresh process: ``python -m masksem_graph.benchmark.memory JSON``."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import torch

from masksem_graph.benchmark.variants import Variant, train_step
from masksem_graph.benchmark.workload import Workload, build_workload
from masksem_graph.training.memory import keep_freed_memory

GPU_KIND = "largest allocation on the GPU during a step, weights and optimiser included"
CPU_KIND = "growth of the peak resident memory of a fresh process by two steps, its networks being built before"


def peak_on_gpu(work: Workload, device: torch.device) -> int:
    """Bytes."""
    torch.cuda.reset_peak_memory_stats(device)
    train_step(work, Variant())
    return torch.cuda.max_memory_allocated(device)


def peak_on_cpu(model: str, *, sequences: int, two_person: int) -> int:
    """Bytes; of a fresh process, which nothing else has made large before."""
    options = json.dumps({"model": model, "sequences": sequences, "two_person": two_person})
    command = [sys.executable, "-m", "masksem_graph.benchmark.memory", options]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _peak_resident() -> int:
    """Bytes. Linux's own ``ru_maxrss`` would start from the parent's peak."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    keep_freed_memory()
    built = build_workload(**json.loads(sys.argv[1]), device=torch.device("cpu"))
    before = _peak_resident()
    for _ in range(2):
        train_step(built, Variant())
    print(_peak_resident() - before)
