"""How long a whole NTU RGB+D takes to convert, from a synthetic set: ``python benchmarks/convert_ntu.py [--files 5000]``.

It writes files of NTU-60's kind (``.skeleton`` text with all twelve columns at the recorder's precision, 85 frames on
average, every fifth with two bodies) into a temporary folder, converts them with ``masksem-graph prepare``, and multiplies.
On a machine that is busy otherwise the wall time says little: the processor time, shared by the workers, is what idle cores
would take.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from masksem_graph.data.store import open_store

CLIPS = {"NTU-60": 56_880, "NTU-120": 114_480}
MEAN_FRAMES, TWO_BODIES = 85, 0.2
DIFFERENT = 100
"""Recordings that are made; each is written under many names."""

JOINT = "%.7g %.7g %.7g %.4f %.4f %.4f %.4f %.7g %.7g %.7g %.7g 2\r\n"
BODY = "{} 0 1 1 1 1 0 -0.04129 -0.1734 2\r\n25\r\n"


def main() -> None:
    """Write, convert, open, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    found = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, store = Path(folder) / "skeletons", Path(folder) / "store"
        source.mkdir()
        size = write_set(source, found.files)
        print(
            f"{found.files} files, {size / 2**20:.0f} MiB: {size / found.files / 2**10:.0f} KiB each, {found.workers} workers"
        )
        wall = convert(source, store, found.workers)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = used.ru_utime + used.ru_stime
        print(f"{wall:.1f} s of wall time, {found.files / wall:.0f} files/s")
        print(f"{busy:.1f} s of processor time, {found.files / busy:.0f} files/s of a core")
        print(f"largest process: {used.ru_maxrss >> 10} MiB")
        began = time.perf_counter()
        opened = open_store(store)
        print(f"opened in {1000 * (time.perf_counter() - began):.1f} ms: {len(opened)} clips")
        for name, clips in CLIPS.items():
            disk = sum(path.stat().st_size for path in store.iterdir()) * clips / found.files
            minutes = [seconds * clips / found.files / 60 for seconds in (wall, busy / found.workers)]
            print(
                f"{name}, {clips:,} files: {minutes[0]:.1f} minutes at this wall time, {minutes[1]:.1f} on idle cores,",
                end=" ",
            )
            print(f"a store of {disk / 2**30:.1f} GiB")


def write_set(folder: Path, files: int) -> int:
    """Write the files; returns their bytes."""
    rng = np.random.default_rng(0)
    size = 0
    for i in range(min(files, DIFFERENT)):
        text = recording(rng).encode("ascii")
        for k in range(i, files, DIFFERENT):
            copy, action = divmod(k, 60)
            name = (
                f"S{1 + copy // 120 % 17:03}C{1 + copy % 3:03}P{1 + copy // 3 % 40:03}R{1 + copy // 2040:03}A{1 + action:03}"
            )
            (folder / f"{name}.skeleton").write_bytes(text)
            size += len(text)
    return size


def recording(rng: np.random.Generator) -> str:
    """The text of a file: one or two people about 1.7 m tall who sway."""
    frames = int(np.clip(rng.lognormal(np.log(MEAN_FRAMES) - 0.08, 0.4), 32, 300))
    bodies = 2 if rng.random() < TWO_BODIES else 1
    rest = np.stack([rng.uniform(-0.25, 0.25, (bodies, 25)), np.tile(np.linspace(-0.9, 0.8, 25), (bodies, 1))], -1)
    rest = np.concatenate([rest, np.full((bodies, 25, 1), 3.0)], -1)
    sway = np.cumsum(rng.normal(0, 0.01, (frames, bodies, 1, 3)), 0)
    xyz = rest + sway + rng.normal(0, 0.003, (frames, bodies, 25, 3))
    pixels = rng.uniform(100, 1000, (frames, bodies, 25, 4))
    rows = np.concatenate([xyz, pixels, rng.uniform(-1, 1, (frames, bodies, 25, 4))], -1).reshape(frames, bodies, -1).tolist()
    ids = [72057594037900000 + int(number) for number in rng.choice(90000, bodies, replace=False)]
    one = JOINT * 25
    parts = [f"{frames}\r\n"]
    for frame in rows:
        parts.append(f"{bodies}\r\n")
        parts += [BODY.format(number) + one % tuple(body) for number, body in zip(ids, frame, strict=True)]
    return "".join(parts)


def convert(source: Path, store: Path, workers: int) -> float:
    """Seconds of the command, from its start to its end."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "masksem_graph", "prepare", "ntu", str(source), "--output", str(store), "--strict"]
    subprocess.run([*command, "--workers", str(workers)], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
