"""The one exception that a user's mistake raises."""

from __future__ import annotations

import reprlib
from typing import Any


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the file or field, what was found and what was expected. The command line prints it
    and exits with code 2; a program that calls the package catches it like any ``ValueError``.
    """


def shown(value: Any) -> str:
    """A value for a message: one line, never long, never deep."""
    try:
        text = repr(value[:60]) if isinstance(value, str) else reprlib.repr(value)
    except Exception:  # a number of a million digits has no text
        text = ""
    return text if text and (len(text) <= 80 and "\n" not in text) else f"a {type(value).__name__}"
