"""Evaluate an encoder: ``python evaluate.py --run RUN --protocol P --output OUT``.

In several processes: ``torchrun --nproc-per-node N -- evaluate.py --run RUN ...``. Without ``--``, torchrun takes ``--run``
for an option of its own.
"""

import sys

from masksem_graph.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
