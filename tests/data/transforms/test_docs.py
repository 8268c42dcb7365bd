"""The Python of docs/transforms.md runs, and its tables are right."""

from __future__ import annotations

import re
from pathlib import Path

import torch

import masksem_graph.data.transforms as transforms

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "transforms.md").read_text(encoding="utf-8")


def test_the_blocks_run_one_after_the_other() -> None:
    names: dict = {}
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    first, own = (compile(block, "docs/transforms.md", "exec") for block in blocks)
    exec(first, names)
    before = names["clip"].frames
    exec(own, names)
    after = names["clip"].frames
    assert torch.equal(after[..., 1:], before[..., 1:])
    moved, height = (after - before)[..., 0], before[..., 1]
    lean = (moved * height).sum() / (height**2).sum()
    torch.testing.assert_close(moved, lean * height, atol=1e-5, rtol=1e-5)
    assert 0 < lean.abs() <= 0.3


def test_numbers_and_linear() -> None:
    rows = re.findall(r"^\| `(\w+)\(.*\| (\d+) \| (yes|no) \|$", TEXT, flags=re.MULTILINE)
    assert {name for name, _, _ in rows} == {
        name for name in transforms.__all__ if isinstance(getattr(transforms, name), type)
    } - {"SkeletonTransform"}
    for name, numbers, linear in rows:
        part = getattr(transforms, name)
        assert (part.numbers, part.linear) == (int(numbers), linear == "yes"), name
