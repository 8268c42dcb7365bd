"""The NW-UCLA reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.readers import Reader
from masksem_graph.data.readers.nw_ucla import NWUCLAReader
from masksem_graph.errors import InputError

FRAME = [[0.1 * j, 0.2 * j, 3.0] for j in range(20)]


def write(folder: Path, skeletons: Any = None, *, label: Any = 10, text: str | None = None) -> Path:
    path = folder / "a12_s09_e04_v03.json"
    fields = {"file_name": path.stem, "skeletons": [FRAME] * 2 if skeletons is None else skeletons, "label": label}
    path.write_text(json.dumps(fields) if text is None else text)
    return path


def test_reads_name_label_and_coordinates(tmp_path: Path) -> None:
    clip = NWUCLAReader().read(write(tmp_path, [FRAME, FRAME]))
    assert (clip.name, clip.label, clip.subject, clip.camera, clip.setup) == ("a12_s09_e04_v03", 9, 9, 3, -1)
    np.testing.assert_array_equal(clip.bodies[0].frames, np.float32([FRAME, FRAME]))
    assert clip.bodies[0].present.all()


def test_the_real_set(shared: Path) -> None:
    reader = NWUCLAReader()
    sources = reader.sources(shared)
    assert len(sources) == 1484, "found in a folder above the files too"
    short = reader.read(next(path for path in sources if path.stem == "a02_s09_e04_v03"))
    assert (short.length, short.label) == (1, 1)
    camera = np.array([int(path.stem[-1]) for path in sources])
    assert reader.splits({"camera": camera})["xview"].sum() == 1020


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": '{"skeletons": [[[0.1, '}, "not whole JSON"),
        ({"text": "[" * 100_000}, "not whole JSON"),
        ({"text": "[]"}, "found [], expected an object"),
        ({"text": "{}"}, "skeletons: found None, expected [frames][20][x, y, z]"),
        ({"skeletons": []}, "skeletons: found [], expected [frames][20][x, y, z]"),
        ({"skeletons": [FRAME, FRAME[:19]]}, "skeletons[1]: found 19 joints, expected 20"),
        ({"skeletons": [FRAME, [*FRAME[:19], [1, 2]]]}, "skeletons[1][19]: found [1, 2], expected 3 numbers"),
        ({"skeletons": [[*FRAME[:19], [1, 2, "x"]]]}, "skeletons[0][19]"),
        ({"skeletons": [[*FRAME[:19], [1, 2, True]]]}, "skeletons[0][19]"),
        ({"skeletons": [[*FRAME[:19], [1, 2, 1e300]]]}, "skeletons[0][19]: found [1, 2, 1e+300], expected 3 numbers"),
        ({"skeletons": [[*FRAME[:19], [1, 2, 10**400]]]}, "skeletons[0][19]: found [1, 2, 1000"),
        ({"label": 0}, "label: found 0, expected 1 to 10"),
        ({"label": 11}, "label: found 11, expected 1 to 10"),
        ({"label": "1"}, "label: found '1', expected 1 to 10"),
        ({"label": 9}, "label: found 9, but the name says action a12, which is label 10"),
    ],
)
def test_bad_files(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path, **change)
    with pytest.raises(InputError) as error:
        NWUCLAReader().read(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_name_of_no_action(tmp_path: Path) -> None:
    path = write(tmp_path).rename(tmp_path / "a07_s09_e04_v03.json")
    with pytest.raises(InputError, match="label: found 10, but the name says action a07, which is none of the ten"):
        NWUCLAReader().read(path)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        NWUCLAReader().sources(tmp_path / "missing")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="holds no NW-UCLA clip"):
        NWUCLAReader().sources(tmp_path)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(
    tmp_path_factory: pytest.TempPathFactory, one_line_or_finite: Callable[[Reader, Path], None], data: st.DataObject
) -> None:
    text = json.dumps({"skeletons": [FRAME, FRAME], "label": 10})
    at = data.draw(st.integers(0, len(text)))
    new = data.draw(st.sampled_from(["", "]", "[", ",", "1e999", "-", "null", '"', "9" * 5000, "\x00", "é"]))
    path = write(tmp_path_factory.mktemp("mutated"), text=text[:at] + new + text[at + data.draw(st.integers(0, 40)) :])
    one_line_or_finite(NWUCLAReader(), path.parent)
