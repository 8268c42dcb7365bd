"""An argument parser whose faults are one line each."""

from __future__ import annotations

import pytest

from masksem_graph.errors import InputError
from masksem_graph.parser import Parser


def test_a_required_option_that_is_left_out_is_named_as_it_is_typed() -> None:
    parser = Parser()
    parser.add_argument("clips", type=str, nargs="+")
    parser.add_argument("--run", type=str, required=True)
    with pytest.raises(InputError, match=r"^clips, --run: required, but not given$"):
        parser.parse_args([])
