"""YAML files, options of a group and dotted fields in; one nested configuration out, then checked by type (jsonargparse).

The order of the options never matters. From weakest to strongest:

1. ``--config FILE``: whole experiments, made of sections;
2. ``--model NAME`` and the other groups: a file of a group takes the place of the experiment's section;
3. what a file of a group ``requires`` of other groups;
4. ``--model.width 64``: dotted fields.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeGuard, TypeVar

import jsonargparse

from masksem_graph import trust
from masksem_graph.declared import declared_fields
from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml, shipped
from masksem_graph.plain_yaml import parse_yaml, read_plain

Config = TypeVar("Config")
Path_ = tuple[str, ...]

CLASS_PATH, INIT_ARGS, REQUIRES = "class_path", "init_args", "requires"


class Group(NamedTuple):
    """A choice that is one option.

    Attributes:
        path: the section that it fills.
        home: the dataclass of that section; None for a part that is given by its class, or a list of such parts.
        help: what is chosen.
    """

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
        return f"{self.field} = {self.value} from {self.source} ({self.other_source}: {self.other_value})"


@dataclass
class Composed:
    """A configuration as plain data, before its types are checked.

    Args:
        fields: nested; parts as ``class_path`` and ``init_args``.
        origin: where each leaf comes from, by its dotted name.
        competed: fields that two sources set.
        scale: depth and heads of a class that another one replaced, by the name of the field.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    competed: list[Competed] = field(default_factory=list)
    scale: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, path: Path_, value: Any, source: str) -> None:
        """Set a field. A mapping is merged into what is there; another class starts with no options."""
        node = self.fields
        for depth, name in enumerate(path[:-1]):
            node = self._inside(node, name, path[: depth + 1])
        name = path[-1]
        if is_part(node) and name not in (CLASS_PATH, INIT_ARGS):
            node = node.setdefault(INIT_ARGS, {})
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

    def source_of(self, name: str) -> str | None:
        """Where a field comes from, or a field inside it, or the one that holds it."""
        for candidate in (name, *(name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1))):
            found = {self.origin[leaf] for leaf in self.origin if leaf == candidate or leaf.startswith(f"{candidate}.")}
            if found:
                return found.pop() if len(found) == 1 else None
        return None

    def _inside(self, node: dict[str, Any], name: str, path: Path_) -> dict[str, Any]:
        if is_part(node) and name not in (CLASS_PATH, INIT_ARGS):
            node = node.setdefault(INIT_ARGS, {})
        inner = node.setdefault(name, {})
        if isinstance(inner, str):
            inner = node[name] = {CLASS_PATH: inner}
        if inner is None:
            inner = node[name] = {}
        if not isinstance(inner, dict):
            raise InputError(
                f"--{dotted(path)}: is a {type(inner).__name__}, which has no fields; expected it to be given whole"
            )
        return inner

    def _change_class(self, node: dict[str, Any], path: Path_) -> None:
        name, options = dotted(path), node.pop(INIT_ARGS, {})
        self.scale[name] = {**self.scale.get(name, {}), **{key: options[key] for key in SCALE if key in options}}
        for leaf in [leaf for leaf in self.origin if leaf.startswith(f"{name}.") and leaf != f"{name}.{CLASS_PATH}"]:
            del self.origin[leaf]

    def _replace(self, node: dict[str, Any], path: Path_, value: Any, source: str) -> None:
        before, name = node.get(path[-1]), dotted(path)
        if path[-1] in node and before != value and not isinstance(before, Mapping) and not isinstance(value, Mapping):
            if (other := self.source_of(name)) and other != source:
                self.competed = [one for one in self.competed if one.field != name]
                self.competed.append(Competed(name, value, source, before, other))
        node[path[-1]] = _copy(value)
        for leaf in [leaf for leaf in self.origin if leaf == name or leaf.startswith(f"{name}.")]:
            del self.origin[leaf]
        self.origin |= dict.fromkeys(flatten(value, name), source)


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
        base: sections to start from, weaker than all else.
        base_source: where they come from.

    Raises:
        InputError: a file or a field that is not there, a field in the wrong file, or two files that disagree.
    """
    out = Composed()
    for name, value in (base or {}).items():
        out.put((name,), value, base_source)
    experiment, dots = _experiments(files)
    chosen: dict[str, tuple[Any, str]] = {name: (value, f"--{name}") for name, value in (groups or {}).items()}
    if unknown := set(chosen) - set(GROUPS):
        raise InputError(f"--{min(unknown)}: expected one of {', '.join(f'--{name}' for name in GROUPS)}")
    for name, (value, source) in sorted(experiment.items(), key=lambda item: _rank(item[0])):
        if name in chosen:
            out.competed.append(Competed(name, chosen[name][0], chosen[name][1], "its own", source))
        elif name in GROUPS and isinstance(value, str):
            chosen[name] = value, source
        else:
            out.put(GROUPS[name].path if name in GROUPS else (name,), value, source)
    required: dict[str, tuple[Any, str]] = {}
    requirements: list[tuple[dict[str, Any], str]] = []
    for name in (name for name in GROUPS if name in chosen):
        content, source = load_group(name, *chosen[name])
        if isinstance(content, dict) and (more := content.pop(REQUIRES, {})):
            _require(required, more, source)
            requirements.append((more, source))
        out.put(GROUPS[name].path, content, source)
    for more, source in requirements:
        for section, value in more.items():
            out.put((section,), value, source)
    for leaf, (value, source) in sorted(dots.items()):
        if leaf.partition(".")[0] not in (groups or {}):
            out.put(tuple(leaf.split(".")), value, source)
    for leaf, value in sorted((overrides or {}).items(), key=lambda item: (item[0].count("."), item[0])):
        out.put(tuple(part for part in leaf.split(".") if part != INIT_ARGS), value, f"--{leaf}")
    return out


def _rank(name: str) -> tuple[int, str]:
    return (list(GROUPS).index(name) if name in GROUPS else -1), name


def load_group(name: str, value: Any, source: str) -> tuple[Any, str]:
    """The content of a group's section.

    Args:
        name: of the group.
        value: a shipped name, a path, a dotted class path, or the content itself.
        source: who says so.

    Returns:
        the content, and where it comes from.

    Raises:
        InputError: no such file, or one with fields that are not this group's.
    """
    group = GROUPS[name]
    if not isinstance(value, str):
        content = _copy(value)
    elif name == "labels" and (share := re.fullmatch(r"(\d+(?:\.\d+)?)%", value)):
        return {"share": float(share[1]) / 100}, f"--labels {value}"
    elif group.home is None and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", value) and not Path(value).is_file():
        return {CLASS_PATH: value}, f"{source} {value}" if source.startswith("--") else source
    else:
        path = find_group_file(name, value)
        content, source = read_plain(path), shown(path)
    _check_group(name, group, content, source)
    return content, source


def find_group_file(name: str, value: str) -> Path:
    """The YAML file of a group that a name or a path means.

    Raises:
        InputError: there is none; the line suggests a name that is nearly this one.
    """
    if (path := Path(value)).is_file():
        return path
    folder, short = shipped("configs") / name, value.removeprefix(f"{name}/").removesuffix(".yaml")
    if (folder / f"{short}.yaml").is_file() and not path.is_absolute():
        return folder / f"{short}.yaml"
    names = group_names(name)
    near = difflib.get_close_matches(short, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(names) or '(none is shipped)'}, or a file"
    raise InputError(f"--{name}: {value}: no such file, and no shipped {name}; {hint}")


def group_names(name: str) -> list[str]:
    """The shipped files of a group."""
    return sorted(path.stem for path in (shipped("configs") / name).glob("*.yaml"))


def shown(path: Path) -> str:
    """A file as messages name it: a shipped one by its short name."""
    folder = shipped("configs")
    return path.relative_to(folder).with_suffix("").as_posix() if path.is_relative_to(folder) else str(path)


def _check_group(name: str, group: Group, content: Any, source: str) -> None:
    if group.home is None:
        if isinstance(content, list):
            return
        known = {CLASS_PATH, INIT_ARGS}
        if not is_part(content):
            raise InputError(f"{source}: expected {CLASS_PATH} and {INIT_ARGS} of --{name}, found {content!r}"[:300])
    else:
        known = set(declared_fields(group.home))
        if not isinstance(content, dict):
            raise InputError(f"{source}: expected the fields of --{name}, found {content!r}"[:300])
    if unknown := [key for key in content if key not in known | {REQUIRES}]:
        raise InputError(f"{source}: {unknown[0]}: {_misplaced(str(unknown[0]), name, known)}")


def _misplaced(field_name: str, name: str, known: Iterable[str]) -> str:
    """What to say of a field that is not one of its file's group."""
    if near := difflib.get_close_matches(field_name, list(known), n=1, cutoff=0.75):
        return f"no such field of {name}; did you mean {near[0]}?"
    owners = [other for other, group in GROUPS.items() if group.home and field_name in declared_fields(group.home)]
    if field_name in GROUPS or field_name == name:
        return f"is a section; this file holds the fields of {name} alone, without sections (a file with sections: --config)"
    if owners:
        return f"is a field of {owners[0]}, not of {name}; expected it in a file of --{owners[0]}, or under `{REQUIRES}:`"
    return f"no such field of {name}, which has {', '.join(sorted(known))}"


