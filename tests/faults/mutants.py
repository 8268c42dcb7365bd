"""Damaged files: by their bytes, and by the fields that they hold."""

from __future__ import annotations

import copy
import io
import json
import pickle
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from scipy.io import loadmat, savemat

WORDS = [
    *(b"", b"0", b"-1", b"1", b"3", b"25", b"nan", b".nan", b"inf", b".inf", b"1e39", b"-1e300", b"9" * 30, b"9" * 400),
    *(b"2147483648", b"18446744073709551616", b"null", b"~", b"true", b"no", b"[]", b"{}", b"[" * 300, b"{" * 300, b"- " * 99),
    *(b"\x00", b"\xff\xfe", b"\xe9", b"\r\n", b"\n", b"\t", b"'", b'"', b":", b"&a", b"*a", b"!!python/name:os.system", b"|"),
    *(b"os.system", b"2001-01-01", b"0x10", b"1_0", b"../../x", b"$\\frac{$", b"[/red]", b"<script>", b"\x1b[31m", b"%s"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 1000, 2**31, 2**63, 2**64, 10**30, -(2**63) - 1, 0.5, 1.5, -0.0, 1e-300, 1e300),
    *(float("nan"), float("inf"), "", "x", "0", "nan", "os.system", "masksem_graph.errors.InputError", "torch.nn.Linear"),
    *("a\nb", "\x1b[31m", "[/red]", "$\\frac{$", "<script>", "é", "../x", "a\0b", "~nosuch/x"),
    *([], {}, [[]], [None], {"": None}, {"class_path": 1}),
    *({"class_path": "os.system"}, {"class_path": "masksem_graph.backbones.Transformer", "init_args": {"depth": -1}}),
    *({"class_path": "masksem_graph.operators.Identity"}, [1, 2], ["a", "a"], "x" * 5000, list(range(300))),
]


