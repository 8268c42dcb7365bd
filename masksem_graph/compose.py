"""YAML files, options of a group and dotted fields in, in any order; one nested configuration out (docs/architecture.md)."""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from masksem_graph.declared import declared_fields
from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml, shipped
from masksem_graph.plain_yaml import read_plain

Path_ = tuple[str, ...]

CLASS_PATH, INIT_ARGS, REQUIRES = "class_path", "init_args", "requires"
PACKAGES = ("masksem_graph", "torch_geometric.nn")
"""Their classes may be named by any file."""


class Group(NamedTuple):
    """An option that fills the section at ``path``: a dataclass, ``home``, or where that is None a part, or a list of them."""

    path: Path_
    home: str | None
    help: str


GROUPS = {
    "data": Group(("data",), "masksem_graph.data.config.DataConfig", "the clips"),
    "augment": Group(("augment",), None, "transforms of the training clips"),
    "model": Group(("model",), "masksem_graph.models.build.ModelConfig", "the networks"),
    "backbone": Group(("model", "backbone"), None, "the encoder's blocks; also the dotted path of a class"),
    "encodings": Group(("model", "encodings"), None, "positional encodings"),
    "method": Group(("method",), "masksem_graph.tasks.pretrain.MethodConfig", "what is masked and predicted"),
    "train": Group(("train",), "masksem_graph.training.config.TrainConfig", "epochs, batches and the optimiser"),
    "protocol": Group(("protocol",), None, "how to evaluate; also the dotted path of a class"),
    "labels": Group(("labels",), "masksem_graph.protocols.labels.LabelsConfig", "the labelled share, such as 1%"),
}
"""By option; a group that fills a part of another's section comes after it."""

SCALE = ("depth", "heads")
"""Options of a backbone that stay when another class takes its place: how large a model is, is the model's business."""


class Competed(NamedTuple):
    """A field that two sources set to different values."""

    field: str
    value: Any
    source: str
    other_value: Any
    other_source: str

    def __str__(self) -> str:
        return (
            f"{self.field} = {part_line(self.value)} from {self.source} ({self.other_source}: {part_line(self.other_value)})"
        )


