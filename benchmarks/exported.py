"""What an answer costs by a run and by its exported file: ``python benchmarks/exported.py EVALUATION MODEL.onnx``.

The clip is two seconds of made-up motion of one body. Both are given it as a store, as ``predict`` gives it to them, on one
thread. Times are medians of CPU time, so that other processes matter little.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.memory import store_of
from masksem_graph.evaluation.classifier import read_classifier
from masksem_graph.exporting.classifier import OnnxClassifier, load_onnx
from masksem_graph.exporting.runtime import OnnxModel

FRAMES, TIMES = 60, 50


def main() -> None:
    """Time both."""
    if len(sys.argv) != 3:
        print(__doc__)
        return
    torch.set_num_threads(1)
    run, file = read_classifier(Path(sys.argv[1])), load_onnx(Path(sys.argv[2]))
    exported = OnnxClassifier(OnnxModel(sys.argv[2], threads=1), file.classes, file.prepared)
    random, topology = np.random.default_rng(0), run.prepared.topology
    joints = len(topology.inputs)
    walk = random.normal(0, 0.3, (joints, 3)) + random.normal(0, 0.02, (FRAMES, joints, 3)).cumsum(0)
    walk -= walk[0, topology.index[topology.centre]]
    clip = Clip("walk", -1, bodies=(Body(0, walk.astype(np.float32), np.ones(FRAMES, bool)),))
    store = store_of([clip], topology, origin=run.prepared.origin)
    apart = (run.probabilities(store) - exported.probabilities(store)).abs().max()
    for name, classifier in {"run": run, "exported": exported}.items():
        print(f"{name:<9} {1000 * _seconds(lambda one=classifier: one.probabilities(store)):7.2f} ms")
    print(f"apart     {apart:.1e}")


def _seconds(answer: Callable[[], object]) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.process_time()
        answer()
        taken.append(time.process_time() - began)
    return median(taken[5:])


if __name__ == "__main__":
    main()
