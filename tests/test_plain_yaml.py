"""YAML in and out: scalars as people mean them, and faults in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from masksem_graph.errors import InputError
from masksem_graph.options import as_value
from masksem_graph.plain_yaml import parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[yes, no]", ["yes", "no"]),
        ("[01]", ["01"]),
        ("1e-3", 1e-3),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("null", None),
        ("-3", -3),
        ("a: b: c", "a: b: c"),
        ("C:\\x: [", "C:\\x: ["),
    ],
)
def test_scalars_as_people_mean_them(text: str, value: Any) -> None:
    assert as_value(text) == value and type(as_value(text)) is type(value)


def test_yaml_aliases_and_doubles_are_refused() -> None:
    for text in ("a: &x [1]\nb: *x", "a: 1\na: 2", "[" * 5000, "a: \x01"):
        with pytest.raises(InputError, match=r"not a readable YAML|nested deeper than 50 levels"):
            parse_yaml(text, "mine.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n  b: 1\n c: 2", "line 3, column 2: another indentation than the lines before"),
        ("- a\nb: 1", "line 2, column 1: another indentation than the lines before"),
        ("a: 1\n\tb: 2", "line 2, column 1: a tab; lines are indented by spaces"),
        ("a: [1", "line 2, column 1: a [ without its ]"),
        ("a: 'x", "line 1, column 6: a quote without its end"),
        ("a: b: c", "line 1, column 5: a second colon; text with a colon in it stands in quotes"),
    ],
)
def test_faults_of_yaml_in_plain_words(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_yaml(text, "mine.yaml")
    assert str(refused.value) == f"mine.yaml: not a readable YAML file: {message}"
