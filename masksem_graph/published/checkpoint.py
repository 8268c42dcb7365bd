"""Reading a published checkpoint, without running anything that it contains."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.published.layout import (
    Layout,
    Sizes,
    Weights,
    decoder_layout,
    encoder_layout,
    linear_head_layout,
    mlp_head_layout,
    to_ours,
)
from masksem_graph.training.checkpoint import read_tensors

STUDENT, TEACHER = "mamp.", "encoder."  # where MaskSem's files hold them
WRAPPED = ("model", "state_dict", "model_state_dict")  # what people put around the weights
PREFIXES = ("module.", "_orig_mod.", "model.")  # what DataParallel, torch.compile and Lightning put before their names
SCALARS: list[Any] = [
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"},
]
"""What a number of NumPy's is pickled as, beside its function, which has moved between versions."""
UNREAD = {"queue", "queue_ptr"}  # MaskSem's files carry them; no code reads them


@dataclass(frozen=True)
class Published:
    """A checkpoint of the authors under our names.

    Args:
        kind: what it is, for people.
        sizes: of its model.
        parts: weights of ``student``, and of ``decoder``, ``teacher`` and ``head`` where the file has them.
        epoch: as the file has it; None where it does not say.
        arguments: the ``argparse.Namespace`` in the file, as a mapping.
        told: what was taken off the weights, or changed in them, for people.
    """

    kind: str
    sizes: Sizes
    parts: dict[str, Weights]
    epoch: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    @property
    def attention_heads(self) -> int | None:
        """As the file's own arguments say; None where they do not."""
        model = self.arguments.get("model_args")
        found = model.get("num_heads") if isinstance(model, Mapping) else None
        return found if type(found) is int and found > 0 else None


def read_published(path: Path) -> Published:
    """Read a checkpoint of MAMP or MaskSem: from pre-training, the linear probe or fine-tuning.

    Raises:
        InputError: not such a file, damaged, or with anything in it but tensors, plain data and ``argparse.Namespace``.
    """
    content = _load(path)
    inner = next((content[name] for name in WRAPPED if isinstance(content.get(name), Mapping)), content)
    named = isinstance(inner, Mapping) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in inner.items())
    if not named or not inner:
        raise InputError(f"{path}: expected the weights of a MAMP or MaskSem model, found {_summary(inner)}")
    inner, told = _unwrapped(inner)
    masksem = any(name.startswith(STUDENT) for name in inner)
    state = {name: value for name, value in inner.items() if not (masksem and name in UNREAD)}
    found = _Reading(path, state, STUDENT if masksem else "")
    sizes = found.sizes()
    layouts = {"student": encoder_layout(sizes)}
    if sizes.decoder_depth:
        layouts["decoder"] = decoder_layout(sizes)
    if head := found.head_layout(sizes):
        layouts["head"] = head
    layouts = {part: {found.prefix + name: place for name, place in layout.items()} for part, layout in layouts.items()}
    if masksem and any(name.startswith(TEACHER) for name in state):
        layouts["teacher"] = {TEACHER + name: place for name, place in encoder_layout(sizes).items()}
    found.check({name: place for layout in layouts.values() for name, place in layout.items()})
    stages = {"decoder": "pre-training", "head": "evaluation"}
    stage = next((stage for part, stage in stages.items() if part in layouts), "encoder alone")
    arguments = content.get("args")
    return Published(
        kind=f"{'MaskSem' if masksem else 'MAMP'}, {stage}",
        sizes=sizes,
        parts={part: found.take(layout) for part, layout in layouts.items()},
        epoch=int(epoch) if isinstance(epoch := content.get("epoch"), int | np.integer) else None,
        arguments=vars(arguments) if isinstance(arguments, argparse.Namespace) else {},
        told=told,
    )


