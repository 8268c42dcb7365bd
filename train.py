"""Pre-train an encoder: ``python train.py --data D --model M --method N [--a.b value ...] --output RUN``."""

import sys

from masksem_graph.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
