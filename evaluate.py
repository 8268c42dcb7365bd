"""Evaluate an encoder: ``python evaluate.py --config PROTOCOL.yaml --checkpoint RUN --output OUT``."""

import sys

from masksem_graph.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
