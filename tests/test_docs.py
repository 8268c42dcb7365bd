"""The pages do what they say: every Python block of README and docs runs, in order, in one session a page."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(page for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")) if "```python" in page.read_text())
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"# ([\w./]+\.(?:py|yaml))$", re.MULTILINE)
"""A block whose first line names a file is that file; blocks after it may import it."""
SHORT = {r"epochs=\d+": "epochs=1"}
"""A page may train for long; its test does not."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty current folder that Python imports from, and forgets afterwards."""
    modules, path, here = set(sys.modules), list(sys.path), Path.cwd()
    os.chdir(tmp_path)
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    os.chdir(here)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_python_blocks_run(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": page.stem}
    text = page.read_text()
    for block in BLOCK.finditer(text):
        language, code = block.groups()
        file = NAMED.match(code)
        if file and language in ("python", "yaml"):
            (folder / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / file[1]).write_text(code)
        if language == "python":
            for pattern, short in SHORT.items():
                code = re.sub(pattern, short, code)
            # Faults are told with the page's own line numbers.
            code = "\n" * text.count("\n", 0, block.start(2)) + code
            exec(compile(code, str(page), "exec", dont_inherit=True), names)
