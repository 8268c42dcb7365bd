"""Against PyTorch's own attention, whichever of the two a machine would choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from masksem_graph.backbones.transformer import Attention
from masksem_graph.models import attention as module
from masksem_graph.models.attention import LEAST_NODES, LEAST_WIDTH, MOST_NODES, attention, goes_head_by_head
from masksem_graph.models.linear import HAS_PRODUCT, uses_onednn

has_product = pytest.mark.skipif(not HAS_PRODUCT, reason="this PyTorch has no product by oneDNN")
has_avx512 = pytest.mark.skipif(not uses_onednn(torch.ones(1)), reason="only on a CPU with AVX-512")


@pytest.fixture
def small_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_NODES", 1)
    monkeypatch.setattr(module, "LEAST_WIDTH", 1)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def projections(bodies: int, heads: int, nodes: int, width: int) -> tuple[Tensor, ...]:
    """Laid out as a layer for all three makes them."""
    return torch.randn(bodies, nodes, 3, heads, width).permute(2, 0, 3, 1, 4).unbind()


def with_gradients(function: Callable[..., Tensor], inputs: tuple[Tensor, ...], direction: Tensor) -> list[Tensor]:
    inputs = tuple(values.detach().requires_grad_() for values in inputs)
    out = function(*inputs)
    return [out.detach(), *torch.autograd.grad(out, inputs, direction)]


@has_product
@pytest.mark.parametrize("shape", [(2, 3, 75, 32), (1, 2, 601, 32), (3, 1, 17, 5), (2, 2, 1, 8)])
def test_equals_torchs(shape: tuple[int, ...], threads: int) -> None:
    inputs = projections(*shape)
    direction = torch.randn(shape[0], shape[2], shape[1], shape[3]).transpose(1, 2)
    ours = with_gradients(module._HeadByHead.apply, inputs, direction)
    torch.testing.assert_close(ours, with_gradients(F.scaled_dot_product_attention, inputs, direction), rtol=1e-5, atol=1e-5)
    assert torch.get_num_threads() == threads


@has_product
def test_inputs_of_any_layout() -> None:
    inputs = (torch.randn(2, 3, 8, 40).transpose(2, 3), torch.randn(2, 3, 40, 8), torch.randn(1, 1, 40, 8).expand(2, 3, 40, 8))
    direction = torch.ones(()).expand(2, 3, 40, 8)
    ours = with_gradients(module._HeadByHead.apply, inputs, direction)
    torch.testing.assert_close(ours, with_gradients(F.scaled_dot_product_attention, inputs, direction), rtol=1e-5, atol=1e-5)


@has_product
def test_large_logits_stay_finite() -> None:
    q, k, v = (100 * values for values in projections(1, 2, 30, 8))
    out = with_gradients(module._HeadByHead.apply, (q, k, v), torch.ones_like(v))
    assert all(values.isfinite().all() for values in out)


@has_product
def test_same_bits_with_any_number_of_threads() -> None:
    inputs, results = projections(2, 3, 200, 16), []
    before, direction = torch.get_num_threads(), torch.randn(2, 3, 200, 16)
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results += [with_gradients(module._HeadByHead.apply, inputs, direction)]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def test_a_fault_on_any_thread_is_raised(threads: int) -> None:
    def work(item: int) -> None:
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item"):
        module._share(work, [(i,) for i in range(4)])
    assert torch.get_num_threads() == threads


def test_every_item_once(threads: int) -> None:
    seen: list[int] = []
    module._share(seen.append, [(i,) for i in range(50)])
    assert sorted(seen) == list(range(50))


@has_avx512
def test_taken_where_it_is_faster() -> None:
    def q(nodes: int, width: int = LEAST_WIDTH) -> Tensor:
        return torch.ones(1, 1, 1, 1).expand(2, 3, nodes, width)

    assert goes_head_by_head(q(LEAST_NODES)) and goes_head_by_head(q(MOST_NODES))
    assert not goes_head_by_head(q(LEAST_NODES - 1)) and not goes_head_by_head(q(MOST_NODES + 1))
    assert not goes_head_by_head(q(LEAST_NODES, LEAST_WIDTH - 1))
    assert not goes_head_by_head(q(LEAST_NODES).double())
    for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
        with sdpa_kernel(backend):
            assert not goes_head_by_head(q(LEAST_NODES))
    try:
        torch.backends.mkldnn.enabled = False
        assert not goes_head_by_head(q(LEAST_NODES))
    finally:
        torch.backends.mkldnn.enabled = True


@has_avx512
@pytest.mark.usefixtures("small_too")
def test_dropout_is_left_to_torch() -> None:
    q, k, v = projections(2, 3, 40, 8)
    torch.manual_seed(1)
    out = attention(q, k, v, dropout=0.5)
    torch.manual_seed(1)
    assert torch.equal(out, F.scaled_dot_product_attention(q, k, v, dropout_p=0.5))


@has_avx512
@pytest.mark.usefixtures("small_too")
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_layer_takes_it_in_both_precisions(precision: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, h, results = Attention(width=24, heads=3), torch.randn(2, 40, 24), []
    taken: list[torch.dtype] = []
    apply = module._HeadByHead.apply
    monkeypatch.setattr(module._HeadByHead, "apply", lambda q, k, v: taken.append(q.dtype) or apply(q, k, v))
    for backends in ([], [SDPBackend.FLASH_ATTENTION]):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            with sdpa_kernel(backends) if backends else nullcontext():
                out = layer(h)
            out.float().square().sum().backward()
        results.append([out.detach(), *(p.grad.clone() for p in layer.parameters())])
    assert taken == [torch.float32]
    tolerance = 1e-5 if precision == torch.float32 else 1e-2
    torch.testing.assert_close(results[0], results[1], rtol=tolerance, atol=tolerance)


@has_avx512
@pytest.mark.usefixtures("small_too")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_a_graph(mode: type, threads: int) -> None:
    q, k, v = projections(2, 3, 40, 8)
    with mode():
        out = attention(q, k, v)
    assert not out.requires_grad and out.is_inference() == (mode is torch.inference_mode)
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, k, v), rtol=1e-5, atol=1e-5)