def _experiments(files: Sequence[str | os.PathLike[str]]) -> tuple[dict[str, tuple[Any, str]], dict[str, tuple[Any, str]]]:
    """The sections and the dotted fields of whole experiments."""
    sections: dict[str, tuple[Any, str]] = {}
    dots: dict[str, tuple[Any, str]] = {}
    leaves: dict[str, tuple[Any, str]] = {}
    for file in sorted(map(str, files)):
        path = find_yaml(file if Path(file).is_file() or "/" in file else f"experiment/{file}", "configs")
        content, source = read_plain(path), shown(path)
        if path.parent.name in GROUPS and path.is_relative_to(shipped("configs")):
            raise InputError(f"--config {file}: is a file of one group; expected --{path.parent.name} {path.stem}")
        if not isinstance(content, dict):
            raise InputError(f"{source}: expected sections such as data, model and method, found {content!r}"[:300])
        for leaf, value in flatten(content).items():
            if leaf in leaves and leaves[leaf][0] != value:
                raise InputError(f"{leaf}: {leaves[leaf][1]} says {leaves[leaf][0]!r}, {source} says {value!r}; expected one")
            leaves[leaf] = value, source
        for name, value in content.items():
            group = GROUPS.get(name)
            if group and group.home and isinstance(value, dict):
                _check_group(name, group, {key: entry for key, entry in value.items() if key != REQUIRES}, f"{source}: {name}")
            if "." in str(name):
                dots[name] = value, source
            elif isinstance(value, dict) and isinstance(sections.get(name, (None,))[0], dict):
                sections[name] = {**sections[name][0], **value}, f"{sections[name][1]} and {source}"
            else:
                sections[name] = value, source
    return sections, dots


