"""A target in the Poincare ball."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.methods.ha_cm import InPoincareBall
from masksem_graph.targets import Coordinates, Target, VelocityAcceleration
from tests.helpers import batch_of


@pytest.mark.parametrize("target", [Coordinates(), VelocityAcceleration(beta=0.3), VelocityAcceleration(beta=0.0)])
def test_each_vector_is_mapped(target: Target) -> None:
    x = torch.randn(2, 6, 5, 3)
    clips = batch_of(x)
    ball = InPoincareBall(target=target)
    assert ball.weights == target.weights and ball.before_resize == target.before_resize
    mapped, plain = ball.values(clips), target.values(clips)
    assert list(mapped) == list(plain)
    for name, values in plain.items():
        length = values.norm(dim=-1, keepdim=True)
        expected = torch.where(length > 0, values / length * length.tanh(), values)
        torch.testing.assert_close(mapped[name], expected)


def test_small_motion_hardly_changes() -> None:
    x = (0.01 * torch.randn(1, 8, 5, 3)).cumsum(1)
    clips = batch_of(x)
    target = VelocityAcceleration(beta=0.0)
    torch.testing.assert_close(
        InPoincareBall(target=target).values(clips)["velocity"], target.values(clips)["velocity"], rtol=2e-3, atol=0
    )


def test_before_the_resize_is_asked_for() -> None:
    assert InPoincareBall(target=VelocityAcceleration(differentiate="before_resize")).before_resize
