"""Checkpoints: always whole, never run."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.errors import InputError
from masksem_graph.training.checkpoint import load_checkpoint, random_state, restore_random_state, save_checkpoint

STATE = {"weights": {"a": torch.arange(6.0).view(2, 3)}, "epoch": 3, "lr": 1e-3, "who": "me", "none": None, "list": [1, 2.5]}


def refused(path: Path, message: str | None = None) -> None:
    with pytest.raises(InputError, match=message) as error:
        load_checkpoint(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_round_trip(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", STATE)
    back = load_checkpoint(tmp_path / "last.pt")
    weights = back.pop("weights")
    assert torch.equal(weights["a"], STATE["weights"]["a"])  # type: ignore[index]
    assert back == {name: value for name, value in STATE.items() if name != "weights"} | {"format": 1}


def test_a_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    before = path.read_bytes()

    def full_disk(state: Any, partial: Path) -> None:
        partial.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {**STATE, "epoch": 4})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_new_one_takes_the_place_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    replaced, replace = [], os.replace

    def watch(source: Path, target: Path) -> None:
        assert load_checkpoint(path)["epoch"] == 3, "until then the old one stands, whole"
        assert torch.load(source, weights_only=True)["epoch"] == 4, "and the new one is whole beside it"
        replaced.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    save_checkpoint(path, {**STATE, "epoch": 4})
    assert replaced == [path] and load_checkpoint(path)["epoch"] == 4


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, kind: str) -> None:
    path, trace = tmp_path / "last.pt", tmp_path / "ran"
    state = {"format": 1, "epoch": Bomb(trace)}
    if kind == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    refused(path, "not a checkpoint that can be read")
    assert not trace.exists()
    if kind == "pickle":
        pickle.loads(path.read_bytes())
        assert trace.exists(), "the bomb is real"


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    refused(path, "No such file")
    refused(tmp_path, "not a checkpoint")
    for content in (b"", b"text", b"PK\x03\x04", pickle.dumps({"a": 1})[:-3]):
        path.write_bytes(content)
        refused(path, "not a checkpoint that can be read")
    torch.save([1], path)
    refused(path, r"format: expected 1, found \[1\]")
    torch.save({"format": 2}, path)
    refused(path, "format: expected 1, found 2")


@settings(max_examples=60, deadline=None)
@given(at=st.floats(0, 1), junk=st.binary(max_size=40), cut=st.booleans())
def test_any_damage_is_refused_in_one_line_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, at: float, junk: bytes, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("damage") / "last.pt"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    place = int(at * len(whole))
    path.write_bytes(whole[:place] + junk + (b"" if cut else whole[place + len(junk) :]))
    try:
        load_checkpoint(path)
    except InputError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "last.pt"
    path.write_bytes(content)
    refused(path)


def draws() -> list[Any]:
    return [
        torch.rand(3).tolist(),
        random.random(),
        random.gauss(0, 1),
        np.random.rand(2).tolist(),
        np.random.randn(1).tolist(),
    ]


def test_every_generator_goes_on_where_it_was(tmp_path: Path) -> None:
    draws()  # leaves a second Gaussian number waiting in two of them
    save_checkpoint(tmp_path / "last.pt", random_state())
    expected = draws()
    draws()
    restore_random_state(load_checkpoint(tmp_path / "last.pt"))
    assert draws() == expected