def _require(required: dict[str, tuple[Any, str]], fields: Any, source: str) -> None:
    for leaf, value in flatten(fields).items():
        if leaf in required and required[leaf][0] != value:
            other_value, other = required[leaf]
            raise InputError(f"{leaf}: {other} requires {other_value!r}, {source} requires {value!r}; expected one of the two")
        required[leaf] = value, source


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
    """Whether plain data names a class."""
    return isinstance(node, Mapping) and isinstance(node.get(CLASS_PATH), str)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(entry) for name, entry in value.items()}
    return [_copy(entry) for entry in value] if isinstance(value, list | tuple) else value


class Parser(jsonargparse.ArgumentParser):
    """An argument parser whose faults are `InputError`, one line each."""

    def __init__(self, **options: Any) -> None:
        # An abbreviated option would be a guess at what the user means.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        line = " ".join(message.split())
        line = re.sub(r"Parser key \"([^\"]+)\":", r"--\1:", line)
        line = re.sub(r"\.? Got value: Namespace\(.*$", "", line)
        if denied := re.search(r"Importing '([\w.]+)' is not allowed", line):
            raise InputError(f"{line.partition(':')[0]}: {trust.refusal(denied[1])}") from None
        raise InputError(line + self._suggestion(line)) from None

    def _suggestion(self, line: str) -> str:
        if "--checkpoint" in line:
            return "; it is called --run now"
        found = re.search(r"(?:unrecognized arguments?: --|Option ')([\w.]+)", line) or re.search(r"[Kk]ey '([\w.]+)'", line)
        known = [option[2:] for action in self._actions for option in action.option_strings if option.startswith("--")]
        near = difflib.get_close_matches(found[1], known, n=1, cutoff=0.6) if found else []
        return f" (did you mean --{near[0]}?)" if near else ""

    def parse_args(self, args: Sequence[str] | None = None, **options: Any) -> Any:  # type: ignore[override]
        try:
            return super().parse_args(sys.argv[1:] if args is None else args, **options)
        except ValueError as error:
            if isinstance(error, InputError) or "fail_untyped" not in str(error):
                raise
            # A part of the user's own, whose constructor says of an argument not what it takes.
            raise InputError(str(error).partition(", ")[2]) from None


