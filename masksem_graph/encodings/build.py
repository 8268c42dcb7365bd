"""From an encoding's configuration to the module."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from masksem_graph.encodings.base import Encoding, EncodingFactory


def build_encoding(make: EncodingFactory, *, width: int, joints: tuple[str, ...], segments: int) -> Encoding:
    """An encoding, given what its constructor asks for by name.

    Args:
        make: the class with its options set.
        width: D.
        joints: names of all joints that it is to know.
        segments: Te.
    """
    known: dict[str, Any] = {"joints": joints, "segments": segments}
    asked = inspect.signature(_constructor(make)).parameters
    return make(width=width, **{name: value for name, value in known.items() if name in asked})


def _constructor(make: Any) -> Any:
    """The class or function behind partial applications, jsonargparse's too."""
    while isinstance(make, functools.partial):
        make = make.func
    return getattr(make, "class_type", make)
