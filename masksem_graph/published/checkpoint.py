"""Reading a published checkpoint, without running anything that it contains."""

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
from masksem_graph.published import layout
from masksem_graph.published.layout import Layout, Sizes, Weights
from masksem_graph.training.checkpoint import read_tensors

STUDENT, TEACHER = "mamp.", "encoder."  # where MaskSem's files hold them
WRAPPED = ("model", "state_dict", "model_state_dict")  # what people put around the weights
PREFIXES = ("module.", "_orig_mod.", "model.")  # what DataParallel, torch.compile and Lightning put before their names
CODES = np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"
SCALARS: list[Any] = [np.dtype, *{type(np.dtype(code)) for code in CODES}]
"""What a number of NumPy's is pickled as, beside its function, which has moved between versions."""
UNREAD = {"queue", "queue_ptr"}  # MaskSem's files carry them; no code reads them


@dataclass(frozen=True)
class Published:
    """A checkpoint of the authors under our names; ``kind`` and ``told``, what was changed in the weights, are for people.

    ``parts`` are weights of ``student``, and of ``decoder``, ``teacher`` and ``head`` where the file has them.
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

    Anything in it but tensors, plain data and ``argparse.Namespace`` is refused.
    """
    content = _load(path)
    inner = next((content[name] for name in WRAPPED if isinstance(content.get(name), Mapping)), content)
    if not inner or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in inner.items()):
        raise _no_weights(path, inner)
    state, told = _unwrapped(inner)
    masksem = any(name.startswith(STUDENT) for name in state)
    if masksem:
        state = {name: value for name, value in state.items() if name not in UNREAD}
    found = _Reading(path, state, STUDENT if masksem else "")
    sizes = found.sizes()
    layouts = {"student": layout.encoder_layout(sizes), "head": found.head_layout(sizes)}
    layouts["decoder"] = layout.decoder_layout(sizes) if sizes.decoder_depth else {}
    layouts = {part: {found.prefix + name: place for name, place in one.items()} for part, one in layouts.items() if one}
    if masksem and any(name.startswith(TEACHER) for name in state):
        layouts["teacher"] = {TEACHER + name: place for name, place in layout.encoder_layout(sizes).items()}
    found.check({name: place for one in layouts.values() for name, place in one.items()})
    stage = "pre-training" if "decoder" in layouts else "evaluation" if "head" in layouts else "encoder alone"
    arguments, epoch = content.get("args"), content.get("epoch")
    return Published(
        kind=f"{'MaskSem' if masksem else 'MAMP'}, {stage}",
        sizes=sizes,
        parts={part: found.take(one) for part, one in layouts.items()},
        epoch=int(epoch) if isinstance(epoch, int | np.integer) else None,
        arguments=vars(arguments) if isinstance(arguments, argparse.Namespace) else {},
        told=told,
    )


def _load(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a checkpoint of MAMP or MaskSem (.pth)")
    scalar = np.float64(0).__reduce__()[0]
    moved: list[Any] = [(scalar, f"numpy.{place}.multiarray.scalar") for place in ("core", "_core")]
    allow, named = [argparse.Namespace, *SCALARS, *moved], "NumPy's numbers and argparse.Namespace"
    content = read_tensors(path, "a checkpoint of MAMP or MaskSem (.pth)", allow=allow, named=named)
    if not isinstance(content, Mapping):
        raise _no_weights(path, content)
    return content


def _no_weights(path: Path, value: Any) -> InputError:
    found = type(value).__name__
    if isinstance(value, Mapping):
        names = ", ".join(map(str, list(value)[:4])) + (", ..." if len(value) > 4 else "")
        found = f"a mapping of {names}" if value else "nothing"
    return InputError(f"{path}: expected the weights of a MAMP or MaskSem model, found {found}")


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
        width, channels, segment, _ = self._shape(layout.KERNEL, 4)
        segments, joints = self._shape("temp_embed", 4)[1], self._shape("pos_embed", 4)[2]
        depth, hidden = self._depth("blocks"), self._shape("blocks.0.mlp.fc1.weight", 2)[0]
        decoder_depth = self._depth("decoder_blocks")
        decoder_hidden = self._shape("decoder_blocks.0.mlp.fc1.weight", 2)[0] if decoder_depth else 0
        return Sizes(channels, segment, segments, joints, width, depth, hidden, decoder_depth, decoder_hidden)

    def head_layout(self, sizes: Sizes) -> Layout:
        """Of the head that is there; empty without one."""
        if self.prefix + "head.fc1.weight" in self.state:
            hidden, classes = self._shape("head.fc1.weight", 2)[0], self._shape("head.fc2.weight", 2)[0]
            return layout.mlp_head_layout(sizes, hidden, classes)
        for name, norm in (("head.fc.1.weight", True), ("head.fc.weight", False)):
            if self.prefix + name in self.state:
                return layout.linear_head_layout(sizes.width, self._shape(name, 2)[0], norm=norm)
        return {}

    def check(self, expected: Layout) -> None:
        """Raise `InputError` unless the state has all weights of a layout, in its shapes, and no others."""
        if missing := [name for name in expected if name not in self.state]:
            raise self._fault(missing[0], f"is missing, and {len(missing) - 1} more" if missing[1:] else "is missing")
        if unknown := [name for name in self.state if name not in expected]:
            raise self._fault(unknown[0], "is no weight of such a model")
        for name, place in expected.items():
            value, kind = self.state[name], torch.int64 if name.endswith("num_batches_tracked") else torch.float32
            if tuple(value.shape) != place.shape:
                raise self._fault(name, f"expected shape {list(place.shape)}, found {list(value.shape)}")
            if value.dtype != kind:
                raise self._fault(name, f"expected {kind}, found {value.dtype}")

    def take(self, places: Layout) -> Weights:
        """A layout's weights under our names."""
        plain = {name.removeprefix(self.prefix).removeprefix(TEACHER): place for name, place in places.items()}
        return layout.to_ours({short: self.state[name] for short, name in zip(plain, places, strict=True)}, plain)

    def _shape(self, name: str, axes: int) -> tuple[int, ...]:
        name = self.prefix + name
        if name not in self.state:
            raise self._fault(name, "is missing")
        shape = tuple(self.state[name].shape)
        if len(shape) != axes or 0 in shape:
            raise self._fault(name, f"expected {axes} axes, found shape {list(shape)}")
        return shape

    def _depth(self, stack: str) -> int:
        pattern = re.compile(rf"{re.escape(self.prefix + stack)}\.(\d{{1,3}})\.")
        return 1 + max((int(found[1]) for name in self.state if (found := pattern.match(name))), default=-1)

    def _fault(self, name: str, fault: str) -> InputError:
        return InputError(f"{self.path}: {name}: {fault}; expected a checkpoint of MAMP or MaskSem as their authors save it")
