"""``python -m masksem_graph COMMAND``."""

from masksem_graph.cli import main

main()
