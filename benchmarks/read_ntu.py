"""How many NTU RGB+D files a second one core reads, cleans and centres: ``python benchmarks/read_ntu.py FOLDER``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from masksem_graph.data.cleaning import centred, present_only
from masksem_graph.data.readers.ntu import NTUReader

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "ntu-rgbd-samples"


def main() -> None:
    """Print the rate of the fastest of several rounds over the files, which are in the page cache from the second on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=SAMPLES)
    parser.add_argument("--rounds", type=int, default=20)
    found = parser.parse_args()
    reader = NTUReader()
    files = reader.sources(found.folder)
    wall, cpu = (min(times) for times in zip(*(seconds(reader, files) for _ in range(found.rounds)), strict=True))
    print(
        f"{len(files)} files: {len(files) / wall:.0f} files/s of wall time, {len(files) / cpu:.0f} files/s of processor time"
    )


def seconds(reader: NTUReader, files: Sequence[Path]) -> tuple[float, float]:
    """Wall and processor time of one round; they differ on a machine that is busy otherwise."""
    wall, cpu = time.perf_counter(), time.process_time()
    for file in files:
        centred(present_only(reader.read(file)), joint=1)
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
