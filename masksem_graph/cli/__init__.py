"""The command line: one module a command, found by its name."""

import os
import select
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from masksem_graph.errors import InputError


def commands() -> dict[str, str]:
    """Name -> one line of every command."""
    paths = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return {path.stem: path.read_text().split('"""')[1].strip().splitlines()[0] for path in paths}


def set_apart(argv: Sequence[str], wanted: Callable[[str], bool]) -> tuple[list[str], list[tuple[str, str]]]:
    """The arguments without the options of wanted names, and these, each with its value."""
    rest: list[str] = []
    apart: list[tuple[str, str]] = []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or not wanted(name[2:]):
            rest.append(word)
            continue
        value = value if equals else next(words, "--")
        if not equals and value.startswith("--"):
            raise InputError(f"{name}: expected a value after it")
        apart.append((name[2:], value))
    return rest, apart


def _trusting(arguments: Sequence[str]) -> list[str]:
    """The arguments without ``--trust MODULE``, whose modules may be imported from now on.

    They are found in the current folder, and beside the YAML files that the command line names.
    """
    rest, given = set_apart(arguments, lambda name: name == "trust")
    if given:
        from masksem_graph.trust import allow

        modules = [module for _, names in given for module in names.split(",")]
        files = [argument.rpartition("=")[2] for argument in rest if argument.endswith((".yaml", ".yml"))]
        allow(*modules, beside=[Path(file).parent for file in files])
    return rest


def print_usage(usage: str, lines: dict[str, str]) -> None:
    """What a command prints that only chooses among others."""
    print(f"usage: masksem-graph {usage} [--help] ...\n")
    print("\n".join(f"  {name:<14} {about}" for name, about in lines.items()))


def chosen(argv: Sequence[str], usage: str, lines: dict[str, str], what: str) -> str | None:
    """Which of the others such a command is told to do; None where it is told nothing, and its usage is printed."""
    if not argv or argv[0] in ("-h", "--help"):
        print_usage(usage, lines)
        if argv:
            raise SystemExit(0)
        return None
    if argv[0] not in lines:
        raise InputError(f"{usage.split()[0]} {argv[0]}: no such {what}, expected one of {', '.join(lines)}")
    return argv[0]


def format_of(argv: Sequence[str]) -> str | None:
    """The format, which decides which other options there are."""
    return dict(set_apart(argv, lambda name: name == "format")[1]).get("format")


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake becomes one line on stderr and exit code 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    known = commands()
    if not arguments or arguments[0] in ("-h", "--help"):
        print_usage("COMMAND", known)
        return
    if arguments[0] == "--version":
        from masksem_graph import __version__

        print(f"masksem-graph {__version__}")
        return
    try:
        if arguments[0] not in known:
            raise InputError(f"{arguments[0]}: no such command, expected one of {', '.join(known)}")
        command, *rest = arguments
        rest = rest if command == "run" else _trusting(rest)  # which imports nothing itself, and passes --trust on
        import_module(f"masksem_graph.cli.{command}").main(rest)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from what is on disk", file=sys.stderr)
        raise SystemExit(130) from None
    except (InputError, OSError) as error:  # the latter: a full disk, a folder without permission
        if isinstance(error, BrokenPipeError) and _has_no_reader():  # who reads has enough, as `| head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _has_no_reader() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    try:
        (poll := select.poll()).register(sys.stdout.fileno(), 0)
    except (OSError, ValueError, AttributeError):  # no file, or a system without poll
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))
