"""Heads on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from masksem_graph.errors import InputError
from masksem_graph.models.heads import Head, LinearHead, MLPHead
from masksem_graph.models.io import load_head, save_head

SEQUENCE = torch.tensor([0, 0, 1])


def make(kind: str) -> Head:
    head: Head = MLPHead(width=4, joints=3, classes=5, hidden=6) if kind == "mlp" else LinearHead(width=4, classes=5)
    if kind == "bare":
        head = LinearHead(width=4, classes=5, norm=False)
    for value in head.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return head.eval()


@pytest.mark.parametrize("kind", ["mlp", "linear", "bare"])
def test_on_disk_and_back(tmp_path: Path, kind: str) -> None:
    head, features = make(kind), torch.randn(3, 6, 4)
    save_head(tmp_path, head, width=4, joints=3, classes=["a", "b", "c", "d", "e"])
    saved = load_head(tmp_path)
    assert saved is not None and saved.classes == ("a", "b", "c", "d", "e") and type(saved.head) is type(head)
    assert saved.head.options() == head.options()
    assert torch.equal(saved.head(saved.head.pool(features, SEQUENCE, 2)), head(head.pool(features, SEQUENCE, 2)))


def test_a_run_without_a_head(tmp_path: Path) -> None:
    assert load_head(tmp_path) is None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("format: 2", "format: 3"), r"head\.yaml: format: expected 2, found 3"),
        (lambda text: "- 1\n", r"head\.yaml: format: expected 2, found list"),
        (lambda text: text.replace("classes: 5", "classes: 4"), r"head\.safetensors: it or head\.yaml was changed or damaged"),
        (lambda text: text.replace("LinearHead", "LinearHat"), r"head\.yaml: .*LinearHat"),
        (lambda text: text.replace("width: 4", "width: wide"), r"head\.yaml: .*width"),
    ],
)
def test_damaged_files_give_one_line(tmp_path: Path, damage: Callable[[str], str], message: str) -> None:
    save_head(tmp_path, make("linear"), width=4, joints=3, classes=5)
    path = tmp_path / "head.yaml"
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=message) as error:
        load_head(tmp_path)
    assert "\n" not in str(error.value)