def instantiate(parser: jsonargparse.ArgumentParser, parsed: Any) -> dict[str, Any]:
    """The parsed arguments as objects, less ``config``."""
    try:
        made = parser.instantiate(parsed)
    except (TypeError, ZeroDivisionError) as error:  # a part that does not check what it is given
        raise InputError(" ".join(str(error).split())) from None
    return {name: value for name, value in vars(made).items() if name != "config"}


def resolved(parser: jsonargparse.ArgumentParser, parsed: Any) -> dict[str, Any]:
    """The parsed arguments as plain data with every default filled in; what a run saves."""
    return parse_yaml(parser.dump(parsed), "the configuration")


def parse_mapping(kind: type[Config], fields: Mapping[str, Any], *, source: str | os.PathLike[str]) -> Config:
    """A configuration object from plain data.

    Args:
        kind: the dataclass to fill.
        fields: its fields; parts as ``class_path`` and ``init_args``.
        source: the file they come from, for the error line.

    Raises:
        InputError: a missing, unknown or mistyped field, or a part that cannot be imported.
    """
    parser = Parser(prog=str(source), exit_on_error=True)
    parser.add_class_arguments(kind, fail_untyped=True)
    try:
        return kind(**instantiate(parser, parser.parse_object(dict(fields))))
    except InputError as error:
        raise InputError(f"{Path(source)}: {error}") from None


def parts_in(fields: Any) -> Iterator[dict[str, Any]]:
    """All parts in plain data, outer ones first."""
    if is_part(fields):
        yield fields
    for value in fields.values() if isinstance(fields, Mapping) else fields if isinstance(fields, list) else ():
        yield from parts_in(value)


@dataclass(frozen=True)
class Options:
    """What a command line says, sorted by kind.

    Args:
        groups: `GROUPS` by name.
        files: of ``--config``.
        overrides: by dotted field.
        given: the classes that it names, which are trusted for that.
    """

    groups: dict[str, Any]
    files: tuple[str, ...]
    overrides: dict[str, Any]

    def compose(self, **options: Any) -> Composed:
        """The configuration; classes that stand on the command line itself are allowed to be imported."""
        composed = compose(self.groups, self.files, self.overrides, **options)
        allow_given(composed, [*self.groups.values(), *self.overrides.values()])
        return composed


def allow_given(composed: Composed, given: Iterable[Any]) -> None:
    """Trust the classes among what a user has given, on the command line or in Python."""
    named = {part[CLASS_PATH]: None for part in parts_in(composed.fields)}
    formats = [composed.fields.get("data", {}).get("format")]
    for value in given:
        value = value.get(CLASS_PATH) if isinstance(value, Mapping) else value
        if isinstance(value, str) and (value in named or (value in formats and "." in value)):
            trust.allow_class(value, "class_path")


def read_options(argv: Sequence[str], root: str, groups: Sequence[str]) -> Options:
    """Sort a command line; nothing heavy is imported.

    Args:
        argv: options alone, each with one value.
        root: the dataclass whose fields they set, by its dotted path.
        groups: the groups that this command takes.

    Raises:
        InputError: an option that does not exist, that stands twice, or that has no value.
    """
    chosen: dict[str, str] = {}
    files: list[str] = []
    overrides: dict[str, Any] = {}
    for name, text in _pairs(argv, root):
        if name == "config":
            files.append(text)
        else:
            _check_option(name, root, groups)
            kind = field_type(root, name)
            value: Any = text if name in groups else as_value(text, kind)
            if name not in groups and kind and _names_a_class(kind) and isinstance(value, str) and _DOTTED.fullmatch(value):
                value = {CLASS_PATH: value}
            target = chosen if name in groups else overrides
            name = name.removesuffix(f".{CLASS_PATH}")
            if name in target and target[name] != value:
                raise InputError(f"--{name}: given twice, with {target[name]!r} and {value!r}")
            target[name] = value
    return Options(chosen, tuple(files), overrides)


