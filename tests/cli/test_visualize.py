"""``masksem-graph visualize``: every kind of a run's own data, what training and evaluation draw, and faults in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masksem_graph.cli import main
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.store import StoreWriter
from masksem_graph.topology import load_topology
from tests.cli.options import replaced

STILL = ("png", "svg")
AFTER = {f"{name}.{ending}" for name in ("saliency", "smoothing_saliency", "masks_skeleton") for ending in STILL}


@pytest.fixture(scope="module")
def run(train_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained with its pictures."""
    folder = tmp_path_factory.mktemp("visualize") / "run"
    more = ("--train.epochs", "1", "--train.evaluate_every", "0", "--train.figures", "true", "--output", str(folder))
    main(["train", *replaced([*train_arguments, *more])])
    return folder


def drawn(output: Path, *arguments: str) -> set[str]:
    main(["visualize", *arguments, "--output", str(output)])
    return {path.name for path in output.iterdir()}


def files(*names: str) -> set[str]:
    return {f"{name}.{ending}" for name in names for ending in STILL}


def test_training_draws_a_test_clip(run: Path) -> None:
    found = {path.name for path in (run / "figures").iterdir()}
    assert found >= AFTER | {"masks.png", "reconstruction_velocity.png", "reconstruction_acceleration.svg", "curves.png"}


def test_saliency(run: Path, tmp_path: Path) -> None:
    assert drawn(tmp_path, "saliency", "--run", str(run), "--clip", "1") == files("saliency") | {"saliency.gif"}
    still = drawn(tmp_path / "named", "saliency", "--run", str(run), "--clip", "clip15", "--gif", "false")
    assert still == files("saliency")
    # The second test clip is clip15: 14 clips train.
    assert (tmp_path / "saliency.png").read_bytes() == (tmp_path / "named" / "saliency.png").read_bytes()


