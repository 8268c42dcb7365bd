"""What a training step and the encoding of a batch cost: ``python benchmarks/step.py [--threads N] OPTIONS OF train``.

    python benchmarks/step.py --data demo_xsub --model tiny --method masksem
    python benchmarks/step.py --data demo_xsub --model tiny --method masksem --backbone gps --device.precision bf16-mixed

The clips are those of ``--data``. Times are medians of torch.utils.benchmark; on a GPU its timer waits for the device. To
compare two choices, run both alternately on a quiet machine.
"""

from __future__ import annotations

import sys
from tempfile import TemporaryDirectory

import torch
from torch.utils.benchmark import Timer

from masksem_graph.cli.train import GROUPS, ROOT, read
from masksem_graph.data.config import open_each_on_first
from masksem_graph.options import read_options
from masksem_graph.training.devices import launch
from masksem_graph.training.run import average_clips, build_task, make_loop, training_sets

SECONDS = 20.0


def main() -> None:
    """Time a step."""
    argv = sys.argv[1:]
    if not argv or {"-h", "--help"} & set(argv):
        print(__doc__)
        return
    threads = torch.get_num_threads()
    if "--threads" in argv:
        place = argv.index("--threads")
        threads = int(argv[place + 1])
        del argv[place : place + 2]
    with TemporaryDirectory() as folder:
        config, plain, _ = read(read_options([*argv, "--output", folder], ROOT, GROUPS))
        fabric = launch(config.device)
        stores = open_each_on_first(fabric, config.data)
        torch.manual_seed(config.train.seed)
        task = build_task(config, plain["model"], stores)
        sets = training_sets(config, stores, fabric.device)
        average_clips(task, sets)
        loop = make_loop(config, fabric, task, sets, folder=folder, save_encoder=lambda encoder: None, evaluate=None)
        portion = next(iter(loop.mixture.epoch(0)))
        timer = Timer("loop._step(0, 0, portion)", globals={"loop": loop, "portion": portion}, num_threads=threads)
        print(f"{fabric.device}, {threads} threads, {len(portion.clips)} clips a step")
        print(timer.blocked_autorange(min_run_time=SECONDS))


if __name__ == "__main__":
    main()
