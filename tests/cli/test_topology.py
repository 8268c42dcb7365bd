"""``masksem-graph topology``: checks, compares and measures; a fault is one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from masksem_graph.cli import main
from masksem_graph.encodings import RestPose
from masksem_graph.graph import SkeletonBatch
from masksem_graph.models.io import load_encoder
from masksem_graph.topology import load_topology
from tests.cli.options import replaced


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["topology", "check", "tiny5", "--output", str(tmp_path)])
    text = capsys.readouterr().out
    assert "4, a tree" in text and "valid" in text
    assert {path.name for path in tmp_path.iterdir()} == {"tiny5.png", "tiny5.svg"}


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["topology", "compare", "tiny5", "tiny5_limbs", "--output", str(tmp_path)])
    assert "bones of this one" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"tiny5_and_tiny5_limbs.png", "tiny5_and_tiny5_limbs.svg"}


def test_pose(small_store: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.yaml"
    main(["topology", "pose", str(small_store), "--output", str(target), "--split", "half"])
    found = load_topology(target)
    assert found.name == "mine" and "the mean of 14 clips" in found.source
    assert found.rest_pose["hip"] == (0.0, 0.0, 0.0) and found.rest_pose != load_topology("tiny5").rest_pose
    batch = SkeletonBatch.from_frames(torch.zeros(1, 1, len(found), 3), topology=found, segment=1)
    assert RestPose(width=8)(batch).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "tiny6"], "tiny6: no such file"),
        (["chekc", "tiny5"], "topology chekc: no such action, expected one of check, compare, pose"),
        (["pose", "nowhere", "--output", "x.yaml"], "nowhere"),
        (["compare", "tiny5"], "other"),
    ],
)
def test_a_fault_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["topology", *arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error


def test_a_broken_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: broken\nextends: tiny5\nadd_bones: [[foot, tail]]\n")
    with pytest.raises(SystemExit):
        main(["topology", "check", str(broken), "--output", str(tmp_path)])
    assert capsys.readouterr().err == f"error: {broken}: add_bones: no node is called 'tail'\n"
    assert list(tmp_path.iterdir()) == [broken]


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "topologies.md").read_text()
    (example,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "my_skeleton" in block]
    (tmp_path / "my_skeleton.yaml").write_text(example)
    main(["topology", "check", str(tmp_path / "my_skeleton.yaml"), "--output", str(tmp_path)])
    mine, whole = load_topology(tmp_path / "my_skeleton.yaml"), load_topology("ntu25")
    assert len(mine) == 21 and mine.graph.has_edge("left_foot", "right_foot")
    assert set(whole.joints) - set(mine.joints) == {"left_thumb", "right_thumb", "left_hand_tip", "right_hand_tip"}


def test_an_encoder_on_a_topology_of_ones_own(small_store: Path, train_arguments: list[str], tmp_path: Path) -> None:
    """With encodings side by side, as the page has them; afterwards on a skeleton that it never saw."""
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: tiny5\nadd_bones: [[left_hand, foot]]\nwithout: [right_hand]\n")
    parts = "[masksem_graph.encodings.Sinusoidal, masksem_graph.encodings.RestPose]"
    beside = f"[{{class_path: masksem_graph.encodings.Concatenate, init_args: {{parts: {parts}}}}}]"
    more = ["--model.topology", str(tmp_path / "mine.yaml"), "--model.encodings", beside, "--train.epochs", "1"]
    main(["train", *replaced([*train_arguments, *more, "--output", str(tmp_path / "run")])])
    encoder = load_encoder(tmp_path / "run")
    assert encoder.topology.graph.has_edge("left_hand", "foot") and len(encoder.topology) == 4
    other = load_encoder(tmp_path / "run", topology=load_topology("kinect20"))
    assert other.features(torch.randn(2, encoder.frames, 20, 3)).isfinite().all()


def test_overview(capsys: pytest.CaptureFixture[str]) -> None:
    main(["topology"])
    assert {"check", "compare", "pose"} <= set(capsys.readouterr().out.split())
