"""Evaluate an encoder: ``python evaluate.py --run RUN --protocol P --output OUT``; with torchrun: ``torchrun ... -- evaluate.py``."""

import sys

from masksem_graph.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
