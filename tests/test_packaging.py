"""The lists of dependencies agree, and a wheel works where there is no checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

Ranges = dict[str, tuple[SpecifierSet, frozenset[str]]]


def ranges(lines: list[str]) -> Ranges:
    """Name -> its versions and extras."""
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(CONDA_NAMES.get(r.name, r.name)): (r.specifier, frozenset(r.extras)) for r in found}


def declared(*extras: str) -> Ranges:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return {name: value for name, value in ranges(lines).items() if name != "masksem-graph"}


def constraints() -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    pins = [re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;]+)", line) for line in lines if line]
    assert None not in pins, "constraints.txt holds name==version lines only"
    return {canonicalize_name(pin[1]): pin[2] for pin in pins if pin}


def test_conda_environment_declares_what_pyproject_declares():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    lines = [item for item in environment["dependencies"] if isinstance(item, str)]
    (pip,) = (item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    conda = ranges(lines + [line for line in pip if not line.startswith("-e")])
    python, _ = conda.pop("python")
    assert conda.pop("pip") is not None
    assert python == SpecifierSet(PROJECT["requires-python"])
    assert conda == declared()
    assert environment["channels"] == ["conda-forge"]
    assert "-e ." in pip


def test_pins_satisfy_the_ranges():
    pins = constraints()
    wanted = declared("tensorboard", "export", "hub", "dev")
    assert set(wanted) <= set(pins)
    assert {name: pins[name] for name, (versions, _) in wanted.items() if not versions.contains(pins[name])} == {}


def test_setup_can_read_the_torch_pin():
    assert re.findall(r"^torch==(\d+\.\d+\.\d+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE), "no local label"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("hatchling") is None:
        pytest.skip("needs hatchling, which the extra 'dev' brings")
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(ROOT),
    ]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("masksem_graph-*.whl")
    return path


def test_wheel_holds_the_package_and_every_yaml(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    shipped = {
        f"masksem_graph/{p.relative_to(ROOT).as_posix()}" for k in ("graphs", "configs") for p in (ROOT / k).rglob("*.yaml")
    }
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "masksem_graph").rglob("*.py")}
    assert len(shipped) > 3
    assert shipped | modules <= inside
    assert {name for name in inside if not name.startswith("masksem_graph/")} == set()


def test_wheel_works_in_an_empty_folder(wheel: Path, tmp_path: Path):
    place = tmp_path / "venv"
    venv.create(place, symlinks=True, with_pip=False)
    python = place / "bin" / "python"
    (site,) = (place / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The other packages come from the running environment; its own .pth files (an editable install's) are not followed.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(python), *arguments], cwd=empty, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    look = "import masksem_graph.topology as t; print(t.__file__, len(t.load_topology('ntu25')))"
    file, joints = run("-c", look).split()
    assert Path(file).is_relative_to(site)
    assert joints == "25"
    assert str(ROOT) not in run("-c", "import sys; print(sys.path)").split("'")
    assert "train" in run("-m", "masksem_graph", "--help")
    assert list(empty.iterdir()) == []
