"""Names are text, whatever they hold."""

from __future__ import annotations

import io
from collections.abc import Iterator

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import fontManager
from rich.console import Console

from masksem_graph.report import names
from masksem_graph.report.figures import confusion_figure, drawing, save_figure

ODD = ["$\\frac{$", "[/red]", "<script>", "a^b", "two\nlines", "\x1b[31mred", "坐下", "", "\ud800", "a$b$c", "under_score"]


@pytest.fixture(autouse=True)
def fonts() -> Iterator[None]:
    """Fallback fonts of a test are gone after it."""
    names.drawn("é")  # matplotlib remembers its own font, before a test takes all fonts away
    names._without_glyphs.cache_clear()
    with matplotlib.rc_context():
        yield
    names._without_glyphs.cache_clear()


@given(st.text())
def test_a_line_is_one_line_of_printable_characters(name: str) -> None:
    assert names.line(name).isprintable() and names.line(names.line(name)) == names.line(name)


def test_what_cannot_be_printed_is_seen() -> None:
    assert names.line("\x1b[31m\tred\n") == "\ufffd[31m red" and names.line("under_score") == "under_score"


@given(st.text())
def test_rich_prints_it_as_it_is(name: str) -> None:
    out = io.StringIO()
    Console(file=out, width=10_000, no_color=True).print(names.cell(name))
    assert out.getvalue().rstrip("\n") == names.line(name)


def test_markdown_and_latex() -> None:
    assert names.markdown("a|b <i> *c* [d](e) $f$") == r"a\|b \<i\> \*c\* \[d\](e) \$f\$"
    assert names.latex("a^b_c {d} \\e ~ 5 % ±") == (
        r"a\textasciicircum{}b\_c \{d\} \textbackslash{}e \textasciitilde{} 5 \% $\pm$"
    )


def test_every_class_name_can_be_drawn(tmp_path) -> None:
    confusion = [[1] * len(ODD)] * len(ODD)
    save_figure(confusion_figure(confusion, tuple(ODD), title=ODD[0]), tmp_path / "confusion")
    assert (tmp_path / "confusion.png").stat().st_size > 5000


def test_a_script_without_a_font_is_drawn_as_code_points(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fontManager, "ttflist", [])
    assert names.drawn("坐 é $x$") == r"<5750> é \$x\$"
    assert "no installed font has 坐: drawn as code points" in capsys.readouterr().err


def test_an_installed_font_is_used_where_it_has_the_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = [font for font in fontManager.ttflist if font.name == "STIXGeneral" and font.style == "normal"]
    entry = min(fonts, key=lambda font: font.weight)
    letter = sorted(names._glyphs(entry.fname) - names._glyphs(matplotlib.font_manager.findfont("DejaVu Sans")))
    wanted = next(one for one in letter if one.isprintable() and not one.isascii())
    monkeypatch.setattr(fontManager, "ttflist", [entry])
    assert names.drawn(wanted) == wanted and matplotlib.rcParams["font.family"][-1] == "STIXGeneral"


def test_drawing_may_fail_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with drawing("confusion"):
        raise RuntimeError("two\nlines [/red]")
    assert capsys.readouterr().err == "confusion: not drawn: RuntimeError: two lines [/red]\n"
