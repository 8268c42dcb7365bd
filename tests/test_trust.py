"""Only trusted modules are imported, and only classes of the kind that is wanted."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonargparse._common import parsing_settings
from torch import nn

from masksem_graph import trust
from masksem_graph.cli import _trusting
from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.models.heads import Head


@dataclass
class Takes:
    """Fields that name a class in three ways."""

    head: Head | None = None
    anything: Any = None
    factory: type[nn.Module] | None = None


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current directory that says when it is imported."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "from pathlib import Path\nfrom torch import nn\nPath('imported').touch()\n\n\nclass Part(nn.Linear):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(trust, "_allowed", list(trust._allowed))
    monkeypatch.setitem(parsing_settings, "import_path_verdicts", dict(parsing_settings["import_path_verdicts"]))
    return name


def test_parts_of_this_package_and_of_torch_geometric_nn() -> None:
    assert trust.import_class("torch_geometric.nn.models.GIN", nn.Module, field="x").__name__ == "GIN"
    assert trust.import_class("masksem_graph.operators.Heat", nn.Module, field="x").__name__ == "Heat"


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "torch.nn.Linear",
        "torch_geometric.datasets.Planetoid",
        "masksem_graph_evil.Part",
        "masksem_graph.files.Path",
        "masksem_graph.files.os.system",
        "masksem_graph.files.write_beside",
        "masksem_graph.nothing.Part",
        "masksem_graph.operators.Nothing",
        "masksem_graph..operators",
        "masksem_graph.errors.InputError",
        "",
        "Part",
    ],
)
def test_anything_else_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=r"^here: ") as refused:
        trust.import_class(path, nn.Module, field="here")
    assert "\n" not in str(refused.value)


def test_nothing_is_imported_from_the_current_directory_because_a_file_says_so(mine: str) -> None:
    sys.path.append("")
    with pytest.raises(InputError, match=rf"{mine}\.Part is not imported: .*--trust {mine}"):
        trust.import_class(f"{mine}.Part", nn.Module, field="here")
    assert not Path("imported").exists()


def test_what_the_user_names_is_imported(mine: str) -> None:
    trust.allow(mine)
    assert trust.import_class(f"{mine}.Part", nn.Module, field="here").__name__ == "Part"
    with pytest.raises(InputError, match="expected a subclass of"):
        trust.import_class(f"{mine}.Part", nn.Conv1d, field="here")
    found = trust.own_parts(
        {"model": {"backbone": [{"class_path": f"{mine}.Part"}]}, "x": {"class_path": "masksem_graph.a.B"}}
    )
    assert list(found) == [f"{mine}.Part"] and len(found[f"{mine}.Part"]) == 64


def test_a_class_that_the_user_gives_is_one_class_and_not_its_module(mine: str) -> None:
    trust.allow_class(f"{mine}.Part", "here")
    assert trust.is_allowed(f"{mine}.Part") and not trust.is_allowed(f"{mine}.Other")


@pytest.mark.parametrize("written", ["--config {}", "--backbone={}", "run {}"])
def test_a_trusted_module_may_lie_beside_the_file_that_names_it(
    mine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    rest = written.format(tmp_path / "own.yaml").split()
    assert _trusting([*rest, "--trust", mine]) == rest
    assert issubclass(trust.import_class(f"{mine}.Part", nn.Module, field="here"), nn.Linear)
    assert sys.path[-1] == str(tmp_path), "last, so that nothing there hides an installed package"


@pytest.mark.parametrize("name", ["", "*", "a b", "../x", "jsonargparse.x", "a..b"])
def test_trust_takes_names_of_modules(name: str) -> None:
    with pytest.raises(InputError, match="--trust: expected the name of a module"):
        trust.allow(name)


def test_jsonargparse_is_held_to_the_same(tmp_path: Path) -> None:
    """It imports by itself what a configuration names."""
    owned = tmp_path / "owned"
    part = {"class_path": "os.system", "init_args": {"command": f"touch {owned}"}}
    for fields in ({"head": part}, {"head": "os.system"}, {"factory": "os.system"}):
        with pytest.raises(InputError):
            parse_mapping(Takes, fields, source="here")
    assert parse_mapping(Takes, {"anything": part}, source="here").anything == part
    assert not owned.exists()
