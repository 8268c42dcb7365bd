from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.errors import InputError
from masksem_graph.files import require_folder, shipped, write_beside
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.topology import load_topology


def test_a_folder_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.pt").write_text("precious")
    with pytest.raises(InputError, match=r"run: is a folder; expected the path of a file"), write_beside(run) as partial:
        partial.write_text("a table")
    assert (run / "last.pt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "old").touch()
    with write_beside(run) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [path.name for path in run.iterdir()] == ["new"] and [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--output: .*file: cannot be written to"):
        require_folder(tmp_path / "file")
    require_folder(tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ALIASES.encode(), "has more than 100,000 values with its aliases followed"),
        (b"[" * 3000 + b"]" * 3000, "is nested deeper than 50 levels"),
        (b"{a: " * 3000, "is nested deeper than 50 levels"),
        (b"&a [*a]", "*a is not the alias of a whole value before it"),
        (b"a: 1\nb: 2\na: 3\n", "not a readable YAML file: line 3, column 1: 'a' stands twice"),
        (b"a: {b: {c: 1, c: 1}}\n", "not a readable YAML file: line 1, column 15: 'c' stands twice"),
        (b"a: b" + b"c" * 2**20, "is larger than 1 MiB"),
        ("a: é".encode("latin-1"), "byte 3 is not UTF-8"),
        ("a: 1".encode("utf-16"), "byte 0 is not UTF-8"),
        (b"a: 2001-13-45", "not a readable YAML file: month must be in 1..12"),
        (b"a: " + b"9" * 5000, "not a readable YAML file: Exceeds the limit"),
        (
            b"a: !!python/object/apply:os.system [id]",
            "not a readable YAML file: line 1, column 4: could not determine a constructor",
        ),
        (b"!!timestamp x", "not a readable YAML file"),
        (b"!!int ''", "not a readable YAML file"),
        (b"{[1]: 2}", "not a readable YAML file"),
        (b"a: [1\nb: 2", "not a readable YAML file: line 2, column 2: a [ without its ]"),
        (b"a:\n\t- b", "not a readable YAML file: line 2, column 1: a tab, or a sign such as @; lines are indented"),
        (b"a: b: c", "not a readable YAML file: line 1, column 5: a second colon; text with a colon in it stands in quotes"),
        (b"a: 'b", "not a readable YAML file: line 1, column 6: a quote without its end"),
        (b"a: 1\nb\nc: 2", "not a readable YAML file: line 3, column 1: a name without its colon"),
        (b"a: 1\n---\nb: 2", "not a readable YAML file"),
        (b"a: \x00", "not a readable YAML file"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "some.yaml"
    path.write_bytes(text)
    with pytest.raises(InputError) as error:
        read_yaml(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert len(str(error.value).splitlines()) == 1


def test_yaml_with_a_byte_order_mark_aliases_and_merges(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("a: &a {x: 1, y: ü}\nb: {<<: *a, x: 2}\nc: *a\n", encoding="utf-8-sig")
    assert read_yaml(path) == {"a": {"x": 1, "y": "ü"}, "b": {"x": 2, "y": "ü"}, "c": {"x": 1, "y": "ü"}}


def test_yaml_as_text(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("classes: [yes, no, 01, 1.0, null, 2001-01-01]\n")
    assert read_yaml(path, as_text=True) == {"classes": ["yes", "no", "01", "1.0", "null", "2001-01-01"]}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_yaml_raises_only_input_errors(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray((shipped("graphs") / "tiny5.yaml").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"&a ", b"*a", b"[", b"{", b"- ", b"!!int ", b": ", b"\xff", b"<<: ", b"? ", b"'", b"%"])
            | st.binary(max_size=3)
        )
    path = tmp_path_factory.mktemp("mutated") / "some.yaml"
    path.write_bytes(content)
    for read in (read_yaml, load_topology):
        try:
            read(path)
        except InputError as error:
            assert len(str(error).splitlines()) == 1


def test_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        with write_beside(tmp_path / "some") as partial:
            partial.write_text("x")
            partial.chmod(0o600)
    finally:
        os.umask(before)
    assert oct((tmp_path / "some").stat().st_mode & 0o777) == "0o660"


def test_leftovers_of_dead_processes_go(tmp_path: Path) -> None:
    for name in (".a.99999999.partial", f".a.{os.getppid()}.partial", ".a.99999999.old", ".a.txt", ".b.99999999.partial"):
        (tmp_path / name).write_text(name)
    with write_beside(tmp_path / "a") as partial:
        assert (tmp_path / "a").read_text() == ".a.99999999.old", "what was moved aside is back"
        partial.write_text("new")
    assert (tmp_path / "a").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"a", f".a.{os.getppid()}.partial", ".a.txt", ".b.99999999.partial"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with write_beside(tmp_path / "link") as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