@dataclass
class Composed:
    """A configuration as plain data, before its types are checked.

    ``fields`` are nested, parts as ``class_path`` and ``init_args``. By dotted name, ``origin`` has the source of each leaf,
    and ``scale`` depth and heads of a class that another one replaced.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    competed: list[Competed] = field(default_factory=list)
    scale: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, path: Path_, value: Any, source: str) -> None:
        """Set a field. A mapping is merged into what is there; another class starts with no options."""
        node = self.fields
        for depth, name in enumerate(path[:-1], 1):
            node = _inside(node, name, path[:depth])
        name = path[-1]
        node = _options(node, name)
        if name == CLASS_PATH and node.get(name, value) != value:
            self._change_class(node, path[:-1])
        before = node.get(name)
        if is_part(before) and isinstance(value, str):
            value = {CLASS_PATH: value}
        if is_part(value) and isinstance(before, str):
            before = node[name] = {CLASS_PATH: before}
        if not isinstance(value, Mapping) or not isinstance(before, dict):
            self._replace(node, path, value, source)
            return
        for inner, entry in sorted(value.items(), key=lambda item: item[0] != CLASS_PATH):
            self.put((*path, inner), entry, source)

    def put_beside(self, leaf: str, value: Any, source: str, by_option: set[str], decided: Sequence[str]) -> None:
        """Set a field of an experiment beside what a file of a group says.

        An `InputError` where it changes what a file says that an option names, unless the user has ``decided``.
        """
        known, other = flatten(self.fields), self.source_of(leaf)
        if any(_is_inside(leaf, one) for one in decided):
            return
        if leaf in known and known[leaf] != value and other in by_option:
            option = leaf.removesuffix(f".{CLASS_PATH}")
            raise InputError(f"{leaf}: {source} says {value}, {other} says {known[leaf]}; expected one, or --{option}")
        self.put(tuple(leaf.split(".")), value, source)

    def source_of(self, name: str) -> str | None:
        """Where a field comes from, or a field inside it, or the one that holds it."""
        for candidate in (name, *(name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1))):
            found = {source for leaf, source in self.origin.items() if _is_inside(leaf, candidate)}
            if found:
                return found.pop() if len(found) == 1 else None
        return None

    def _change_class(self, node: dict[str, Any], path: Path_) -> None:
        name, options = dotted(path), node.pop(INIT_ARGS, {})
        self.scale[name] = self.scale.get(name, {}) | {key: options[key] for key in SCALE if key in options}
        gone = [leaf for leaf in self.origin if _is_inside(leaf, name) and leaf not in (name, f"{name}.{CLASS_PATH}")]
        self.origin = {leaf: source for leaf, source in self.origin.items() if leaf not in gone}

    def _replace(self, node: dict[str, Any], path: Path_, value: Any, source: str) -> None:
        before, name = node.get(path[-1]), dotted(path)
        told = path[-1] in node and before != value and not isinstance(before, Mapping) and not isinstance(value, Mapping)
        if told and (other := self.source_of(name)) and other != source:
            self.competed = [one for one in self.competed if one.field != name]
            self.competed.append(Competed(name, value, source, before, other))
        node[path[-1]] = plain_copy(value)
        self.origin = {leaf: other for leaf, other in self.origin.items() if not _is_inside(leaf, name)}
        self.origin |= dict.fromkeys(flatten(value, name), source)


def _is_inside(leaf: str, field: str) -> bool:
    return leaf == field or leaf.startswith(f"{field}.")


def _options(node: dict[str, Any], name: str) -> dict[str, Any]:
    """Where a field of this name stands: of a part, among its options."""
    if is_part(node) and name not in (CLASS_PATH, INIT_ARGS):
        node[INIT_ARGS] = node = node.get(INIT_ARGS) or {}
    return node


def _inside(node: dict[str, Any], name: str, path: Path_) -> dict[str, Any]:
    node = _options(node, name)
    inner = node.get(name)
    if inner is None or isinstance(inner, str):
        inner = node[name] = {CLASS_PATH: inner} if inner else {}
    if not isinstance(inner, dict):
        raise InputError(f"--{dotted(path)}: is a {type(inner).__name__}, which has no fields; expected it to be given whole")
    return inner


def compose(
    groups: Mapping[str, Any] | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
    overrides: Mapping[str, Any] | None = None,
    *,
    base: Mapping[str, Any] | None = None,
    base_source: str = "the defaults",
) -> Composed:
    """Put a configuration together; the order of the arguments' entries makes no difference.

    Args:
        groups: by option of `GROUPS`, a shipped name, a path, a dotted class path, or the section's content itself.
        files: whole experiments. Two that set the same field differently are refused.
        overrides: values by dotted field; they always win.
        base, base_source: sections to start from, weaker than all else, and where they come from.
    """
    out = Composed()
    for name, value in (base or {}).items():
        out.put((name,), value, base_source)
    experiment, dots = _experiments(files)
    whole: set[str] = set()
    chosen: dict[str, tuple[Any, str]] = {name: (value, f"--{name}") for name, value in (groups or {}).items()}
    if unknown := set(chosen) - set(GROUPS):
        raise InputError(f"--{min(unknown)}: expected one of {', '.join(f'--{name}' for name in GROUPS)}")
    for name, (value, source) in experiment.items():
        of_a_run = (Path(source).parent / ".masksem_graph").is_file()  # whose sections are whole
        if name in chosen and (isinstance(value, str) or of_a_run):
            out.competed.append(Competed(name, *chosen[name], "its own", source))
        elif name in chosen:  # a whole section beside the option has to agree with it; some fields refine what it names
            beside = {leaf: (entry, source) for leaf, entry in flatten(value, dotted(GROUPS[name].path)).items()}
            dots |= beside
            whole |= beside.keys() if _is_whole(name, value) else set()
        elif name in GROUPS and isinstance(value, str):
            chosen[name] = value, source
        else:
            out.put(GROUPS[name].path if name in GROUPS else (name,), value, source)
    by_option: set[str] = set()
    required: dict[str, tuple[Any, str]] = {}
    requirements: list[tuple[dict[str, Any], str]] = []
    for name in (name for name in GROUPS if name in chosen):
        content, source = load_group(name, *chosen[name])
        if name in (groups or {}):
            by_option.add(source)
        if isinstance(content, dict) and (more := content.pop(REQUIRES, {})):
            _agree(required, more, source, "requires")
            requirements.append((more, source))
        out.put(GROUPS[name].path, content, source)
    for more, source in requirements:
        for section, value in more.items():
            out.put((section,), value, source)
    for leaf, (value, source) in sorted(dots.items()):
        out.put_beside(leaf, value, source, by_option if leaf in whole else set(), list(overrides or {}))
    for leaf, value in sorted((overrides or {}).items(), key=lambda item: (item[0].count("."), item[0])):
        out.put(tuple(part for part in leaf.split(".") if part != INIT_ARGS), value, f"--{leaf}")
    return out


def _is_whole(name: str, section: Any) -> bool:
    """Whether a section could stand by itself: it has all that its group cannot do without."""
    home = GROUPS[name].home
    return home is None or all(field in section for field, about in declared_fields(home).items() if about.default is None)


def load_group(name: str, value: Any, source: str) -> tuple[Any, str]:
    """The content of a group's section, and where it comes from: of a shipped name, a path, a class path, or the content."""
    group = GROUPS[name]
    if not isinstance(value, str):
        content = plain_copy(value)
    elif name == "labels" and (share := re.fullmatch(r"(\d+(?:\.\d+)?)%", value)):
        return {"share": float(share[1]) / 100}, f"--labels {value}"
    elif group.home is None and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", value) and not os.path.isfile(value):
        return {CLASS_PATH: value}, f"{source} {value}" if source.startswith("--") else source
    else:
        path = _find_group_file(name, value)
        content, source = read_plain(path), shown(path)
    _check_group(name, content, source)
    return content, source


