"""``report.html``, one page for each run and each evaluation: `folder` reads, the templates say what is shown."""

from masksem_graph.report.page.writing import write_page, write_pages

__all__ = ["write_page", "write_pages"]
