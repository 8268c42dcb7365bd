"""Command lines for tests."""

from __future__ import annotations

from collections.abc import Sequence


def replaced(arguments: Sequence[str], *more: str) -> list[str]:
    """Options with a value each, some of them given another one: the command line takes each once."""
    pairs = dict(zip(arguments[::2], arguments[1::2], strict=True)) | dict(zip(more[::2], more[1::2], strict=True))
    return [part for pair in pairs.items() for part in pair]