def _find_group_file(name: str, value: str) -> Path:
    if os.path.isfile(value):  # False, where Path.is_file raises: a name of 5,000 letters
        return Path(value)
    folder, short = shipped("configs") / name, value.removeprefix(f"{name}/").removesuffix(".yaml")
    if os.path.isfile(folder / f"{short}.yaml") and not os.path.isabs(value):
        return folder / f"{short}.yaml"
    names = group_names(name)
    near = difflib.get_close_matches(short, names, n=1, cutoff=0.5)
    known = f"one of {', '.join(names)}" if names else "a share such as 10%"
    hint = f"did you mean {near[0]}?" if near else f"expected {known}, or a file"
    raise InputError(f"--{name}: {value[:200]}: no such file, and no shipped {name}; {hint}")


def group_names(name: str) -> list[str]:
    """The shipped files of a group."""
    return sorted(path.stem for path in (shipped("configs") / name).glob("*.yaml"))


def shown(path: Path) -> str:
    """A file as messages name it: a shipped one by its short name."""
    folder = shipped("configs")
    return path.relative_to(folder).with_suffix("").as_posix() if path.is_relative_to(folder) else str(path)


def _check_group(name: str, content: Any, source: str) -> None:
    home = GROUPS[name].home
    known = {CLASS_PATH, INIT_ARGS} if home is None else set(declared_fields(home))
    if home is None and isinstance(content, list):
        return
    if not (is_part(content) if home is None else isinstance(content, dict)):
        expected = f"{CLASS_PATH} and {INIT_ARGS}" if home is None else "the fields"
        raise InputError(f"{source}: expected {expected} of --{name}, found {content!r}"[:300])
    if unknown := [str(key) for key in content if key not in known | {REQUIRES}]:
        raise InputError(f"{source}: {unknown[0]}: {_misplaced(unknown[0], name, known)}")


def _misplaced(field_name: str, name: str, known: Iterable[str]) -> str:
    """What to say of a field that is not one of its file's group."""
    if near := difflib.get_close_matches(field_name, list(known), n=1, cutoff=0.75):
        return f"no such field of {name}; did you mean {near[0]}?"
    if field_name in GROUPS:
        return f"is a section; this file holds the fields of {name} alone, without sections (a file with sections: --config)"
    for owner, group in GROUPS.items():
        if group.home and field_name in declared_fields(group.home):
            return f"is a field of {owner}, not of {name}; expected it in a file of --{owner}, or under `{REQUIRES}:`"
    return f"no such field of {name}, which has {', '.join(sorted(known))}"


