"""Gumbel top-k is drawing without replacement: against exact probabilities, at fixed seeds."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.masking import gumbel_top_k
from masksem_graph.masking.sampler import masked_count

DRAWS = 200_000


def exact_set_probabilities(pi: list[float], count: int) -> dict[tuple[int, ...], float]:
    """By enumerating every order in which nodes can be drawn one after the other, none put back."""
    out = dict.fromkeys(combinations(range(len(pi)), count), 0.0)
    for order in permutations(range(len(pi)), count):
        chance, left = 1.0, sum(pi)
        for node in order:
            chance *= pi[node] / left
            left -= pi[node]
        out[tuple(sorted(order))] += chance
    return out


@pytest.mark.parametrize(
    ("pi", "count"),
    [
        ([0.1, 0.2, 0.3, 0.4], 2),
        ([0.05, 0.6, 0.1, 0.05, 0.2], 2),
        ([0.2, 0.2, 0.2, 0.2, 0.2], 3),
        ([0.7, 0.1, 0.1, 0.06, 0.04], 4),
        ([0.5, 0.3, 0.2], 1),
    ],
)
def test_agrees_with_exact_probabilities(pi: list[float], count: int) -> None:
    expected = exact_set_probabilities(pi, count)
    assert sum(expected.values()) == pytest.approx(1)
    uniform = torch.rand(DRAWS, len(pi), generator=torch.Generator().manual_seed(len(pi) + count))
    # log pi is only needed up to a constant.
    mask = gumbel_top_k((torch.tensor([pi]).log() + 3.0).expand(DRAWS, -1), uniform, count)
    code = (mask.masked * 10 ** torch.arange(count)).sum(1)
    found = torch.tensor([(code == sum(n * 10**i for i, n in enumerate(nodes))).sum().item() for nodes in expected])
    assert found.sum() == DRAWS
    wanted = DRAWS * torch.tensor(list(expected.values()))
    chi_square = ((found - wanted) ** 2 / wanted).sum().double()
    freedom = torch.tensor(len(expected) - 1.0).double()
    p_value = 1 - torch.special.gammainc(freedom / 2, chi_square / 2)
    assert p_value > 1e-3, f"chi-square {chi_square:.1f} at {freedom:.0f} degrees of freedom"


def test_the_chi_square_test_can_fail() -> None:
    """The same statistic against the probabilities of drawing with replacement, renormalised, is far off."""
    pi, count = [0.1, 0.2, 0.3, 0.4], 2
    exact = exact_set_probabilities(pi, count)
    products = {pair: pi[pair[0]] * pi[pair[1]] for pair in exact}
    wrong = {pair: value / sum(products.values()) for pair, value in products.items()}
    assert DRAWS * sum((exact[p] - wrong[p]) ** 2 / wrong[p] for p in exact) > 1000


@pytest.mark.parametrize("extreme", [0.0, 1e-45, 2**-24, 1 - 2**-24, 1.0])
def test_extreme_draws(extreme: float) -> None:
    log_pi = torch.full((1, 6), 1 / 6).log()
    uniform = torch.full((1, 6), 0.5)
    uniform[0, 2] = extreme
    mask = gumbel_top_k(log_pi, uniform, 1)
    assert mask.masked.tolist() == [[2 if extreme > 0.5 else 0]]
    alike = gumbel_top_k(log_pi, torch.full((1, 6), extreme), 2)
    assert alike.masked.tolist() == [[0, 1]], "equal keys, finite: the first nodes win"


def test_certain_nodes_win() -> None:
    log_pi = torch.tensor([[0.0, -1e9, 0.0, -1e9, 0.0]])
    mask = gumbel_top_k(log_pi.expand(50, -1), torch.rand(50, 5), 3)
    assert mask.masked.tolist() == [[0, 2, 4]] * 50


@settings(max_examples=60, deadline=None)
@given(bodies=st.integers(1, 3), nodes=st.integers(2, 40), data=st.data())
def test_both_lists_are_in_graph_order_and_share_the_nodes_out(bodies: int, nodes: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, nodes - 1))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    pi = torch.rand(bodies, nodes, generator=generator).softmax(1)
    mask = gumbel_top_k(pi.log(), torch.rand(bodies, nodes, generator=generator), count)
    assert (mask.masked.shape, mask.kept.shape) == ((bodies, count), (bodies, nodes - count))
    for part in mask:
        assert (part.diff(dim=1) > 0).all()
    assert torch.equal(torch.cat(mask, 1).sort(1).values, torch.arange(nodes).expand(bodies, -1))


def test_the_draws_decide_and_nothing_else() -> None:
    log_pi, uniform = torch.rand(4, 30).log(), torch.rand(4, 30)
    one: list[Tensor] = list(gumbel_top_k(log_pi, uniform, 20))
    torch.manual_seed(1)
    parts = [gumbel_top_k(log_pi[i : i + 1], uniform[i : i + 1], 20) for i in range(4)]
    for i, whole in enumerate(one):
        assert torch.equal(whole, torch.cat([part[i] for part in parts]))


def test_masked_count_is_exact_for_every_size() -> None:
    # In whole numbers: 10 * masked must be as near to 9 * nodes as it can get.
    for joints in range(1, 61):
        for segments in range(1, 61):
            nodes = joints * segments
            if nodes > 1:
                count = masked_count(nodes, 0.9)
                assert 1 <= count <= nodes - 1
                assert abs(10 * count - 9 * nodes) <= 5 or count == nodes - 1
    assert masked_count(750, 0.9) == 675
    assert masked_count(150, 0.9) == 135


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 1), (1.0, 9), (0.5, 5), (0.04, 1), (0.96, 9), (0.26, 3)])
def test_masked_count_leaves_something_to_see_and_something_to_guess(ratio: float, expected: int) -> None:
    assert masked_count(10, ratio) == expected
