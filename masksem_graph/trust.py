"""Which classes may be imported because a file, which may be a stranger's, names them: those of `PACKAGES`, and those that
the user names, with ``--trust MODULE`` or by giving a class on the command line.
"""

import difflib
import inspect
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import jsonargparse

from masksem_graph.compose import PACKAGES
from masksem_graph.errors import InputError
from masksem_graph.files import digest
from masksem_graph.plain_yaml import parse_yaml

Kind = TypeVar("Kind")

_allowed: list[str] = list(PACKAGES)
WHERE = "modules of your own lie in the current folder, or beside the YAML file that names them"

# A mapping with `class_path` under a field that takes anything stays a mapping: nothing is made of it.
jsonargparse.set_parsing_settings(
    import_path_denylist=["*"], import_path_allowlist=list(PACKAGES), instantiate_subclass_spec_in_any=False
)
jsonargparse.set_loader("yaml", lambda text: parse_yaml(text, "option"), exceptions=(InputError,))


def allow(*names: str, beside: Sequence[Path] = (), field: str = "--trust") -> None:
    """Import from these modules, or these classes, too: what the user has named, never what a file says.

    They are found in the current folder, and in those of ``beside``.
    """
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")) or name.split(".")[0] == "jsonargparse":
            raise InputError(f"{field}: expected the name of a module, such as my_parts, found {name!r}")
    for folder in (os.getcwd(), *(str(folder.resolve()) for folder in beside)):
        if folder not in sys.path:  # last, so that nothing there hides an installed package
            sys.path.append(folder)
    for name in names:
        if (module := name.partition(".")[0]) not in sys.modules and find_spec(module) is None:
            raise InputError(f"{field}: {name}: there is no module {module}; {WHERE}")
    _allowed.extend(name for name in names if name not in _allowed)
    jsonargparse.set_parsing_settings(import_path_allowlist=list(names))


def allow_class(path: str, field: str) -> None:
    """Import this class, which the user has named; an `InputError` where there is none."""
    if not is_allowed(path):
        if "." not in path:
            raise InputError(f"{field}: expected the dotted path of a class, such as my_parts.MyClass, found {path}")
        allow(path, field=field)
        allow(_home(_import(path, field)))  # jsonargparse looks at the module in which a class is defined, too


def is_allowed(path: str) -> bool:
    """Whether a dotted path lies in what may be imported."""
    return any(path == name or path.startswith(f"{name}.") for name in _allowed)


def refusal(path: str) -> str:
    """Why a class is not imported, and what to do."""
    return (
        f"{path} is not imported: it is no part of {' or '.join(PACKAGES)}; "
        f"if you trust that code, add --trust {(module := path.partition('.')[0])}, in Python mg.trust.allow({module!r})"
    )


def import_class(path: str, kind: type[Kind], *, field: str) -> type[Kind]:
    """The class that a dotted path names; an `InputError` of ``field`` where it may not be imported or is no ``kind``."""
    if not is_allowed(path):
        raise InputError(f"{field}: {refusal(path)}")
    found = _import(path, field)
    if not is_allowed(_home(found)):
        raise InputError(f"{field}: {refusal(_home(found))}")
    if not issubclass(found, kind):
        raise InputError(f"{field}: expected a subclass of {_home(kind)}, found {path}")
    return found


def own_parts(fields: Any) -> dict[str, str]:
    """The classes that plain data names and that are no part of `PACKAGES`, with the SHA-256 of the file of each."""
    found: dict[str, str] = {}
    for value in fields.values() if isinstance(fields, dict) else fields if isinstance(fields, list) else ():
        found |= own_parts(value)
    path = fields.get("class_path") if isinstance(fields, dict) else None
    if isinstance(path, str) and not path.startswith(tuple(f"{name}." for name in PACKAGES)):
        file = inspect.getsourcefile(_import(path, "class_path"))
        found[path] = digest(Path(file)) if file else "unknown"
    return found


def _home(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _import(path: str, field: str) -> type:
    module, _, name = path.rpartition(".")
    try:
        home = import_module(module)
    except (ImportError, ValueError, SyntaxError) as error:
        hint = f"; {WHERE}" if isinstance(error, ModuleNotFoundError) else ""
        raise InputError(f"{field}: {path}: {' '.join(str(error).split())}{hint}") from None
    if (found := getattr(home, name, None)) is None:
        near = difflib.get_close_matches(name, [key for key, value in vars(home).items() if inspect.isclass(value)], n=1)
        hint = f"; did you mean {module}.{near[0]}?" if near else ""
        raise InputError(f"{field}: {path}: {module} has no such class{hint}")
    if not inspect.isclass(found):
        raise InputError(f"{field}: {path}: expected a class, found {type(found).__name__}")
    return found