def _experiments(files: Sequence[str | os.PathLike[str]]) -> tuple[dict[str, tuple[Any, str]], dict[str, tuple[Any, str]]]:
    """The sections of whole experiments, those that hold others first, and their dotted fields."""
    sections: dict[str, tuple[Any, str]] = {}
    dots: dict[str, tuple[Any, str]] = {}
    leaves: dict[str, tuple[Any, str]] = {}
    for file in sorted(map(str, files)):
        path = find_yaml(file if os.path.isfile(file) or "/" in file else f"experiment/{file}", "configs")
        content, source = read_plain(path), shown(path)
        if path.parent.name in GROUPS and path.is_relative_to(shipped("configs")):
            raise InputError(f"--config {file}: is a file of one group; expected --{path.parent.name} {path.stem}")
        if not isinstance(content, dict):
            raise InputError(f"{source}: expected sections such as data, model and method, found {content!r}"[:300])
        _agree(leaves, content, source, "says")
        for name, value in content.items():
            if name in GROUPS and GROUPS[name].home and isinstance(value, dict):
                _check_group(name, value, f"{source}: {name}")
            if "." in name:
                dots[name] = value, source
            elif isinstance(value, dict) and isinstance(sections.get(name, (None,))[0], dict):
                sections[name] = {**sections[name][0], **value}, f"{sections[name][1]} and {source}"
            else:
                sections[name] = value, source
    order = [name for name in sections if name not in GROUPS] + [name for name in GROUPS if name in sections]
    return {name: sections[name] for name in order}, dots


def _agree(said: dict[str, tuple[Any, str]], fields: Any, source: str, verb: str) -> None:
    """Note what a file says of each field, unless another one says something else."""
    for leaf, value in flatten(fields).items():
        other_value, other = said.setdefault(leaf, (value, source))
        if other_value != value:
            raise InputError(f"{leaf}: {other} {verb} {other_value!r}, {source} {verb} {value!r}; expected one of the two")


def flatten(fields: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names; lists stay whole, and ``init_args`` has no part in a name."""
    if not isinstance(fields, Mapping) or not fields:
        return {prefix: fields} if prefix else {}
    out: dict[str, Any] = {}
    for name, value in fields.items():
        out |= flatten(value, dotted((prefix, str(name))))
    return out


def dotted(path: Iterable[str]) -> str:
    """A field's name as it is written on the command line."""
    return ".".join(part for part in path if part and part != INIT_ARGS)


def is_part(node: Any) -> TypeGuard[dict[str, Any]]:
    """Whether plain data are a part: a class, with options where it has any."""
    named = isinstance(node, Mapping) and isinstance(node.get(CLASS_PATH), str)
    return named and isinstance(node.get(INIT_ARGS) or {}, Mapping)


def part_line(part: Any) -> str:
    """A part as one would call it: ``Transformer(depth=3, heads=4)``."""
    if isinstance(part, list):
        return f"[{', '.join(map(part_line, part))}]"
    if not is_part(part):
        return str(part)
    options = ", ".join(f"{name}={part_line(value)}" for name, value in (part.get(INIT_ARGS) or {}).items())
    return f"{part[CLASS_PATH].rpartition('.')[2]}({options})"


def plain_copy(value: Any, leaf: Callable[[Any], Any] = lambda one: one) -> Any:
    """The same plain data, to change: names are text, tuples lists, and ``leaf`` makes the rest."""
    if isinstance(value, Mapping):
        return {str(name): plain_copy(entry, leaf) for name, entry in value.items()}
    return [plain_copy(entry, leaf) for entry in value] if isinstance(value, list | tuple) else leaf(value)


def parts_in(fields: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All parts in plain data, outer ones first, each with its field."""
    if is_part(fields):
        yield name, fields
    for key, value in fields.items() if isinstance(fields, Mapping) else ():
        yield from parts_in(value, dotted((name, str(key))))
    for value in fields if isinstance(fields, list) else ():
        yield from parts_in(value, name)
