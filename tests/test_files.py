from __future__ import annotations

from pathlib import Path

import pytest

from masksem_graph.errors import InputError
from masksem_graph.files import require_folder, write_beside


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
