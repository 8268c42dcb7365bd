"""The command line: one module a command, found by its name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from masksem_graph.errors import InputError


def commands() -> dict[str, str]:
    """Name -> one line of every command."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        summary = path.read_text().split('"""')[1].strip().splitlines()[0]
        found[path.stem] = summary
    return found


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


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake becomes one line on stderr and exit code 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    known = commands()
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: masksem-graph COMMAND [--help] ...\n")
        print("\n".join(f"  {name:<10} {summary}" for name, summary in known.items()))
        return
    if arguments[0] == "--version":
        from masksem_graph import __version__

        print(f"masksem-graph {__version__}")
        return
    try:
        if arguments[0] not in known:
            raise InputError(f"{arguments[0]}: no such command, expected one of {', '.join(known)}")
        import_module(f"masksem_graph.cli.{arguments[0]}").main(_trusting(arguments[1:]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("stopped; the same command goes on from what is on disk", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a folder without permission
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
