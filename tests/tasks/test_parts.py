"""What the task gives to scores and operators that are made outside, and which of them it refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from masksem_graph.backbones import Transformer
from masksem_graph.encodings import Laplacian, Sinusoidal
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.masking import Evidence, Scores, Uniform
from masksem_graph.methods.ha_cm import AlternatingScores, AttentionScores
from masksem_graph.models.build import ModelConfig
from masksem_graph.operators import Operator
from masksem_graph.targets import Target, VelocityAcceleration
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, Pretrain, RandomNumbers, build_pretrain
from masksem_graph.topology import Topology, load_topology
from tests.helpers import batch_of

TINY = load_topology("tiny5")
SEGMENTS = 4


class Limb(Scores):
    """Hides one body part of each body, whole: needs the skeleton and one random number."""

    draws = 1

    def forward(self, evidence: Evidence) -> Tensor:
        assert evidence.uniform is not None
        topology = evidence.batch.topology
        member = torch.tensor([[joint in joints for joint in topology.joints] for joints in topology.parts.values()])
        chosen = (evidence.uniform[:, 0] * len(member)).long()
        return member[chosen].float()[:, None].expand(evidence.nodes.shape[:3])


class Weighted(Scores):
    """With a weight of its own for each coordinate."""

    def __init__(self, *, learns: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(6), requires_grad=learns)

    def forward(self, evidence: Evidence) -> Tensor:
        return (evidence.nodes.abs() * self.weight).sum(-1)


class Mixed(Operator):
    """Between the scores and their mean."""

    def __init__(self, *, learns: bool) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.3), requires_grad=learns)

    def matrix(self, topology: Topology) -> Tensor:
        return torch.eye(len(topology))

    def forward(self, eta: Tensor, batch: SkeletonData) -> Tensor:
        return eta + self.share * (eta.mean((1, 2), keepdim=True) - eta)


def task(scores: Scores, operator: Operator | None = None, **options: Any) -> Pretrain:
    blocks = partial(Transformer, depth=1, heads=2)
    model = ModelConfig(
        frames=2 * SEGMENTS, segment=2, width=8, encodings=[Sinusoidal, Laplacian], backbone=blocks, decoder=blocks
    )
    parts = {} if operator is None else {"operator": operator}
    method = MethodConfig(**{"scores": scores, "target": VelocityAcceleration(), "temperature": 0.01, **parts, **options})
    return build_pretrain(model, method, topologies=[TINY], channels=3)


def test_scores_get_the_random_numbers_that_they_ask_for() -> None:
    """0.1, 0.5 and 0.9 of three parts: trunk, arms, leg."""
    one = task(Limb(), mask_ratio=0.2)
    batch = one.student.batch(torch.randn(3, 8, 5, 3))
    numbers = RandomNumbers(torch.rand(3, 20), torch.tensor([[0.1], [0.5], [0.9]]))
    evidence = one.evidence(batch, numbers, whole=_alone(batch))
    assert evidence.uniform is numbers.scores
    assert one.score(batch, numbers)[:, 0].tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    masked = one.draw(batch, numbers).mask.masked % 5
    assert [sorted(set(row)) for row in masked.tolist()] == [[0, 1], [2, 3], [4]]
    assert one(batch, numbers)["loss"].isfinite()


def _alone(batch: SkeletonData) -> Any:
    from masksem_graph.tasks.pretrain import alone

    return alone(batch)  # type: ignore[arg-type]


def test_their_numbers_go_with_their_bodies() -> None:
    """A part of a batch draws what these bodies draw in the whole."""
    one = task(Limb(), mask_ratio=0.2)
    frames = torch.randn(4, 8, 5, 3)
    numbers, inside = RandomNumbers(torch.rand(4, 20), torch.rand(4, 1)), torch.tensor([False, True, False, True])
    some = numbers.of_bodies(inside, torch.device("cpu"))
    whole, part = one.draw(one.student.batch(frames), numbers), one.draw(one.student.batch(frames[inside]), some)
    assert torch.equal(part.mask.masked, whole.mask.masked[inside]) and torch.equal(part.pi, whole.pi[inside])


def test_scores_see_the_batch() -> None:
    """Its skeleton, its frames, its clips; the nodes are the batch's own values."""
    seen: list[Evidence] = []

    class Looks(Uniform):
        def forward(self, evidence: Evidence) -> Tensor:
            seen.append(evidence)
            return super().forward(evidence)

    one = task(Uniform())
    one.scores = Looks()
    batch = one.student.batch(torch.randn(3, 8, 5, 3), sequence=torch.tensor([0, 0, 1]))
    one(batch, RandomNumbers(torch.rand(3, 20)))
    (evidence,) = seen
    assert evidence.batch is batch and evidence.batch.topology == TINY and evidence.batch.num_sequences == 2
    assert torch.equal(evidence.nodes, batch.dense.view(3, SEGMENTS, 5, 6))
    assert evidence.uniform is evidence.features is evidence.embedded is None


