"""What a robot runs: numpy and onnxruntime alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import masksem_graph.exporting.runtime as runtime
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.store import store_of
from masksem_graph.evaluation.classifier import read_classifier
from masksem_graph.live.recogniser import Answer, Recogniser

ROBOT = """
import sys
sys.modules["torch"] = sys.modules["masksem_graph"] = None  # an import of either fails
import json, numpy, runtime
model = runtime.OnnxModel(sys.argv[1])
clips = numpy.load(sys.argv[2])
print(json.dumps([model.about["classes"], model([clips[name] for name in clips.files]).tolist()]))
"""


def recordings() -> list[np.ndarray]:
    random = np.random.default_rng(3)
    shapes = ((40, 20, 3), (2, 9, 20, 3), (1, 20, 3), (2, 33, 20, 3))
    clips = [(random.normal(0, 0.3, shape) + np.array([1, 2, 3])).astype(np.float32) for shape in shapes]
    clips[0][5:9] = 0  # out of sight
    clips[3][1] = 0  # nobody in the second slot
    return clips


def test_without_torch(run: Path, exported: Path, tmp_path: Path) -> None:
    shutil.copy(runtime.__file__, tmp_path / "runtime.py")
    np.savez(tmp_path / "clips.npz", *recordings())
    command = [sys.executable, "-c", ROBOT, str(exported), "clips.npz"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    classes, found = json.loads(done.stdout)
    assert classes == ["wave", "kick", "sit", "stand"]
    clips = []
    for array in recordings():
        frames = array if array.ndim == 4 else array[None]
        bodies = [(body, body.any((1, 2))) for body in frames if body.any()]
        first = bodies[0][0][0, 1]  # the spine is the centre
        parts = tuple(Body(0, np.where(there[:, None, None], body - first, 0), there) for body, there in bodies)
        clips.append(Clip("", -1, bodies=parts))
    classifier = read_classifier(run)
    store = store_of(clips, classifier.prepared.topology, origin="centre")
    np.testing.assert_allclose(found, classifier.probabilities(store).numpy(), atol=1e-5)


def test_live_takes_it_as_it_takes_the_run(run: Path, exported: Path) -> None:
    frames = recordings()[0] + np.float32(0.001)  # nobody is out of sight
    answers: list[list[Answer]] = []
    for one in (run, exported):
        recogniser = Recogniser(one, window=0.5)
        pushed = (recogniser.push(i / 30, [frame]) for i, frame in enumerate(frames))
        answers.append([answer for answer in pushed if answer])
    assert [answer.label for answer in answers[0]] == [answer.label for answer in answers[1]] and len(answers[0]) == 9
    for ours, theirs in zip(*answers, strict=True):
        assert ours.probabilities is not None and theirs.probabilities is not None
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.zeros((4, 19, 3)), r"clip 0: expected \[F, 20, 3\] or \[bodies, F, 20, 3\], found \[1, 4, 19, 3\]"),
        (np.full((4, 20, 3), np.nan), "clip 0: expected finite numbers"),
        (np.full((4, 20, 3), 800.0), "clip 0: found 800, expected at most 50 metres"),
        (np.zeros((4, 20, 3)), "clip 0: no frame with a body"),
    ],
)
def test_clips_that_cannot_be_used(clip: np.ndarray, message: str) -> None:
    about = {"joints": [""] * 20, "channels": 3, "farthest": 50.0, "units": "metres"}
    with pytest.raises(ValueError, match=message):
        runtime.ClipModel(lambda frames: frames, about)([clip])


def test_files_that_are_no_such_model(exported: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(exported)
    whole = {entry.key: entry.value for entry in model.metadata_props}
    for name, change, message in (
        ("bare", {}, "format: found None, expected 1"),
        ("other", whole | {"format": "2"}, "format: found 2, expected 1"),
        ("odd", whole | {"joints": '"20"'}, "joints: found '20'"),
    ):
        onnx.helper.set_model_props(model, change)
        onnx.save(model, tmp_path / name)
        with pytest.raises(ValueError, match=f"{name}: not a model of masksem-graph export: {message}"):
            runtime.OnnxModel(tmp_path / name)
    (tmp_path / "cut").write_bytes(exported.read_bytes()[:1000])
    for name in ("cut", "missing"):
        with pytest.raises(ValueError, match=f"{name}: not a model of masksem-graph export"):
            runtime.OnnxModel(tmp_path / name)
