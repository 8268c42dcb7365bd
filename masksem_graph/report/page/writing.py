"""A page as HTML, and on disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from masksem_graph.console import console
from masksem_graph.errors import InputError
from masksem_graph.files import locked, write_beside
from masksem_graph.report.figures import curves_figure, drawing, save_figure
from masksem_graph.report.names import line
from masksem_graph.report.page import filters
from masksem_graph.report.page.folder import METRICS, RESULTS, metrics, read_evaluation, read_run, run_name
from masksem_graph.report.page.pictures import FIGURES, find_pictures
from masksem_graph.report.tables import part_name, protocol_title

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
            html = render("evaluation.html", **read_evaluation(folder))
        else:
            with drawing("curves"):
                _draw_curves(folder)
            html = render("run.html", **read_run(folder))
        with write_beside(target) as partial:
            partial.write_text(html, encoding="utf-8")
    return target


def write_pages(folder: Path) -> None:
    """Write the page of an evaluation, and anew those of the run, or of whatever else, that it lies in.

    Its own comes last: where it is, all the others are.
    """
    for above in folder.absolute().parents:
        if _is_run(above) or _is_evaluation(above):
            try:
                write_page(above)
            except InputError as error:
                console.print(line(f"{above / NAME}: not written: {error}"), soft_wrap=True, markup=False)
    write_page(folder)


def write_experiment(folder: Path, **found: Any) -> None:
    """Write the page of an experiment: its table, its pictures, and links to the pages of its runs and evaluations."""
    notes: list[str] = []
    html = render("experiment.html", pictures=find_pictures(folder, notes), notes=notes, **found)
    with write_beside(folder / NAME) as partial:
        partial.write_text(html, encoding="utf-8")


def render(template: str, **found: Any) -> str:
    """A template filled in: an HTML5 document that needs nothing beside it."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = (filters.number, filters.duration, filters.joined, protocol_title)
    environment.filters |= {function.__name__: function for function in own}
    environment.filters["yaml"] = lambda fields: yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    environment.globals |= {"at": filters.at, "part_name": part_name, "run_name": run_name}
    # Sections enter themselves in the list of links.
    return NOT_HTML.sub("\N{REPLACEMENT CHARACTER}", environment.get_template(template).render(nav=[], **found))


def _is_evaluation(folder: Path) -> bool:
    return (folder / RESULTS).is_file()


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("encoder.yaml", "last.pt"))


def _draw_curves(folder: Path) -> None:
    rows, drawn = metrics(folder, []), folder / FIGURES / "curves.svg"
    if rows and not (drawn.is_file() and drawn.stat().st_mtime_ns >= (folder / METRICS).stat().st_mtime_ns):
        save_figure(curves_figure(rows), drawn.with_suffix(""))