class Gives(Scores):
    """Whatever it is told to."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        self.given = given

    def forward(self, evidence: Evidence) -> Tensor:
        return self.given


class Negative(Operator):
    def matrix(self, topology: Topology) -> Tensor:
        return -torch.eye(len(topology))


class Says(Target):
    """Whatever it is told to, under the name of its one weight or another."""

    def __init__(self, given: Any) -> None:
        self.given = given

    @property
    def weights(self) -> dict[str, float]:
        return {"pose": 1.0}

    def values(self, batch: SkeletonData) -> Any:
        return self.given


def test_a_part_of_a_batch_may_be_empty() -> None:
    one = task(Uniform())
    assert (
        one(one.student.batch(torch.zeros(0, 8, 5, 3)), RandomNumbers(torch.zeros(0, 20)), GlobalBatch(bodies=3))["loss"] == 0
    )


POSE = torch.zeros(3, 8, 5, 3)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (
            {"scores": Gives(torch.ones(3, 4, 4))},
            r"method.scores: Gives: expected scores \[.*\] = \[3, 4, 5\], found \[3, 4, 4\]",
        ),
        ({"scores": Gives(None)}, r"method.scores: Gives: expected scores .*, found NoneType"),
        ({"scores": Gives(-torch.ones(3, 4, 5))}, r"method.scores: Gives: expected scores of at least 0, found -1"),
        ({"scores": Gives(torch.full((3, 4, 5), torch.nan))}, r"method.scores: Gives: .* at least 0, found nan"),
        ({"scores": Uniform(), "operator": Negative()}, r"method.operator: Negative: expected scores of at least 0, found -1"),
        ({"target": Says(POSE)}, r"method.target: Says: expected values of pose, as its weights, found Tensor"),
        ({"target": Says({"place": POSE})}, r"method.target: Says: expected values of pose, as its weights, found place"),
        (
            {"target": Says({"pose": POSE[..., 0]})},
            r"method.target: Says: pose: expected \[3, 8, 5\] and .*, found \[3, 8, 5\]",
        ),
        ({"target": Says({"pose": POSE[:, 1:]})}, r"method.target: Says: pose: expected .*, found \[3, 7, 5, 3\]"),
    ],
)
def test_what_a_part_gives_is_held_against_its_contract(parts: dict[str, Any], line: str) -> None:
    one = task(**{"scores": Uniform(), **parts})
    with pytest.raises(InputError, match=rf"^{line}$"):
        one(one.student.batch(torch.randn(3, 8, 5, 3)), RandomNumbers(torch.rand(3, 20)))


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"scores": Weighted(learns=True)}, "method.scores: Weighted has weights that ask for a gradient"),
        (
            {"scores": AlternatingScores(even=Uniform(), odd=Weighted(learns=True))},
            "method.scores: AlternatingScores has weights that ask for a gradient",
        ),
        ({"scores": Uniform(), "operator": Mixed(learns=True)}, "method.operator: Mixed has weights that ask for a gradient"),
    ],
    ids=["scores", "scores_within", "operator"],
)
def test_weights_that_would_never_learn_are_refused(parts: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=rf"^{line}; .*expected weights with requires_grad=False, or none$"):
        task(**parts)


def test_fixed_weights_are_not() -> None:
    one = task(AlternatingScores(even=Weighted(learns=False), odd=AttentionScores()), Mixed(learns=False))
    assert {"scores.even.weight", "scores.odd.query.weight", "operator.share"} <= one.state_dict().keys(), "saved with the run"
    batch = batch_of(torch.randn(2, SEGMENTS, 5, 6), TINY)
    eta = torch.rand(2, SEGMENTS, 5)
    expected = 0.7 * eta + 0.3 * eta.mean((1, 2), keepdim=True)
    torch.testing.assert_close(one.operator(eta, batch), expected)
