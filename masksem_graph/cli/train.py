"""Pre-train an encoder on a data set."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from masksem_graph.compose import load_group
from masksem_graph.console import console
from masksem_graph.errors import InputError, shown
from masksem_graph.options import Options, print_help, read_options

ROOT = "masksem_graph.training.config.RunConfig"
GROUPS = ("data", "model", "method", "backbone", "encodings", "augment", "train")
DEFAULT_AUGMENT = "rotate"
EXAMPLE = "train --data demo_xsub --model tiny --method masksem --backbone gps --train.epochs 20 --output runs/first"


def main(argv: list[str]) -> None:
    """The command."""
    if {"-h", "--help"} & set(argv):
        print_help(__doc__, EXAMPLE, ROOT, GROUPS)
    config, plain, competed = parse(argv)

    from masksem_graph.training.pretrain import Interrupted
    from masksem_graph.training.processes import leave_together
    from masksem_graph.training.run import pretrain

    try:
        pretrain(config, plain, competed)
        leave_together()
    except Interrupted as stopped:
        leave_together()
        again = "the same command, without --overwrite," if config.overwrite else "the same command"
        console.print(f"{stopped}; {again} goes on from there")
        sys.exit(128 + stopped.signal)


def parse(argv: Sequence[str]) -> tuple[Any, dict[str, Any], list[Any]]:
    """As `read`, from the arguments."""
    return read(read_options(argv, ROOT, GROUPS))


def read(options: Options) -> tuple[Any, dict[str, Any], list[Any]]:
    """The configuration of a run, the same as plain data, and the fields that two sources set."""
    augment, _ = load_group("augment", DEFAULT_AUGMENT, "the defaults")
    composed = options.compose(base={"augment": augment})

    from masksem_graph.backbones.complete import complete_backbones
    from masksem_graph.config import typed
    from masksem_graph.training.config import RunConfig

    resolve_roots(composed.fields)
    return *typed(RunConfig, composed, complete=complete_backbones), composed.competed


def resolve_roots(fields: dict[str, Any]) -> None:
    """Make the paths of the data absolute, so that a run can be evaluated from another folder."""
    data = fields.get("data")
    also = data.get("also") if isinstance(data, dict) else None
    for section in (data, *(also.values() if isinstance(also, dict) else ())):
        for name in ("root", "splits"):
            if isinstance(section, dict) and isinstance(section.get(name), str):
                try:
                    section[name].encode()  # raises where the name is not UTF-8, and YAML could not hold it
                    (path := Path(section[name]).expanduser().resolve()).exists()  # raises where the name is too long
                except (OSError, ValueError, RuntimeError) as error:
                    reason = getattr(error, "strerror", None) or error
                    raise InputError(f"data.{name}: found {shown(section[name])}, expected a path: {reason}") from None
                section[name] = str(path)
