"""A page as HTML, and on disk."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from masksem_graph.console import console
from masksem_graph.errors import InputError
from masksem_graph.files import locked, write_beside
from masksem_graph.report.figures import curves_figure, save_figure
from masksem_graph.report.page.content import Page
from masksem_graph.report.page.evaluation import evaluation_page
from masksem_graph.report.page.inside import RESULTS
from masksem_graph.report.page.pictures import FIGURES
from masksem_graph.report.page.run import METRICS, metrics, run_page

NAME = "report.html"
NOT_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no HTML document may hold; file names and data can."""


def write_page(folder: Path) -> Path:
    """Write the page of a run or of an evaluation anew.

    Curves that are missing or older than the figures that they show are drawn first.

    Returns:
        the page.

    Raises:
        InputError: the folder is neither, or its results are damaged.
    """
    if not (_is_evaluation(folder) or _is_run(folder)):
        raise InputError(f"{folder}: expected the folder of a run or of an evaluation, found no {RESULTS} and no encoder.yaml")
    target = folder / NAME
    # Evaluations of one run may end at the same time: whoever writes its page last must have seen them all.
    with locked(target, wait=True):
        if _is_evaluation(folder):
            page = evaluation_page(folder)
        else:
            _draw_curves(folder)
            page = run_page(folder)
        with write_beside(target) as partial:
            partial.write_text(render(page), encoding="utf-8")
    return target


def write_pages(folder: Path) -> None:
    """Write the page of an evaluation, and anew those of the run, or of whatever else, that it lies in."""
    write_page(folder)
    for above in folder.absolute().parents:
        if _is_run(above) or _is_evaluation(above):
            try:
                write_page(above)
            except InputError as error:
                console.print(f"{above / NAME}: not written: {error}", soft_wrap=True, markup=False)


def render(page: Page) -> str:
    """The page as an HTML5 document that needs nothing beside it."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return NOT_HTML.sub("\N{REPLACEMENT CHARACTER}", environment.get_template("page.html").render(page=page))


def _is_evaluation(folder: Path) -> bool:
    return (folder / RESULTS).is_file()


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("encoder.yaml", "last.pt"))


def _draw_curves(folder: Path) -> None:
    rows, drawn = metrics(folder, []), folder / FIGURES / "curves.svg"
    if rows and not (drawn.is_file() and drawn.stat().st_mtime_ns >= (folder / METRICS).stat().st_mtime_ns):
        save_figure(curves_figure(rows), drawn.with_suffix(""))
