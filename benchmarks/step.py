"""What a training step and the encoding of a batch cost: ``python benchmarks/step.py [--threads N] OPTIONS OF train``.

    python benchmarks/step.py --data demo_xsub --model tiny --method masksem
    python benchmarks/step.py --data demo_xsub --model tiny --method masksem --backbone gps --device.precision bf16-mixed

The clips are those of ``--data``. Times are medians of torch.utils.benchmark: processor time on a CPU, all threads together,
which says the same on a busy machine; on a GPU the timer waits for the device. The last lines say what `SkeletonBatch` adds to
bare tensors: the batch, that of the reference clip, and the subgraph of the kept nodes. Compare two choices alternately.
"""

from __future__ import annotations

import sys
import time
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.utils.benchmark import Measurement, Timer
from torch.utils.benchmark.utils.timer import timer as waiting

from masksem_graph.cli.train import GROUPS, ROOT, read
from masksem_graph.data.config import on_first
from masksem_graph.graph import SkeletonBatch, nodes_of, to_segments
from masksem_graph.models.encoder import gather_nodes
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
        stores = on_first(fabric, config.data.open_each)
        torch.manual_seed(config.train.seed)
        task = build_task(config, plain["model"], stores)
        sets = training_sets(config, stores, fabric.device)
        average_clips(task, sets)
        loop = make_loop(config, fabric, task, sets, folder=folder, save_encoder=lambda encoder: None, evaluate=None)
        portion = next(iter(loop.mixture.epoch(0)))

        def timed(statement: str, seconds: float = SECONDS, **names: object) -> Measurement:
            clock = time.process_time if fabric.device.type == "cpu" else waiting
            found = {**globals(), **names}
            return Timer(statement, timer=clock, globals=found, num_threads=threads).blocked_autorange(min_run_time=seconds)

        print(f"{fabric.device}, {threads} threads, {len(portion.clips)} clips a step")
        step = timed("loop._step(0, 0, portion)", loop=loop, portion=portion)
        print(step)
        plan, numbers = loop.draw(0, 0, portion)
        batch = sets[portion.data_set].source.load(plan)
        kept = task.draw(batch, numbers.of_bodies(torch.ones(len(plan.body), dtype=torch.bool), fabric.device)).mask.kept
        both = [timed(f"{way}(batch, kept)", 2.0, batch=batch, kept=kept).median for way in ("as_objects", "as_tensors")]
        print(f"a batch as objects {both[0] * 1e3:.2f} ms, as bare tensors {both[1] * 1e3:.2f} ms")
        print(f"the objects are {(both[0] - both[1]) / step.median:.3%} of the step")


def as_objects(whole: SkeletonBatch, kept: Tensor) -> tuple[Tensor, ...]:
    """The nodes of the clips, of a reference clip and of what is kept, as a step makes them."""
    made = [
        SkeletonBatch.from_frames(
            frames, topology=whole.topology, segment=frames.shape[1] // whole.segments, sequence=sequence, y=whole.y
        )
        for frames, sequence in ((whole.frames, whole.sequence), (whole.frames[:1], whole.sequence[:1]))
    ]
    return made[0].dense, made[1].dense, made[0].subgraph(kept).dense


def as_tensors(whole: SkeletonBatch, kept: Tensor) -> tuple[Tensor, ...]:
    """The same without an object."""
    made = [
        to_segments(nodes_of(frames, whole.topology), frames.shape[1] // whole.segments).flatten(1, 2)
        for frames in (whole.frames, whole.frames[:1])
    ]
    return *made, gather_nodes(made[0], kept)


if __name__ == "__main__":
    main()
