"""Names are text, whatever they hold, and values as text: on the terminal, in pictures, in tables, on pages."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from rich.text import Text

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MISSING = "\N{EN DASH}"
_LATEX: dict[str, str | int | None] = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "±": "$\\pm$",
}


def line(name: Any) -> str:
    """One line of printable characters: white space becomes a space, what cannot be printed becomes U+FFFD."""
    return "".join(letter if letter.isprintable() else REPLACEMENT for letter in " ".join(str(name).split()))


def cell(name: Any) -> Text:
    """For a table on the terminal: rich reads no markup in it."""
    return Text(line(name))


def markdown(name: Any) -> str:
    """For Markdown: no link, no emphasis, no HTML, no end of a cell."""
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", line(name))


def latex(name: Any) -> str:
    """For LaTeX: no command, no mathematics."""
    return line(name).translate(str.maketrans(_LATEX))


def shown(name: str) -> str:
    """A joint or a part in a picture: `drawn`, with spaces for underscores."""
    return drawn(name.replace("_", " "))


def drawn(name: Any) -> str:
    """For matplotlib: no mathematics, and glyphs for every character.

    A script that matplotlib's fonts lack is drawn with an installed font that has it, which is added to the fallbacks in
    ``rcParams["font.family"]``. Where no font has a character, its code point is drawn: ``<4E2D>``. A line on the terminal
    then says so.
    """
    text = line(name)
    if not text.isascii():
        lacking = _without_glyphs(frozenset(letter for letter in text if not letter.isascii()))
        text = "".join(f"<{ord(letter):04X}>" if letter in lacking else letter for letter in text)
    # An escaped dollar is a dollar, however many there are.
    return text.replace("$", r"\$")


@cache
def _without_glyphs(letters: frozenset[str]) -> frozenset[str]:
    """Those of the letters that no font has, after fallbacks for the others are set."""
    import matplotlib
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    for family in matplotlib.rcParams["font.family"]:
        letters -= _glyphs(findfont(FontProperties(family=[family])))
    # cm* number their glyphs in a way of their own, and Last Resort has only boxes.
    others = [font for font in fontManager.ttflist if not font.name.startswith(("cm", "Last Resort"))]
    others.sort(key=lambda font: (font.style != "normal", abs(int(font.weight) - 400) if str(font.weight).isdigit() else 400))
    while letters and others:
        best = max(others, key=lambda font: len(letters & _glyphs(font.fname)))
        if not letters & _glyphs(best.fname):
            break
        matplotlib.rcParams["font.family"] = [*matplotlib.rcParams["font.family"], best.name]
        letters -= _glyphs(best.fname)
    if letters:
        from masksem_graph.console import console

        some = "".join(sorted(letters)[:10])
        told = f"no installed font has {some}: drawn as code points; a font such as Noto Sans CJK would show them"
        console.print(told, soft_wrap=True, markup=False)
    return letters


@cache
def _glyphs(path: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # a damaged font file
        return frozenset()


def number(value: Any, digits: int = 1) -> str:
    """A figure with so many decimals; anything but a finite number is `MISSING`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:  # NaN neither
        return MISSING
    return f"{value:.{digits}f}"


def duration(seconds: Any) -> str:
    """``5.2 s``, ``58 s``, ``3 min 31 s``, ``2 h 5 min``."""
    if number(seconds) == MISSING:
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def joined(values: Any) -> str:
    """Values that differ, in order, as one text; what is not there is `MISSING`."""
    if isinstance(values, str | int | float):
        values = [values]
    elif not isinstance(values, Iterable) or isinstance(values, dict):
        return MISSING
    return ", ".join(dict.fromkeys(MISSING if value in (None, "") else str(value) for value in values)) or MISSING


def short(commit: Any) -> str:
    """A commit in ten letters, and whether files differed from it."""
    if not commit:
        return "unknown (an installed wheel, or no git)"
    name, dirty, _ = str(commit).partition("-dirty")
    return name[:10] + dirty
