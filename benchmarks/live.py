"""How long a live answer takes, from a frame's arrival: ``python benchmarks/live.py [RUN ...] [OPTIONS]``.

    python benchmarks/live.py                                        # small and paper, freshly drawn, one thread
    python benchmarks/live.py --exported                             # the same and their exported files
    python benchmarks/live.py runs/ucla/linear ucla.onnx             # runs and exported models beside each other
    python benchmarks/live.py --answers 0 --soak 100000              # memory over so many frames

A frame is a line of JSON with somebody of 25 joints (a run: of its own), as `masksem-graph live` reads it, and is answered by
the window that it completes. Latency is wall time from the line to the answer; processor time is what it would be on a quiet
core. p99 less p50 is the jitter. Frames a second are those of the whole stream, answers every 0.1 s of it included.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import yaml

from masksem_graph.data.input_spec import InputSpec
from masksem_graph.exporting.classifier import OnnxClassifier
from masksem_graph.exporting.runtime import OnnxModel
from masksem_graph.exporting.write import export
from masksem_graph.files import shipped
from masksem_graph.live.lines import parse_line
from masksem_graph.live.recogniser import Recogniser
from masksem_graph.models.heads import LinearHead
from masksem_graph.models.io import EncoderDescription, create_encoder, save_head
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.topology import load_topology

FPS = 30


def fresh(model: str, folder: Path) -> Path:
    """The folder of an evaluation of freshly drawn networks: time does not depend on what they learned."""
    topology, fields = load_topology("ntu25"), read_yaml(shipped("configs") / "model" / f"{model}.yaml")
    encoder = create_encoder(EncoderDescription(fields, [topology.to_dict()], 3, InputSpec(view="body")))
    folder.mkdir()
    encoder.save(folder)
    head = LinearHead(width=encoder.width, classes=60)
    save_head(folder, head, width=encoder.width, joints=len(topology), classes=[f"A{i:03}" for i in range(1, 61)])
    prepared = {"format": "ntu", "options": {}, "units": topology.units, "topology": topology.to_dict()}
    (folder / "data.yaml").write_text(yaml.safe_dump({"prepared": prepared}))
    return folder


def lines(recogniser: Recogniser, frames: int, bodies: int) -> list[bytes]:
    """People who move; there and back again, so that the last frame goes well before the first."""
    random = np.random.default_rng(0)
    joints = (len(recogniser.topology.inputs), recogniser.topology.dimensions)
    pose, pace = random.uniform(-0.5, 0.5, (bodies, *joints)), random.normal(0, 0.01, (frames // 2, bodies, *joints)).cumsum(0)
    there = pose + pace + 2 * np.arange(bodies)[:, None, None]
    people = np.concatenate([there, there[::-1]]).round(4)
    return [json.dumps([{"joints": body.tolist()} for body in one]).encode() for one in people]


def at(line: bytes, frame: int) -> bytes:
    """The line of a frame."""
    return b'{"t": %.6f, "bodies": %s}' % (frame / FPS, line)


def measure(run: str, told: str, answers: int, bodies: int, threads: int) -> None:
    """Print a row of the table."""
    path = Path(run)
    exported = path.suffix == ".onnx"
    recogniser = Recogniser(OnnxClassifier(OnnxModel(path, threads), path) if exported else path, fps=FPS, bodies=bodies)
    some = lines(recogniser, 300, bodies)
    wall, processor, began, frame = [], [], 0.0, 0
    while len(wall) < answers + 20:  # the first ones find caches empty
        if len(wall) == 20 and not began:
            began, first = time.perf_counter(), frame
        line = at(some[frame % len(some)], frame)
        start = time.perf_counter(), time.process_time()
        answer = recogniser.push(*parse_line(line))
        if answer:
            assert answer.label, answer.reason
            wall.append(1000 * (time.perf_counter() - start[0]))
            processor.append(1000 * (time.process_time() - start[1]))
        frame += 1
    rate = (frame - first) / (time.perf_counter() - began)
    p50, p99 = np.percentile(wall[20:], [50, 99])
    cpu = np.percentile(processor[20:], [50, 99])
    print(f"| {told} | {p50:.1f} | {p99:.1f} | {p99 - p50:.1f} | {cpu[0]:.1f} | {cpu[1]:.1f} | {rate:.0f} |", flush=True)


def memory() -> float:
    """Of this process, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(run: str, frames: int) -> None:
    """Print the memory over a long stream in which people come, go, and get ever new names."""
    recogniser = Recogniser(run, fps=FPS, stride=1.0)
    some = lines(recogniser, 3000, 2)
    print("\nmemory in MiB after so many frames")
    for frame in range(frames):
        time_, people = parse_line(at(some[frame % len(some)], frame))
        people = people[: 1 + (frame // 100) % 2]
        if frame % 2000 > 1000:
            people = [replace(one, id=f"tracker {frame // 50} {i}") for i, one in enumerate(people)]
        recogniser.push(time_, people)
        if frame % max(frames // 10, 1) == 0 or frame == frames - 1:
            print(f"{frame:>9,} {memory():>7.1f}", flush=True)
    print(f"{recogniser.counts['windows']:,} windows; {len(recogniser.window.frames)} frames kept")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", help="folders of evaluations, or .onnx; freshly drawn `small` and `paper` if none")
    parser.add_argument("--answers", type=int, default=300)
    parser.add_argument("--bodies", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--exported", action="store_true", help="also the freshly drawn networks' .onnx files")
    parser.add_argument("--soak", type=int, default=0, metavar="FRAMES")
    found = parser.parse_args()
    torch.set_num_threads(found.threads)
    with TemporaryDirectory() as folder:
        runs = {run: run for run in found.runs} or {name: str(fresh(name, Path(folder) / name)) for name in ("small", "paper")}
        if found.exported:
            for name, run in list(runs.items()):
                file = Path(folder) / f"{Path(name).name}.onnx"
                export(Path(run), file)
                runs[f"{name}, exported"] = str(file)
        if found.answers:
            load, columns = os.getloadavg()[0], ["run", "p50", "p99", "jitter", "processor p50", "processor p99", "frames/s"]
            print(f"{found.threads} threads, {found.bodies} bodies, float32, load {load:.1f}; milliseconds\n")
            print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
            for told, run in runs.items():
                measure(run, told, found.answers, found.bodies, found.threads)
        if found.soak:
            soak(found.runs[0] if found.runs else str(fresh("tiny", Path(folder) / "tiny")), found.soak)


if __name__ == "__main__":
    main()
