"""The one exception that a user's mistake raises."""

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

LONGEST = 1500
"""Letters of an error line."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the file or field, what was found and what was expected. The command line prints it
    and exits with code 2. Characters that cannot be printed are written as Python writes them, and what is too long is left
    out.
    """

    def __init__(self, message: str) -> None:
        line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
        super().__init__(line if len(line) <= LONGEST else f"{line[: LONGEST - 150]} ... {line[-140:]}")


def require_range(name: str, value: Any, least: float, most: float) -> None:
    """Raise `InputError` for a number outside of its range; one that is not a number is outside of any."""
    if not isinstance(value, int | float) or not least <= value <= most:
        raise InputError(f"{name}: expected a number from {least} to {most}, found {shown(value)}")


def shown(value: Any) -> str:
    """A value for a message: one line, never long, never deep."""
    try:
        text = repr(value[:60]) if isinstance(value, str) else reprlib.repr(value)
    except Exception:  # a number of a million digits has no text
        text = ""
    return text if text and (len(text) <= 80 and "\n" not in text) else f"a {type(value).__name__}"


def meant(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """What to say of a name that is none of the known ones: the nearest, or all of them."""
    near = difflib.get_close_matches(name, known := list(known), n=1)
    return f"did you mean {prefix}{near[0]}?" if near else f"expected one of {', '.join(known)}"
