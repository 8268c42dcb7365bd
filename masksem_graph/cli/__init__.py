"""The command line: one module a command, found by its name."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from masksem_graph.errors import InputError


def commands() -> dict[str, str]:
    """Name -> one line of every command."""
    paths = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return {path.stem: path.read_text().split('"""')[1].strip().splitlines()[0] for path in paths}


def _trusting(arguments: Sequence[str]) -> list[str]:
    """The arguments without ``--trust MODULE``, whose modules may be imported from now on.

    They are found in the current folder, and beside the YAML files that the command line names.
    """
    rest, modules = [], []
    for argument, before in zip(arguments, ["", *arguments], strict=False):
        if before == "--trust" or argument.startswith("--trust="):
            modules += argument.removeprefix("--trust=").split(",")
        elif argument != "--trust":
            rest.append(argument)
    if modules:
        from masksem_graph.trust import allow

        files = [argument.rpartition("=")[2] for argument in rest if argument.endswith((".yaml", ".yml"))]
        allow(*modules, beside=[Path(file).parent for file in files])
    return rest


def print_usage(usage: str, lines: dict[str, str]) -> None:
    """What a command prints that only chooses among others."""
    print(f"usage: masksem-graph {usage} [--help] ...\n")
    print("\n".join(f"  {name:<14} {about}" for name, about in lines.items()))


def format_of(argv: list[str]) -> str | None:
    """The format, which decides which other options there are."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--format")
    try:
        return first.parse_known_args(argv)[0].format
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from None


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
    except BrokenPipeError:
        raise
    except (InputError, OSError) as error:  # the latter: a full disk, a folder without permission
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
