"""Readers, one format a file, found by the file's name: adding a format edits no list."""

import inspect
import pkgutil
from importlib import import_module
from typing import Any

from masksem_graph.config import parse_mapping
from masksem_graph.data.readers.base import Reader
from masksem_graph.errors import InputError, meant
from masksem_graph.trust import import_class

__all__ = ["Reader", "load_reader", "option_names", "reader_class", "reader_names"]


def reader_names() -> list[str]:
    """The formats that ship with the package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def reader_class(name: str) -> type[Reader]:
    """The reader class that a format's name (``ntu``) or a dotted path (``my.package.MyReader``) means."""
    if name in reader_names():
        members = vars(import_module(module := f"{__name__}.{name}")).values()
        (cls,) = (c for c in members if inspect.isclass(c) and c.__module__ == module and issubclass(c, Reader))
        return cls
    if "." not in name:
        raise InputError(f"format {name!r}: {meant(name, reader_names())}, or the dotted path of a Reader class")
    return import_class(name, Reader, field="format")  # type: ignore[type-abstract]


def load_reader(name: str, **options: Any) -> Reader:
    """Build the reader of a format with options, as its constructor takes them.

    Raises:
        InputError: no such reader, no such option, or a value of the wrong type; the line lists what exists.
    """
    cls = reader_class(name)
    known = option_names(cls)
    if unknown := sorted(set(options) - set(known)):
        raise InputError(f"format {name}: no option {unknown[0]!r}, expected {', '.join(known) or 'none'}")
    return parse_mapping(cls, options, source=f"format {name}")


def option_names(cls: type[Reader]) -> list[str]:
    """What a reader's constructor takes."""
    return [p.name for p in inspect.signature(cls).parameters.values() if p.kind is p.KEYWORD_ONLY]
