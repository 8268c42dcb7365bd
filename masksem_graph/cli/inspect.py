"""Show what is in a store, as a table and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from masksem_graph.config import Parser
from masksem_graph.data.inspect import inspect_store
from masksem_graph.data.prepare import cached_store
from masksem_graph.data.readers import reader_names
from masksem_graph.data.store import open_store


def main(argv: Sequence[str]) -> None:
    """Run ``inspect STORE_OR_SOURCE [--format F] [--output DIR]``."""
    parser = Parser(prog="masksem-graph inspect", description=__doc__)
    parser.add_argument("store", type=str, help="a store, or with --format the data itself")
    parser.add_argument("--format", type=str, help=f"the source's format: {', '.join(reader_names())}")
    parser.add_argument("--output", type=str, help="a folder for the pictures; without it there is only the table")
    found = parser.parse_args(list(argv))
    store = cached_store(found.format, found.store) if found.format else open_store(found.store)
    inspect_store(store, output=Path(found.output) if found.output else None)
