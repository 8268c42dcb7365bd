"""The heads, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from masksem_graph.models.heads import GlobalBatchNorm, Head, LinearHead, MLPHead

FEATURES = torch.arange(3 * 4 * 2.0).view(3, 4, 2) ** 1.5  # three bodies, two segments of two joints, width 2
SEQUENCE = torch.tensor([0, 0, 1])


def test_linear_head_pools_over_nodes_and_bodies() -> None:
    head = LinearHead(width=2, classes=3)
    expected = torch.stack([FEATURES[:2].mean((0, 1)), FEATURES[2].mean(0)])
    torch.testing.assert_close(head.pool(FEATURES, SEQUENCE, 2), expected)
    assert head.classes == 3 and head.eval()(expected).shape == (2, 3)


def test_mlp_head_keeps_joints_apart() -> None:
    head = MLPHead(width=2, joints=2, classes=3, hidden=5, dropout=0.0).eval()
    per_body = [torch.cat([(body[0] + body[2]) / 2, (body[1] + body[3]) / 2]) for body in FEATURES]
    expected = torch.stack([(per_body[0] + per_body[1]) / 2, per_body[2]])
    pooled = head.pool(FEATURES, SEQUENCE, 2)
    torch.testing.assert_close(pooled, expected)
    hidden = nn.functional.linear(expected, head.project.weight, head.project.bias)
    scaled = hidden / (1 + head.norm.eps) ** 0.5  # fresh statistics: mean 0, variance 1
    torch.testing.assert_close(head(pooled), head.classify(scaled.relu()))


def test_an_absent_body_counts_where_it_is_given() -> None:
    absent = torch.full((1, 4, 2), 3.0)
    for head in (LinearHead(width=2, classes=3), MLPHead(width=2, joints=2, classes=3, hidden=5, dropout=0.0)):
        without, with_absent = head.pool(FEATURES, SEQUENCE, 2), head.pool(FEATURES, SEQUENCE, 2, absent)
        torch.testing.assert_close(with_absent[0], without[0], msg="both slots are taken")
        torch.testing.assert_close(with_absent[1], (without[1] + 3.0) / 2)


def test_dropout_acts_on_node_features_in_training_alone() -> None:
    head = MLPHead(width=2, joints=2, classes=3, hidden=5, dropout=0.5)
    assert not torch.equal(head.pool(FEATURES, SEQUENCE, 2), head.pool(FEATURES, SEQUENCE, 2))
    head.eval()
    assert torch.equal(head.pool(FEATURES, SEQUENCE, 2), head.pool(FEATURES, SEQUENCE, 2))


@pytest.mark.parametrize(
    "head",
    [
        LinearHead(width=2, classes=3),
        LinearHead(width=2, classes=3, norm=False),
        MLPHead(width=2, joints=2, classes=4, hidden=7, dropout=0.2),
    ],
)
def test_options_build_the_same_head(head: Head) -> None:
    again = type(head)(width=2, joints=2, classes=head.classes, **head.options())
    again.load_state_dict(head.state_dict())
    head.eval(), again.eval()
    assert torch.equal(head(head.pool(FEATURES, SEQUENCE, 2)), again(again.pool(FEATURES, SEQUENCE, 2)))


def test_batch_norm_is_torchs_own_on_one_process() -> None:
    ours, theirs = GlobalBatchNorm(4), nn.BatchNorm1d(4)
    x = torch.randn(6, 4)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_batch_norm_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written out for two halves of a batch, the sums of the other half being handed in."""
    x = torch.randn(7, 3, dtype=torch.float32)
    mine, other = x[:2], x[2:]
    ours, theirs = GlobalBatchNorm(3), nn.BatchNorm1d(3)
    sums = iter([torch.tensor([5.0]), other.sum(0), (other - x.mean(0)).square().sum(0)])
    monkeypatch.setattr("masksem_graph.models.heads.all_reduce", lambda value: value + next(sums))
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    found = ours(mine)
    torch.testing.assert_close(found, theirs(x)[:2])
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
