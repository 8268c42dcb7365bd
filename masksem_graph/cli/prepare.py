"""Turn the files of a data set into a store, which training reads."""

import os
import sys

from masksem_graph.console import console
from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers import reader_class, reader_names
from masksem_graph.data.readers.base import Origin
from masksem_graph.parser import Parser


def main(argv: list[str]) -> None:
    """Run ``prepare FORMAT SOURCE --output STORE``; the format's reader adds its own options."""
    format = argv[0] if argv and not argv[0].startswith("-") else None
    parser = Parser(prog="masksem-graph prepare", description=f"{__doc__} `prepare FORMAT --help` lists a format's options.")
    parser.add_argument("format", help=f"one of {', '.join(reader_names())}, or the dotted path of a Reader class")
    parser.add_argument("source", type=str, help="the folder or the file with the data")
    parser.add_argument("--output", type=str, required=True, help="the store to write")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad clip instead of skipping it")
    parser.add_argument("--origin", type=Origin | None, help="`centre` or `none`; else what is usual for the format")
    options = parser.add_class_arguments(reader_class(format)) if format else []
    found = parser.parse_args(argv)
    own = {name: found[name] for name in options}
    how = {name: found[name] for name in ("workers", "strict", "origin")}
    try:
        prepare(found.format, found.source, found.output, options=own, **how)
    except KeyboardInterrupt:
        console.print("stopped; nothing was written")
        sys.exit(130)
