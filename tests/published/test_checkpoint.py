"""Reading published checkpoints: every kind, and a clear line for everything else."""

from __future__ import annotations

import argparse
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from masksem_graph.errors import InputError
from masksem_graph.published import read_published
from masksem_graph.published.layout import Weights

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("kind", "stage", "parts"),
    [
        ("mamp", "MAMP, pre-training", {"student", "decoder"}),
        ("masksem", "MaskSem, pre-training", {"student", "decoder", "teacher"}),
        ("encoder", "MAMP, encoder alone", {"student"}),
        ("linear", "MAMP, evaluation", {"student", "head"}),
        ("probe", "MAMP, evaluation", {"student", "head"}),
        ("finetune", "MAMP, evaluation", {"student", "head"}),
    ],
)
def test_every_kind(states: dict[str, Weights], write: Write, kind: str, stage: str, parts: set[str]) -> None:
    found = read_published(write(states[kind]))
    assert (found.kind, set(found.parts), found.epoch, found.attention_heads) == (stage, parts, 399, 2)
    assert (found.sizes.width, found.sizes.segments, found.sizes.joints, found.sizes.depth) == (8, 3, 5, 2)
    assert (found.sizes.decoder_depth, found.sizes.decoder_hidden) == ((1, 24) if "decoder" in parts else (0, 0))


def test_a_nodes_numbers_lie_frame_by_frame(states: dict[str, Weights], write: Write) -> None:
    state = states["mamp"]
    kernel = state["joints_embed.proj.weight"]  # [D, C, l, 1]
    ours = read_published(write(state)).parts["student"]["embedding.weight"]
    for frame in range(2):
        for coordinate in range(3):
            assert torch.equal(ours[:, frame * 3 + coordinate], kernel[:, coordinate, frame, 0])


def test_student_and_teacher_are_not_mixed_up(states: dict[str, Weights], write: Write) -> None:
    found = read_published(write(states["masksem"])).parts
    assert torch.equal(found["student"]["backbone.norm.weight"], states["masksem"]["mamp.norm.weight"])
    assert torch.equal(found["teacher"]["backbone.norm.weight"], states["masksem"]["encoder.norm.weight"])


def test_a_bare_state_without_arguments(states: dict[str, Weights], tmp_path: Path) -> None:
    torch.save(OrderedDict(states["mamp"]), tmp_path / "bare.pth")
    found = read_published(tmp_path / "bare.pth")
    assert (found.epoch, found.attention_heads, found.arguments) == (None, None, {})


def test_the_older_file_format(states: dict[str, Weights], tmp_path: Path) -> None:
    content = {"model": states["mamp"], "args": argparse.Namespace(lr=1.0)}
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert read_published(tmp_path / "old.pth").arguments == {"lr": 1.0}


