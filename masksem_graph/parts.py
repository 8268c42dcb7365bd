"""Parts: classes that a configuration names and a builder calls."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Part = TypeVar("Part")


def build_part(make: Callable[..., Part], **offered: Any) -> Part:
    """A part, given those of the offered arguments, such as ``width`` or ``segments``, that its constructor names."""
    asked = inspect.signature(_constructor(make)).parameters
    return make(**{name: value for name, value in offered.items() if name in asked})


def _constructor(make: Any) -> Any:
    # jsonargparse applies a helper of its own partially, with the class as its argument.
    if not isinstance(make, functools.partial):
        return make
    return next((argument for argument in make.args if inspect.isclass(argument)), None) or _constructor(make.func)
