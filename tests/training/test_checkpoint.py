"""Checkpoints: always whole, never run."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.errors import InputError
from masksem_graph.training.checkpoint import (
    PREVIOUS,
    check_alike,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)

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

    def full_disk(state: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(InputError, match=r"last\.pt: cannot be written: No space left"):
        save_checkpoint(path, {**STATE, "epoch": 4})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_new_one_takes_the_place_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    replaced, replace = [], os.replace

    def watch(source: Path, target: Path) -> None:
        assert load_checkpoint(path)["epoch"] == 3, "until then the old one stands, whole"
        expected = 4 if target == path else 3
        assert torch.load(source, weights_only=True)["epoch"] == expected, "and the new one is whole beside it"
        replaced.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    save_checkpoint(path, {**STATE, "epoch": 4})
    assert replaced == [tmp_path / PREVIOUS, path] and load_checkpoint(path)["epoch"] == 4
    assert load_checkpoint(tmp_path / PREVIOUS)["epoch"] == 3


def test_the_one_before_where_files_have_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    for epoch in (1, 2, 3):
        save_checkpoint(tmp_path / "last.pt", {"epoch": epoch})
    assert [load_checkpoint(tmp_path / name)["epoch"] for name in ("last.pt", PREVIOUS)] == [3, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", PREVIOUS]


def test_a_damaged_one_gives_way_to_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for epoch in (1, 2):
        save_checkpoint(tmp_path / "last.pt", {"epoch": epoch})
    assert newest_checkpoint(tmp_path)["epoch"] == 2 and not capsys.readouterr().err
    (tmp_path / "last.pt").write_bytes((tmp_path / "last.pt").read_bytes()[:-40])
    assert newest_checkpoint(tmp_path)["epoch"] == 1
    assert "going on from previous.pt, the checkpoint before it" in capsys.readouterr().err
    (tmp_path / PREVIOUS).unlink()
    with pytest.raises(InputError, match=r"last\.pt: "):
        newest_checkpoint(tmp_path)


def test_every_changed_bit_is_seen_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            back = load_checkpoint(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
        else:
            assert torch.equal(back.pop("weights")["a"], STATE["weights"]["a"])  # type: ignore[index]
            assert back == {name: value for name, value in STATE.items() if name != "weights"} | {"format": 1}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.tensor([1.0, float("nan")]), "task.a: found numbers that are not finite"),
        (torch.tensor([float("inf")]), "task.a: found numbers that are not finite"),
        (torch.zeros(1).expand(10**9), "task.a: found tensors of more than 4,000,000,000 bytes in a file of"),
        (torch.zeros(10**9, device="meta"), "task.a: found a tensor of another kind"),
        (torch.eye(3).to_sparse(), "task.a: found a tensor of another kind"),
    ],
)
def test_tensors_that_no_run_writes(tmp_path: Path, value: torch.Tensor, message: str) -> None:
    torch.save({"format": 1, "task": {"a": value}}, tmp_path / "last.pt")
    refused(tmp_path / "last.pt", message)


def test_a_compressed_or_deep_file(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"format": 1, "deep": _nested(60)}, path)
    refused(path, "nested deeper than 20 levels")
    torch.save({"format": 1, "a": torch.zeros(10**6)}, path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member))
    refused(tmp_path / "b.pt", "found a compressed archive")


def test_a_member_that_is_marked_as_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"format": 1, "a": torch.ones(1)}, path)  # torch leaves the room for the bytes of a folder as it is
    content, name = path.read_bytes(), b"/data/0"
    place = content.rindex(b"PK\x01\x02", 0, content.rindex(name))
    assert content[place + 38 : place + 42] == bytes(4)
    path.write_bytes(content[: place + 38] + b"\x10" + content[place + 39 :])
    refused(path, "one of its members is marked as a folder")


def _nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def test_state_of_another_run() -> None:
    own = {"a": torch.zeros(2), "n": 1, "list": [1.0]}
    check_alike({"a": torch.ones(2), "n": 5, "list": [3.0]}, own, "x")
    for found, message in (
        ({"a": torch.ones(3), "n": 5, "list": [3.0]}, r"x\.a: expected torch\.float32 of shape \[2\], found .* \[3\]"),
        ({"a": torch.ones(2).double(), "n": 5, "list": [3.0]}, r"x\.a: "),
        ({"a": torch.ones(2), "n": True, "list": [3.0]}, r"x\.n: expected a int, found True"),
        ({"a": torch.ones(2), "n": 1, "list": [float("nan")]}, r"x\.list\.0: "),
        ({"a": torch.ones(2), "n": 1, "list": []}, r"x\.list: expected a list of 1"),
        ({"a": torch.ones(2)}, r"x: expected entries a, n, list"),
        (None, r"x: expected entries a, n, list, found None"),
    ):
        with pytest.raises(InputError, match=message):
            check_alike(found, own, "x")


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
    refused(path, "not a checkpoint that can be read|refused, as it holds")
    assert not trace.exists()
    if kind == "pickle":
        pickle.loads(path.read_bytes())
        assert trace.exists(), "the bomb is real"


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    refused(path, "cannot be read: No such file")
    refused(tmp_path, "is not a regular file")
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