class Runs:
    """A pickle that would call something."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["args", "model", "top"])
def test_code_in_a_file_is_refused_and_not_run(states: dict[str, Weights], tmp_path: Path, place: str, zipped: bool) -> None:
    import os

    harm = Runs(os.mkdir, str(tmp_path / "harm"))
    content: Any = {"model": states["mamp"], "args": argparse.Namespace(lr=1.0)}
    if place == "args":
        content["args"] = argparse.Namespace(lr=harm)
    elif place == "model":
        content["model"] = states["mamp"] | {"norm.bias": harm}
    else:
        content = harm
    torch.save(content, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"bad\.pth: refused, as it holds (posix|nt)\.mkdir; expected tensors") as error:
        read_published(tmp_path / "bad.pth")
    assert not (tmp_path / "harm").exists()
    assert "weights_only" not in str(error.value) and "\n" not in str(error.value)


def test_other_classes_are_refused(states: dict[str, Weights], write: Write) -> None:
    with pytest.raises(InputError, match=r"refused, as it holds pathlib\S*; expected tensors"):
        read_published(write(states["mamp"], args=Path("x")))


def without(*names: str) -> Callable[[Weights], Weights]:
    return lambda state: {name: value for name, value in state.items() if name not in names}


def changed(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Weights], Weights]:
    return lambda state: state | {name: change(state[name])}


def renumbered(state: Weights) -> Weights:
    return {re.sub(r"^blocks\.1\.", "blocks.2.", name): value for name, value in state.items()}


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        ("mamp", without("joints_embed.proj.weight"), "joints_embed.proj.weight: is missing; expected a checkpoint of MAMP"),
        ("mamp", without("norm.bias"), "norm.bias: is missing; "),
        ("mamp", without("norm.bias", "mask_token"), "norm.bias: is missing, and 1 more; "),
        ("mamp", without("blocks.1.attn.qkv.bias"), r"blocks\.1\.attn\.qkv\.bias: is missing"),
        ("mamp", renumbered, r"blocks\.1\.norm1\.weight: is missing"),
        ("mamp", lambda s: s | {"extra": torch.zeros(1)}, "extra: is no weight of such a model"),
        ("masksem", lambda s: s | {"extra": torch.zeros(1)}, "extra: is no weight of such a model"),
        ("masksem", without("encoder.norm.bias"), r"encoder\.norm\.bias: is missing"),
        ("masksem", without("mamp.pos_embed"), r"mamp\.pos_embed: is missing"),
        ("mamp", changed("norm.bias", lambda v: v[:-1]), r"norm\.bias: expected shape \[8\], found \[7\]"),
        ("mamp", changed("mask_token", lambda v: v[0]), r"mask_token: expected shape \[1, 1, 8\], found \[1, 8\]"),
        ("mamp", changed("decoder_pos_embed", lambda v: v[0]), r"decoder_pos_embed: expected shape \[1, 1, 5, 8\]"),
        ("mamp", changed("temp_embed", lambda v: v[0]), r"temp_embed: expected 4 axes, found shape \[3, 1, 8\]"),
        ("mamp", changed("pos_embed", lambda v: v[:, :, :0]), r"pos_embed: expected 4 axes, found shape \[1, 1, 0, 8\]"),
        ("mamp", changed("norm.bias", torch.Tensor.int), r"norm\.bias: expected torch\.float32, found torch\.int32"),
        ("finetune", changed("head.fc1.weight", lambda v: v[:, 1:]), r"head\.fc1\.weight: expected shape \[12, 40\]"),
        ("probe", without("head.fc.0.running_var"), r"head\.fc\.0\.running_var: is missing"),
        ("linear", without("head.fc.bias"), r"head\.fc\.bias: is missing"),
        ("mamp", lambda s: {}, "expected the weights of a MAMP or MaskSem model, found nothing"),
        ("mamp", lambda s: [1], "expected the weights of a MAMP or MaskSem model, found "),
        (
            "mamp",
            lambda s: s | {3: torch.zeros(1)},
            "expected the weights of a MAMP or MaskSem model, found a mapping of temp_",
        ),
        ("mamp", lambda s: {"a": 1}, "expected the weights of a MAMP or MaskSem model, found a mapping of a"),
    ],
)
def test_what_is_no_such_checkpoint_gets_one_line(
    states: dict[str, Weights], write: Write, kind: str, damage: Callable[[Any], Any], message: str
) -> None:
    path = write(damage(states[kind]))
    with pytest.raises(InputError, match=message) as error:
        read_published(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_files_that_are_none(states: dict[str, Weights], write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_published(tmp_path / "nothing.pth")
    whole = write(states["mamp"]).read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "head": whole[:60],
        "empty": b"",
        "text": b"hello",
        "list": pickle.dumps([1]),
    }.items():
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}\.pth: not a checkpoint that can be read: damaged, cut short"):
            read_published(path)


def test_a_plain_pickle_is_not_run(tmp_path: Path) -> None:
    import os

    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Runs(os.mkdir, str(tmp_path / "harm"))))
    with pytest.raises(InputError, match=r"plain\.pth: (not a checkpoint that can be read|refused)"):
        read_published(tmp_path / "plain.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("wrap", "told"),
    [
        (lambda state: {"state_dict": state}, ()),
        (
            lambda state: {"model_state_dict": {f"module.{name}": value for name, value in state.items()}},
            ("names without module.",),
        ),
        (
            lambda state: {"state_dict": {f"model._orig_mod.{name}": value for name, value in state.items()}},
            ("names without model.", "names without _orig_mod."),
        ),
        (lambda state: {"model": {name: value.half() for name, value in state.items()}}, ("float16 made float32",)),
        (lambda state: {"model": {name: value.bfloat16() for name, value in state.items()}}, ("bfloat16 made float32",)),
        (lambda state: {"model": state, "best": np.float64(1.5), "seen": np.int64(3)}, ()),
    ],
    ids=["state_dict", "module", "orig_mod", "half", "bfloat16", "numpy"],
)
@pytest.mark.parametrize("kind", ["mamp", "masksem"])
def test_wrappings(
    states: dict[str, Weights], tmp_path: Path, kind: str, wrap: Callable[..., Any], told: tuple[str, ...]
) -> None:
    state = {name: value for name, value in states[kind].items() if value.is_floating_point()}
    torch.save({**wrap(state), "epoch": np.int64(7)}, tmp_path / "wrapped.pth")
    found = read_published(tmp_path / "wrapped.pth")
    assert found.told == told and found.epoch == 7
    ours, value = (
        found.parts["student"]["backbone.norm.weight"],
        state["mamp.norm.weight" if kind == "masksem" else "norm.weight"],
    )
    torch.testing.assert_close(ours, value, rtol=1e-2 if "made" in "".join(told) else 0, atol=0)
    assert ours.dtype == torch.float32


def test_numpy_s_arrays_are_refused_as_before(states: dict[str, Weights], write: Write) -> None:
    with pytest.raises(
        InputError, match=r"refused, as it holds numpy\.\w+\.multiarray\._reconstruct; expected .*NumPy's numbers"
    ):
        read_published(write(states["mamp"], curve=np.arange(3)))
