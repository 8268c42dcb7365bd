"""``report.html``: one self-contained page for each run and each evaluation.

`folder` reads what a folder holds, as plain data. The templates beside it say what is shown: ``page.html`` is around both
kinds, ``run.html`` and ``evaluation.html`` are the two, ``parts.html`` has what they share.
"""

from masksem_graph.report.page.pictures import clear_pictures
from masksem_graph.report.page.writing import NAME, write_page, write_pages

__all__ = ["NAME", "clear_pictures", "write_page", "write_pages"]
