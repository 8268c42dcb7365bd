"""Show what is in a store, as a table and as pictures."""

from pathlib import Path

from masksem_graph.cli import format_of
from masksem_graph.data.inspect import inspect_store
from masksem_graph.data.prepare import cached_store
from masksem_graph.data.readers import reader_class, reader_names
from masksem_graph.data.readers.base import Origin
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError
from masksem_graph.parser import Parser


def main(argv: list[str]) -> None:
    """Run ``inspect STORE_OR_SOURCE [--format F [its options]] [--output DIR]``."""
    format = format_of(argv)
    parser = Parser(prog="masksem-graph inspect", description=f"{__doc__} With --format, `--help` lists the format's options.")
    parser.add_argument("store", type=str, help="a store, or with --format the data itself")
    parser.add_argument("--format", type=str, help=f"the source's format: {', '.join(reader_names())}")
    parser.add_argument("--origin", type=Origin | None, help="with --format: `centre` or `none`; else what is usual for it")
    parser.add_argument("--output", type=str, help="a folder for the pictures; without it there is only the table")
    names = parser.add_class_arguments(reader_class(format)) if format else []
    found = parser.parse_args(argv)
    if format:
        store = cached_store(format, found.store, origin=found.origin, options={name: found[name] for name in names})
    elif found.origin:
        raise InputError("--origin: a store has its origin; expected this with --format and the data itself")
    else:
        store = open_store(found.store)
    inspect_store(store, output=Path(found.output) if found.output else None)
