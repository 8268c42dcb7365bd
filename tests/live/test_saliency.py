"""Saliency of a window is that of the pictures, and costs no other answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from safetensors.torch import save_file

from masksem_graph.data.views import central_view
from masksem_graph.evaluation.classifier import load_classifier
from masksem_graph.live.recogniser import Recogniser
from masksem_graph.pictures.clip import show_clip
from masksem_graph.pictures.saliency import saliency
from masksem_graph.pictures.tasks import task_of
from tests.live.conftest import MakeRun, walk, with_reference


def test_as_the_pictures_have_it(make_run: MakeRun) -> None:
    run = make_run(view="body")
    reference = with_reference(run)
    one, plain = Recogniser(run, window=1), Recogniser(run, window=1)
    one.saliency = True
    bodies = [walk(30), walk(30, 1, at=(2, 0, 3))]
    for i, people in enumerate(zip(*bodies, strict=True)):
        answer, other = one.push(i / 30, list(people)), plain.push(i / 30, list(people))
    assert other.saliency is None
    np.testing.assert_allclose(answer.probabilities, other.probabilities, atol=1e-6)

    task, classifier = task_of(run), load_classifier(run)
    task.reference().copy_(reference)
    source = classifier.loader(one._store(one.window.clip(2)[0]))
    shown = show_clip(source, 0, topology=source.topology)
    crop = source.load(source.plan(central_view(torch.zeros(1, dtype=torch.int64), source.length, task.student.crop)))
    expected = saliency(task, replace(shown, batch=crop)).mean(1)
    np.testing.assert_allclose(answer.saliency, expected / expected.max(), atol=1e-5)
    assert answer.saliency.shape == (2, 20) and answer.saliency.max() == 1


def test_a_body_too_short_to_be_looked_at_has_none(make_run: MakeRun) -> None:
    run = make_run()
    with_reference(run)
    one = Recogniser(run, window=1)
    one.saliency = True
    for i, frame in enumerate(walk(30)):
        answer = one.push(i / 30, [*([frame + 2] if i < 3 else []), frame])
    assert answer.bodies == (1, 2) and not answer.saliency[0].any() and answer.saliency[1].max() == 1


def test_why_there_is_none(make_run: MakeRun) -> None:
    run = make_run()
    one = Recogniser(run, window=1)
    assert one.salient is None and "no reference.safetensors" in one.why_no_saliency
    with_reference(run)
    save_file({"reference": torch.zeros(8, 20, 3)}, run / "reference.safetensors")
    assert "another shape" in Recogniser(run).why_no_saliency
    (run / "results.json").write_text("[]")
    assert "no reference.safetensors" in Recogniser(run).why_no_saliency
