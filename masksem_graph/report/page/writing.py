"""A page as HTML, and on disk."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from masksem_graph.console import console
from masksem_graph.errors import InputError
from masksem_graph.files import locked, write_beside
from masksem_graph.report.figures import curves_figure, drawing, save_figure
from masksem_graph.report.names import REPLACEMENT, duration, joined, line, number
from masksem_graph.report.page.folder import FIGURES, METRICS, RESULTS, at, find_pictures, metrics, read_evaluation, read_run
from masksem_graph.report.tables import part_name, protocol_title

NAME = "report.html"
RUN = ("encoder.yaml", "last.pt")
NOT_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no HTML document may hold; file names and data can."""


def write_page(folder: Path) -> Path:
    """Write the page of a run or of an evaluation anew; returns it.

    Curves that are missing or older than the figures that they show are drawn first.

    Raises:
        InputError: the folder is neither, or its results are damaged.
    """
    if not _holds(folder, RESULTS, *RUN):
        raise InputError(f"{folder}: expected the folder of a run or of an evaluation, found no {RESULTS} and no encoder.yaml")
    target = folder / NAME
    # Evaluations of one run may end at the same time: whoever writes its page last must have seen them all.
    with locked(target, wait=True):
        if _holds(folder, RESULTS):
            _write(target, "evaluation.html", read_evaluation(folder))
        else:
            rows, curves = metrics(folder, []), folder / FIGURES / "curves.svg"
            if rows and not (curves.is_file() and curves.stat().st_mtime_ns >= (folder / METRICS).stat().st_mtime_ns):
                with drawing("curves"):
                    save_figure(curves_figure(rows), curves.with_suffix(""))
            _write(target, "run.html", read_run(folder))
    return target


def write_pages(folder: Path) -> None:
    """Write the page of an evaluation, last, and before it anew those of the run or whatever else that it lies in."""
    for above in folder.absolute().parents:
        if _holds(above, RESULTS, *RUN):
            try:
                write_page(above)
            except InputError as error:
                console.print(line(f"{above / NAME}: not written: {error}"), soft_wrap=True, markup=False)
    write_page(folder)


def write_experiment(folder: Path, **found: Any) -> None:
    """Write the page of an experiment: its table, its pictures, and links to the pages of its runs and evaluations."""
    notes: list[str] = []
    _write(folder / NAME, "experiment.html", {"pictures": find_pictures(folder, notes), "notes": notes, **found})


def _write(target: Path, template: str, found: dict[str, Any]) -> None:
    html = render(template, **found)
    with write_beside(target) as partial:
        partial.write_text(html, encoding="utf-8")


def render(template: str, **found: Any) -> str:
    """A template filled in: an HTML5 document that needs nothing beside it."""
    # Sections enter themselves in the list of links.
    return NOT_HTML.sub(REPLACEMENT, _templates().get_template(template).render(nav=[], **found))


@cache
def _templates() -> Environment:
    space: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    loader = FileSystemLoader(Path(__file__).parent, encoding="utf-8")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, **space)
    environment.filters |= {"number": number, "duration": duration, "joined": joined, "protocol_title": protocol_title}
    environment.filters["yaml"] = lambda fields: yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    environment.globals |= {"at": at, "part_name": part_name}
    return environment


def _holds(folder: Path, *names: str) -> bool:
    return any((folder / name).is_file() for name in names)
