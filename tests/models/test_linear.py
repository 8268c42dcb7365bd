from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from masksem_graph.models.linear import Linear, uses_onednn


@pytest.mark.parametrize("shape", [(3, 5, 24), (7, 24), (0, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_torchs_layer(shape: tuple[int, ...], bias: bool) -> None:
    ours = Linear(24, 40, bias=bias)
    inputs = [torch.randn(shape).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    results = []
    for h, function in zip(inputs, (ours, lambda h: F.linear(h, ours.weight, ours.bias)), strict=True):
        out = function(h)
        ours.zero_grad()
        (out**2).sum().backward()
        results.append([out.detach(), h.grad, *(p.grad.clone() for p in ours.parameters())])
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-4)


def test_only_what_trains_gets_a_gradient() -> None:
    layer = Linear(24, 40)
    layer.weight.requires_grad_(False)
    layer(torch.randn(3, 24)).sum().backward()
    assert layer.weight.grad is None and layer.bias.grad is not None


def test_left_to_torch_where_onednn_is_off_or_precision_is_another() -> None:
    h = torch.randn(3, 24)
    with torch.autocast("cpu", torch.bfloat16):
        assert not uses_onednn(h)
        assert Linear(24, 40)(h).dtype == torch.bfloat16
    assert not uses_onednn(h.double())
    try:
        torch.backends.mkldnn.enabled = False
        assert not uses_onednn(h)
    finally:
        torch.backends.mkldnn.enabled = True
