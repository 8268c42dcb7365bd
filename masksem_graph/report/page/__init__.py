"""``report.html``: one self-contained page for each run and each evaluation.

`run` and `evaluation` read a folder and say what is on its page (`content`); `writing` makes HTML of it, by ``page.html`` and
``page.css``.
"""

from masksem_graph.report.page.writing import NAME, write_page, write_pages

__all__ = ["NAME", "write_page", "write_pages"]
