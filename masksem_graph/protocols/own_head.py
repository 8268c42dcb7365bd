"""The run's own classifier, as it stands."""

from __future__ import annotations

from rich.progress import Progress

from masksem_graph.errors import InputError
from masksem_graph.protocols.base import Evaluation, Outcome, Protocol
from masksem_graph.tasks.classify import Classify


class OwnHead(Protocol):
    """The head that the run itself holds, a converted probe's for one; nothing is trained.

    It scores the central share of the test clips. A run without a head, or with one for other classes, is refused.
    """

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        head, classes = evaluation.head, len(evaluation.classes)
        if head is None:
            raise InputError("--run: this protocol needs a run with a head (head.yaml), found none")
        if head.classes != classes:
            raise InputError(f"--run: its head scores {head.classes} classes, and the data has {classes}")
        bar = progress.add_task("own head", total=1, note="")
        network = Classify(encoder=evaluation.encoder, head=head).eval()
        scores = evaluation.map(network, evaluation.central(evaluation.test), classes)
        progress.advance(bar)
        return Outcome(scores=scores, figures={}, head=head)
