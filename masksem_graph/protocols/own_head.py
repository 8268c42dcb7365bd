"""The run's own classifier, as it stands."""

from __future__ import annotations

from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.protocols.base import Evaluation, Outcome, Protocol


class OwnHead(Protocol):
    """The head that the run itself holds, a converted probe's for one; nothing is trained."""

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        bar = progress.add_task("own head", total=1, note="")
        scores = self.scores(evaluation)
        progress.advance(bar)
        return Outcome(scores=scores, figures={}, head=evaluation.head)

    def scores(self, evaluation: Evaluation) -> Float[Tensor, "test classes"]:
        """Class scores of the central share of the test clips.

        Raises:
            InputError: the run has no head, or one for another number of classes.
        """
        if evaluation.head is None:
            raise InputError("--run: this protocol needs a run with a head (head.yaml), found none")
        found = evaluation.head.classes
        if found != len(evaluation.classes):
            raise InputError(f"--run: its head scores {found} classes, and the data has {len(evaluation.classes)}")
        return evaluation.classify_test(evaluation.test)