def test_smoothing_without_a_run(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: tiny5\nadd_bones: [[foot, left_hand]]\n")
    found = drawn(tmp_path / "out", "smoothing", "--topology", str(tmp_path / "mine.yaml"), "--joints", "foot")
    assert found == files("smoothing_matrices", "smoothing_graphs", "smoothing_impulse")


def test_smoothing_of_a_clip(run: Path, tmp_path: Path) -> None:
    named = ["--operator", "adjacency", "--operator.hops", "2", "--gif", "false"]
    found = drawn(tmp_path, "smoothing", "--run", str(run), "--clip", "0", "--topology", "tiny5", *named)
    assert found == files("smoothing_matrices", "smoothing_graphs", "smoothing_impulse", "smoothing_saliency")


OWN = """from masksem_graph.operators import Heat

class Fading(Heat):
    def __init__(self, *, rate: float = 0.5) -> None:
        super().__init__(time=rate)
        self.rate = rate
"""


def test_smoothing_of_a_run_whose_operator_is_ones_own(
    train_arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fading_operator.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    own = ["--method.operator", "fading_operator.Fading", "--method.operator.rate", "2.5", "--train.epochs", "1"]
    main(["train", *replaced([*train_arguments, *own, "--output", "run"])])
    drawn(tmp_path / "out", "smoothing", "--run", "run", "--gif", "false", "--rate", "30")
    told = (tmp_path / "out" / "smoothing_matrices.svg").read_text()
    assert 0 < told.find("Fading, rate 2.5") < told.find("adjacency, 1 hop")
    assert "Fading," in (tmp_path / "out" / "smoothing_saliency.svg").read_text()
    # A rate is the operator's, or the clip's.
    named = ["smoothing", "--operator", "fading_operator.Fading"]
    drawn(tmp_path / "named", *named, "--topology", "tiny5", "--operator.rate", "0.25")
    assert "Fading, rate 0.25" in (tmp_path / "named" / "smoothing_matrices.svg").read_text()
    for more in (["--topology", "tiny5"], ["--run", "run"]):
        with pytest.raises(SystemExit):
            main(["visualize", *named, *more, "--rate", "0.25", "--output", "refused"])
        assert "a rate of the operator's is --operator.rate" in capsys.readouterr().err


def test_masks(run: Path, tmp_path: Path) -> None:
    found = drawn(tmp_path, "masks", "--run", str(run), "--clip", "clip15", "--draws", "20", "--rate", "30")
    assert found == files("masks", "masks_skeleton") | {"masks_skeleton.gif"}


def test_reconstruction(run: Path, tmp_path: Path) -> None:
    found = drawn(tmp_path, "reconstruction", "--run", str(run), "--clip", "3", "--part", "train")
    assert found == files("reconstruction_velocity", "reconstruction_acceleration")


def test_a_run_that_saved_no_average_motion(train_arguments: list[str], tmp_path: Path) -> None:
    """As released: the reference is each batch's own, so that of the training clips stands in for it."""
    short = ["--method", "masksem_released", "--train.epochs", "1", "--train.evaluate_every", "0"]
    main(["train", *replaced([*train_arguments, *short, "--output", str(tmp_path / "run")])])
    drawn(tmp_path / "out", "reconstruction", "--run", str(tmp_path / "run"), "--clip", "clip15", "--joints", "hip")
    assert "standardised error nan" not in (tmp_path / "out" / "reconstruction_velocity.svg").read_text()
    assert "standardised error" in (tmp_path / "out" / "reconstruction_velocity.svg").read_text()


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_embedding(run: Path, tmp_path: Path, method: str) -> None:
    assert drawn(tmp_path, "embedding", "--run", str(run), "--method", method) == files("embedding")


def test_evaluation_draws_the_map(run: Path, tmp_path: Path) -> None:
    arguments = ["--protocol", "knn", "--run", str(run)]
    main(["evaluate", *arguments, "--output", str(tmp_path / "with")])
    main(["evaluate", *arguments, "--figures", "false", "--output", str(tmp_path / "without")])
    assert {path.name for path in (tmp_path / "with" / "figures").iterdir()} == files("confusion", "embedding")
    assert {path.name for path in (tmp_path / "without" / "figures").iterdir()} == files("confusion")


def test_a_clip_that_is_not_in_the_runs_data(run: Path, tmp_path: Path) -> None:
    frames = np.random.default_rng(1).normal(size=(9, 5, 3)).astype(np.float32)
    with StoreWriter(tmp_path / "own", topology=load_topology("tiny5"), classes=("mine",)) as writer:
        writer.add(Clip(name="alone", label=0, bodies=(Body(start=0, frames=frames, present=np.ones(9, dtype=bool)),)))
    own = ["--clip", str(tmp_path / "own"), "--gif", "false"]
    assert drawn(tmp_path / "out", "saliency", "--run", str(run), *own) == files("saliency")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["potrait"], "visualize potrait: no such kind of picture, expected one of saliency, smoothing, masks, "),
        (["saliency"], "run"),
        (["saliency", "--run", "nowhere"], "nowhere: expected a run with encoder.yaml"),
        (["embedding", "--run", "nowhere"], "--run: nowhere: no such folder, expected a run"),
        (
            ["saliency", "--run", "RUN", "--clip", "nobody"],
            "--clip: nobody: expected a number below 8, the test clips",
        ),
        (["saliency", "--run", "RUN", "--clip", "8"], "--clip: 8: expected a number below 8"),
        (["saliency", "--run", "RUN", "--rate", "0"], "--rate: expected frames a second, more than 0"),
        (["saliency", "--run", "RUN", "--seed", "-1"], "--seed: expected at least 0"),
        (["saliency", "--run", "RUN", "--data.split", "third"], "data.split: expected one of half, found third"),
        (["smoothing"], "--topology: expected the name or path of a topology"),
        (["smoothing", "--topology", "tiny6"], "tiny6: no such file"),
        (["smoothing", "--topology", "tiny5", "--operator.hops", "2"], "--operator.hops: expected together with --operator"),
        (["smoothing", "--topology", "tiny5", "--rate", "30"], "--rate: frames a second of the clip of a --run"),
        (
            ["smoothing", "--topology", "tiny5", "--operator", "heat", "--operator.time", "x"],
            "--operator: time: expected a number",
        ),
        (["saliency", "--run", "RUN", "--operator.time", "2"], "operator.time"),
        (["smoothing", "--topology", "tiny5", "--operator", "blur"], "--operator: expected one of none, adjacency"),
        (["smoothing", "--topology", "tiny5", "--operator", "adjacency", "--operator.hops", "0"], "hops: expected at least 1"),
        (["smoothing", "--topology", "kinect20", "--run", "RUN"], "--topology: kinect20 does not fit the run"),
        (["smoothing", "--topology", "tiny5", "--joints", "tail"], "--joints: tiny5 has no joint called 'tail'"),
        (["masks", "--run", "RUN", "--draws", "0"], "--draws: expected at least 1"),
        (["reconstruction", "--run", "RUN", "--joints", "tail"], "--joints: tiny5 has no joint called 'tail'"),
        (["reconstruction", "--run", "PROBE"], "PROBE cannot reconstruct: it holds no decoder"),
        (["embedding", "--run", "RUN", "--points", "1"], "--points: expected at least 2"),
    ],
)
def test_a_fault_is_one_line(
    arguments: list[str], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "PROBE" in arguments:
        short = ["--protocol.epochs", "1", "--protocol.views", "1", "--figures", "false"]
        main(["evaluate", "--protocol", "linear", "--run", str(run), "--output", str(tmp_path / "PROBE"), *short])
        capsys.readouterr()
    places = {"RUN": str(run), "PROBE": str(tmp_path / "PROBE")}
    output = [] if arguments == ["potrait"] else ["--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        main(["visualize", *(places.get(word, word) for word in arguments), *output])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error
    assert not (tmp_path / "out").exists()


def test_overview(capsys: pytest.CaptureFixture[str]) -> None:
    main(["visualize"])
    assert {"saliency", "smoothing", "masks", "reconstruction", "embedding"} <= set(capsys.readouterr().out.split())
