"""``report.html``: one self-contained page for each run and each evaluation.

`run` and `evaluation` read a folder and say what is on its page (`content`); `writing` makes HTML of it, by ``page.html`` and
``page.css``.
"""

from masksem_graph.report.page.pictures import clear_pictures
from masksem_graph.report.page.writing import NAME, write_page, write_pages

__all__ = ["NAME", "clear_pictures", "write_page", "write_pages"]