def of_bytes(draw: random.Random, content: bytes) -> bytes:
    """Flipped, cut, doubled, moved or replaced pieces."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        size = len(content)
        place = draw.randrange(size + 1) if draw.random() < 0.6 else draw.randrange(min(size, 400) + 1)
        end = min(size, place + draw.choice((0, 1, 2, 4, 8, 40, 400)))
        piece, way = content[place:end], draw.randrange(6)
        if way == 0 and place < size:
            content = content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
        elif way == 1 and place < size:
            content = content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]
        elif way == 2:
            content = content[:place] + draw.choice(WORDS) + content[end:]
        elif way == 3:
            content = content[:place] + piece * draw.choice((0, 2, 3)) + content[end:]
        elif way == 4:
            content = content[:place] if draw.random() < 0.3 else content[:place] + content[end:]
        else:
            other = draw.randrange(size + 1)
            content = content[:place] + content[other : other + end - place] + content[end:]
    return content


def of_tree(draw: random.Random, tree: Any) -> Any:
    """Data of which some fields are something else, gone, doubled or of another name; the tree itself stays."""
    holder = [tree]
    for _ in range(draw.choice((1, 1, 2))):
        node, key = _spot(draw, holder)
        value, way = node[key], draw.randrange(8)
        if isinstance(value, torch.Tensor) and way < 6:
            node[key] = _of_tensor(draw, value)
        elif isinstance(value, np.ndarray) and way < 6:
            node[key] = _of_array(draw, value)
        elif way < 5 or node is holder:
            near = [value + 1, value - 1, -value, value * 1000] if type(value) in (int, float) else VALUES
            node[key] = copy.deepcopy(draw.choice(near if way == 0 else VALUES))
        elif way == 5:
            del node[key]
        elif way == 6 and isinstance(node, dict):
            node[draw.choice(("x", "", "é", 1, None, f"{key}s"))] = node.pop(key)
        elif isinstance(node, list):
            node.append(copy.deepcopy(value))
    return holder[0]


def _spot(draw: random.Random, holder: list[Any]) -> tuple[Any, Any]:
    """A place in a tree, whose way there is copied; a field of the whole is as likely as one of a long list."""
    node, key = holder, 0
    while isinstance(node[key], dict | list) and node[key] and (node is holder or draw.random() < 0.8):
        node[key] = copy.copy(node[key])
        node = node[key]
        key = draw.choice(list(node)) if isinstance(node, dict) else draw.randrange(len(node))
    return node, key


def _of_tensor(draw: random.Random, value: torch.Tensor) -> Any:
    """Another shape, kind or content."""
    ways: list[Callable[[], Any]] = [
        lambda: value.flatten(),
        lambda: value[None],
        lambda: torch.zeros(0),
        lambda: torch.zeros(()),
        lambda: torch.zeros(1).expand(10**7),
        lambda: value.double(),
        lambda: value.to(torch.bfloat16),
        lambda: torch.full_like(value.float(), float("nan")),
        lambda: torch.full(value.shape, 3e38),
        lambda: torch.zeros(value.shape, device="meta"),
        lambda: torch.zeros(3, 3).to_sparse(),
        lambda: value.bool(),
        lambda: value.tolist(),
        lambda: torch.zeros(5, 5, 5, 5),
    ]
    return draw.choice(ways)()


def _of_array(draw: random.Random, value: np.ndarray) -> np.ndarray:
    """Wrong values, rarely also another length, shape or kind."""
    value = np.array(value)
    flat = value.reshape(-1)
    for _ in range(draw.choice((1, 2, 5)) if flat.size else 0):
        if value.dtype.kind == "f":
            new: Any = draw.choice((np.nan, np.inf, 3e38, -3e38, 0.0, 1e30))
        elif value.dtype.kind == "U":
            new = draw.choice(("", "x", str(flat[0]), "[/red]", "a\nb"))
        else:
            limits = (0, 1) if value.dtype.kind == "b" else (np.iinfo(value.dtype).min, np.iinfo(value.dtype).max)
            new = draw.choice((*limits, 0, 1, 99 % (limits[1] + 1)))
        flat[draw.randrange(flat.size)] = new
    way = draw.randrange(10)
    if way == 0:
        return value[: draw.randrange(len(value) + 1)] if value.ndim else value
    return (value[None], flat, value.astype("U8"))[way - 1] if way < 4 and draw.random() < 0.3 else value


def load(suffix: str, content: bytes) -> Any:
    """The fields of a file; None where only its bytes are known."""
    loaders: dict[str, Callable[[io.BytesIO], Any]] = {
        ".yaml": lambda file: yaml.load(file, yaml.CSafeLoader),
        ".json": json.load,
        ".jsonl": lambda file: [json.loads(line) for line in file],
        ".pkl": pickle.load,
        ".npy": np.load,
        ".npz": lambda file: dict(np.load(file)),
        ".mat": lambda file: {name: value for name, value in loadmat(file).items() if name[0] != "_"},
        **dict.fromkeys((".pt", ".pth"), partial(torch.load, weights_only=False)),
    }
    return loaders[suffix](io.BytesIO(content)) if suffix in loaders else None


def dump(suffix: str, tree: Any, draw: random.Random) -> bytes:
    """A file of these fields, well-formed.

    Raises:
        Exception: its format cannot hold them.
    """
    out = io.BytesIO()
    if suffix == ".yaml" and draw.random() < 0.75:  # JSON is YAML, and made in a tenth of the time
        text = json.dumps(tree, ensure_ascii=False).replace("NaN", ".nan").replace("Infinity", ".inf")
        return text.encode("utf-8", "surrogatepass")
    dumpers: dict[str, Callable[[], Any]] = {
        ".yaml": lambda: out.write(yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False).encode("utf-8", "surrogatepass")),
        ".json": lambda: out.write(json.dumps(tree).encode()),
        ".jsonl": lambda: out.write("\n".join(map(json.dumps, tree)).encode()),
        ".pkl": lambda: pickle.dump(tree, out, draw.choice((2, 4))),
        ".npy": lambda: np.save(out, tree, allow_pickle=True),
        ".npz": lambda: draw.choice((np.savez, np.savez_compressed))(out, **tree),
        ".mat": lambda: savemat(out, tree, do_compression=draw.random() < 0.5),
        **dict.fromkeys((".pt", ".pth"), lambda: torch.save(tree, out)),
    }
    dumpers[suffix]()
    return out.getvalue()


class Files:
    """Files that a reader takes together, of which one is damaged at a time.

    Args:
        paths: what is damaged.
        fields: in how many of the mutants it is by fields, where the format has any; the others are by bytes.
        seal: called after each change, to make checksums fit.
    """

    def __init__(self, paths: list[Path], fields: float = 0.6, seal: Callable[[Path], None] | None = None) -> None:
        self.whole = {path: path.read_bytes() for path in paths}
        self.trees = {path: load(path.suffix, content) if fields else None for path, content in self.whole.items()}
        self.fields, self.seal = fields, seal
        self.changed: Path | None = None

    def restore(self) -> None:
        """Put the originals there."""
        for path, content in self.whole.items():
            path.write_bytes(content)
            if self.seal:
                self.seal(path)
        self.changed = None

    def damage(self, draw: random.Random) -> None:
        """Put a mutant there."""
        path = draw.choice(list(self.whole))
        content = self.mutant(path, draw)
        if self.changed not in (None, path):
            self._put(self.changed, self.whole[self.changed])
        self._put(path, content)
        self.changed = path

    def mutant(self, path: Path, draw: random.Random) -> bytes:
        """Its bytes."""
        if self.trees[path] is not None and draw.random() < self.fields:
            try:
                return dump(path.suffix, of_tree(draw, self.trees[path]), draw)
            except Exception:  # fields that the format cannot hold
                pass
        return of_bytes(draw, self.whole[path])

    def _put(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        if self.seal:
            self.seal(path)
