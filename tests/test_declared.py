"""What sources declare is what the imported classes have."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from importlib import import_module

import pytest

from masksem_graph.declared import declared_fields
from masksem_graph.options import HOMES


@pytest.mark.parametrize(
    "home", [*HOMES.values(), "masksem_graph.training.config.RunConfig", "masksem_graph.evaluation.config.EvaluateConfig"]
)
def test_the_same_fields(home: str) -> None:
    module, _, name = home.rpartition(".")
    there = {field.name: field for field in fields(getattr(import_module(module), name))}
    declared = declared_fields(home)
    assert list(declared) == list(there)
    for key, field in declared.items():
        none = there[key].default is MISSING and there[key].default_factory is MISSING
        assert (field.default is None) == none, key


@dataclass
class Example:
    """An example.

    Args:
        one, two: of a kind,
            told in two lines.
        three: the last.

    Raises:
        four: is no field.
    """

    one: int
    two: str = "x"
    three: float | None = None


def test_help_is_read_from_the_docstring(monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    from masksem_graph import declared

    monkeypatch.setattr(declared, "PACKAGE", Path(__file__).resolve().parent)
    found = declared.declared_fields.__wrapped__("tests.test_declared.Example")
    assert [(field.name, field.type, field.default) for field in found.values()] == [
        ("one", "int", None),
        ("two", "str", "x"),
        ("three", "float | None", "None"),
    ]
    assert found["one"].help == found["two"].help == "of a kind, told in two lines."
    assert found["three"].help == "the last."