def _pairs(argv: Sequence[str], root: str) -> Iterator[tuple[str, str]]:
    rest = list(argv)
    while rest:
        option = rest.pop(0)
        if not option.startswith("--") or option == "--":
            raise InputError(f"{option}: expected an option, such as --{next(iter(GROUPS))} NAME or --train.epochs 100")
        name, equals, text = option[2:].partition("=")
        if name == "checkpoint":
            raise InputError("--checkpoint: is called --run now")
        if not equals:
            if rest and not rest[0].startswith("--"):
                text = rest.pop(0)
            elif field_type(root, name) == "bool":
                text = "true"
            else:
                raise InputError(f"--{name}: expected a value")
        yield name, text


def _check_option(name: str, root: str, groups: Sequence[str]) -> None:
    first, _, inner = name.partition(".")
    sections = [*groups, *(field_name for field_name in declared_fields(root) if field_name not in groups)]
    if first not in sections or (inner and first in GROUPS and GROUPS[first].path != (first,)):
        section_of = [group for group in sections if group in GROUPS and GROUPS[group].home]
        last = name.rpartition(".")[2]
        inside = [f"{group}.{last}" for group in section_of if last in declared_fields(str(GROUPS[group].home))]
        near = inside or difflib.get_close_matches(name, [*sections, "config", "trust"], n=1)
        raise InputError(f"--{name}: no such option" + (f"; did you mean --{near[0]}?" if near else ""))
    home = HOMES.get(first)
    if inner and home and (key := inner.partition(".")[0]) not in declared_fields(home):
        near = difflib.get_close_matches(key, declared_fields(home), n=1)
        hint = f"did you mean --{first}.{near[0]}?" if near else f"expected one of {', '.join(declared_fields(home))}"
        raise InputError(f"--{name}: no such field of {first}; {hint}")


HOMES = {name: group.home for name, group in GROUPS.items() if group.home} | {
    "device": "masksem_graph.training.devices.DeviceConfig"
}
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def field_type(root: str, name: str) -> str | None:
    """The annotation of a field, or of a section's field; None further inside."""
    first, _, inner = name.partition(".")
    home, key = (HOMES.get(first), inner) if inner else (root, first)
    declared = declared_fields(home).get(key) if home else None
    return declared.type if declared else None


def as_value(text: str, kind: str | None = None) -> Any:
    """An option's text as the value that it means: text where the field takes text, else read as YAML."""
    if kind == "str" or (kind == "str | None" and text not in ("null", "None")):
        return text
    try:
        return parse_yaml(text, "option")
    except InputError:
        return text


def _names_a_class(kind: str) -> bool:
    return any(part.strip()[:1].isupper() and "[" not in part for part in kind.split("|") if part.strip() != "None")


def typed(kind: type[Config], composed: Composed, *, complete: Callable[[Composed], None]) -> tuple[Config, dict[str, Any]]:
    """A configuration with its types checked and its parts made.

    Args:
        kind: the dataclass to fill.
        composed: its fields.
        complete: adds what follows from several fields together, before the types are checked.

    Returns:
        the object, and the same as plain data with every default filled in.

    Raises:
        InputError: a missing, unknown or mistyped field; the line names the file or the option that set it.
    """
    parser = Parser(prog=kind.__name__)
    parser.add_class_arguments(kind, fail_untyped=True)
    try:
        complete(composed)
        _check_values(composed.fields, kind)
        parsed = parser.parse_object(_copy(composed.fields))
        return kind(**instantiate(parser, parsed)), resolved(parser, parsed)
    except InputError as error:
        raise InputError(_located(str(error), composed)) from None


def _check_values(fields: Mapping[str, Any], kind: type) -> None:
    """What jsonargparse lets pass: a field that takes no null but has one, and numbers beyond 64 bits."""
    for name, value in flatten(fields).items():
        declared = field_type(f"{kind.__module__}.{kind.__qualname__}", name)
        if value is None and declared and "None" not in declared and declared != "Any":
            raise InputError(f"{name}: expected {declared}, found null")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(f"{name}: expected a number of at most 64 bits, found {value}")


def _located(line: str, composed: Composed) -> str:
    """An error line with the file or the option that set the field which it names."""
    for found in re.finditer(r"(?:--|')?\b([a-z_]\w*(?:\.\w+)*)", line):
        name = found[1].replace(f".{INIT_ARGS}", "")
        if name.partition(".")[0] in composed.fields and (source := composed.source_of(name)):
            return line if source.startswith("--") else f"{source}: {line}"
    return line