def _unwrapped(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Weights in float32 under the names that their authors gave them, and what was done for that."""
    told, state = [], dict(state)
    while prefix := next((one for one in PREFIXES if all(name.startswith(one) for name in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
        told.append(f"names without {prefix}")
    kinds = {value.dtype for value in state.values() if value.is_floating_point()} - {torch.float32}
    told += [f"{str(kind).removeprefix('torch.')} made float32" for kind in sorted(kinds, key=str)]
    return {name: value.float() if value.dtype in kinds else value for name, value in state.items()}, tuple(told)


@dataclass(frozen=True)
class _Reading:
    """A state under way: its weights under their full names, and the prefix that student, decoder and head have there."""

    path: Path
    state: Mapping[str, Tensor]
    prefix: str

    def sizes(self) -> Sizes:
        """Read off the shapes of a few weights; `check` holds all others to them."""
        width, channels, segment, _ = self._shape("joints_embed.proj.weight", 4)
        depth, decoder_depth = self._depth("blocks"), self._depth("decoder_blocks")
        return Sizes(
            channels=channels,
            segment=segment,
            segments=self._shape("temp_embed", 4)[1],
            joints=self._shape("pos_embed", 4)[2],
            width=width,
            depth=depth,
            hidden=self._shape("blocks.0.mlp.fc1.weight", 2)[0],
            decoder_depth=decoder_depth,
            decoder_hidden=self._shape("decoder_blocks.0.mlp.fc1.weight", 2)[0] if decoder_depth else 0,
        )

    def head_layout(self, sizes: Sizes) -> Layout:
        """Of the head that is there; empty without one."""
        if self._has("head.fc1.weight"):
            classes = self._shape("head.fc2.weight", 2)[0]
            return mlp_head_layout(sizes, self._shape("head.fc1.weight", 2)[0], classes)
        for name, norm in (("head.fc.1.weight", True), ("head.fc.weight", False)):
            if self._has(name):
                return linear_head_layout(sizes.width, self._shape(name, 2)[0], norm=norm)
        return {}

    def check(self, layout: Layout) -> None:
        """Raise `InputError` unless the state has all weights of a layout, in its shapes, and no others."""
        if missing := [name for name in layout if name not in self.state]:
            raise self._fault(missing[0], f"is missing, and {len(missing) - 1} more" if missing[1:] else "is missing")
        if unknown := [name for name in self.state if name not in layout]:
            raise self._fault(unknown[0], "is no weight of such a model")
        for name, place in layout.items():
            value, kind = self.state[name], torch.int64 if name.endswith("num_batches_tracked") else torch.float32
            if tuple(value.shape) != place.shape:
                raise self._fault(name, f"expected shape {list(place.shape)}, found {list(value.shape)}")
            if value.dtype != kind:
                raise self._fault(name, f"expected {kind}, found {value.dtype}")

    def take(self, layout: Layout) -> Weights:
        """A layout's weights under our names."""
        plain = {name.removeprefix(self.prefix).removeprefix(TEACHER): place for name, place in layout.items()}
        return to_ours({short: self.state[name] for short, name in zip(plain, layout, strict=True)}, plain)

    def _has(self, name: str) -> bool:
        return self.prefix + name in self.state

    def _shape(self, name: str, axes: int) -> tuple[int, ...]:
        if not self._has(name):
            raise self._fault(self.prefix + name, "is missing")
        shape = tuple(self.state[self.prefix + name].shape)
        if len(shape) != axes or 0 in shape:
            raise self._fault(self.prefix + name, f"expected {axes} axes, found shape {list(shape)}")
        return shape

    def _depth(self, stack: str) -> int:
        pattern = re.compile(rf"{re.escape(self.prefix + stack)}\.(\d{{1,3}})\.")
        return 1 + max((int(found[1]) for name in self.state if (found := pattern.match(name))), default=-1)

    def _fault(self, name: str, fault: str) -> InputError:
        return InputError(f"{self.path}: {name}: {fault}; expected a checkpoint of MAMP or MaskSem as their authors save it")


def _load(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a checkpoint of MAMP or MaskSem (.pth)")
    scalar = np.float64(0).__reduce__()[0]
    moved: list[Any] = [(scalar, f"numpy.{place}.multiarray.scalar") for place in ("core", "_core")]
    allow = [argparse.Namespace, *SCALARS, *moved]
    content = read_tensors(
        path, "a checkpoint of MAMP or MaskSem (.pth)", allow=allow, named="NumPy's numbers and argparse.Namespace"
    )
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: expected the weights of a MAMP or MaskSem model, found {_summary(content)}")
    return content


def _summary(value: Any) -> str:
    if not isinstance(value, Mapping):
        return type(value).__name__
    return f"a mapping of {', '.join(map(str, list(value)[:4]))}{', ...' if len(value) > 4 else ''}" if value else "nothing"
