"""Checkpoints to go on from: written beside and renamed, read without running anything that they contain."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from masksem_graph.errors import InputError
from masksem_graph.files import write_beside

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and strings so that ``path`` is always a whole checkpoint."""
    with write_beside(path) as partial:
        torch.save({"format": FORMAT, **state}, partial)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        InputError: missing, damaged, of another format, or with anything in it but tensors, numbers and strings.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader of damaged bytes raises IndexError, struct.error, TypeError and more
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a checkpoint that can be read: {reason}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(
            f"{path}: format: expected {FORMAT}, found {state.get('format') if isinstance(state, dict) else state!r}"
        )
    return state


def random_state() -> dict[str, Any]:
    """The state of every global random generator, as plain data."""
    version, internal, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": [version, list(internal), gauss],
        "numpy": [
            str(kind),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Put every global random generator back to `random_state`."""
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
