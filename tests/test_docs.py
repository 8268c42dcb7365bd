"""The pages do what they say: every Python block of README and docs runs, in order, in one session a page."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    page.stem: page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if "```python" in page.read_text()
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
WALK_THROUGH = re.compile(r"<!-- walk-through -->.*?<!-- end of walk-through -->", re.DOTALL)
"""Between these marks shell blocks run too: what follows uses what they make."""
NAMED = re.compile(r"# ([\w./]+\.(?:py|yaml))$", re.MULTILINE)
"""A block whose first line names a file is that file; blocks after it may import it."""
SHORT = {r"\bepochs=\d+": "epochs=1, figures=False", r'(mg\.evaluate\([^)]*"linear")\)': r"\1, epochs=1, figures=False)"}
"""A page may train for long and draw at the end; its test does neither."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder that Python imports from and forgets; commands in it are this checkout's."""
    before, path = set(sys.modules), list(sys.path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in {"masksem-graph": "-m masksem_graph", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    here = tmp_path / "reader"
    here.mkdir()
    monkeypatch.chdir(here)
    sys.path.insert(0, str(here))
    yield here
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(here)):
            del sys.modules[name]


def run_page(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": page.stem}
    text = page.read_text()
    walks = [range(*found.span()) for found in WALK_THROUGH.finditer(text)]
    for block in BLOCK.finditer(text):
        language, code = block.groups()
        if (file := NAMED.match(code)) and language in ("python", "yaml"):
            (folder / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / file[1]).write_text(code)
        if language == "sh" and any(block.start() in walk for walk in walks):
            answer = subprocess.run(["sh", "-e", "-c", code], capture_output=True, text=True, timeout=600, check=False)
            assert answer.returncode == 0, answer.stderr
        if language == "python":
            # Faults are told with the page's own line numbers.
            for long, short in SHORT.items():
                code = re.sub(long, short, code)
            code = "\n" * text.count("\n", 0, block.start(2)) + code
            exec(compile(code, str(page), "exec", dont_inherit=True), names)


@pytest.mark.parametrize("name", PAGES)
def test_python_blocks_run(name: str, folder: Path) -> None:
    run_page(PAGES[name], folder)


@pytest.mark.parametrize("name", ["architecture", "checkpoints", "method", "parts", "protocols", "topologies", "transforms"])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / "docs" / f"{name}.md"
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        file, _, place = target.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), target
        if place:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            assert place in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_every_shipped_protocol_and_method_is_described() -> None:
    for group, page in {"protocol": "protocols", "method": "method"}.items():
        table = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / f"{page}.md").read_text(), re.MULTILINE))
        missing = {path.stem for path in (ROOT / "configs" / group).glob("*.yaml")} - table
        assert not missing, missing


@pytest.mark.parametrize("name", ["checkpoints", "parts", "protocols", "topologies"])
def test_train_and_evaluate_understand_the_commands(name: str, folder: Path) -> None:
    from masksem_graph.cli import _trusting, evaluate, train
    from masksem_graph.options import read_options

    text = (ROOT / "docs" / f"{name}.md").read_text()
    for _, code in BLOCK.findall(text):
        if file := NAMED.match(code):
            (folder / file[1]).write_text(code)
    commands = [shlex.split(found.replace("\\\n", " ")) for found in re.findall(r"^    (python .*?(?:\\\n.*?)*)$", text, re.M)]
    for _, program, *arguments in commands:
        if "--fuse" in arguments:
            continue  # reads the folders themselves
        command = {"train.py": train, "evaluate.py": evaluate}[program]
        options = read_options(_trusting(arguments), command.ROOT, command.GROUPS)
        if command is train:
            train.read(options)
        else:
            none = options.overrides["run"] == "none"
            evaluate.read(options, None if none else {"data": {"format": "demo", "split": "xsub"}})
    assert commands


def test_no_page_holds_the_marks_of_a_merge() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    assert len(pages) > 10
    assert not [page.name for page in pages if re.search(r"^(<{7}|={7}|>{7})( |$)", page.read_text(), re.MULTILINE)]
