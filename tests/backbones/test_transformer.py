from __future__ import annotations

import pytest
import torch

from masksem_graph.backbones import Transformer
from masksem_graph.backbones.transformer import Attention


def test_attention_by_formula() -> None:
    attention, h = Attention(width=6, heads=2), torch.randn(1, 4, 6)
    bias = torch.randn(1, 2, 4, 4)
    q, k, v = attention.qkv(h)[0].split(6, dim=1)
    for added, given in ((torch.zeros(1, 2, 4, 4), None), (bias, bias)):
        heads = []
        for head, part in enumerate((slice(0, 3), slice(3, 6))):
            weight = (q[:, part] @ k[:, part].T / 3**0.5 + added[0, head]).softmax(1)
            heads.append(weight @ v[:, part])
        torch.testing.assert_close(attention(h, given)[0], attention.proj(torch.cat(heads, 1)))


def test_the_bias_of_the_keys_gets_no_gradient() -> None:
    attention = Attention(width=6, heads=2)
    attention(torch.randn(2, 4, 6)).square().sum().backward()
    for_q, for_k, for_v = attention.qkv.bias.grad.chunk(3)
    assert not for_k.any() and for_q.all() and for_v.all()


def test_stochastic_depth_grows() -> None:
    blocks = Transformer(width=8, depth=4, heads=2, drop_path=0.3).blocks
    assert [block.drop_path.rate for block in blocks] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_attention_stays_in_float32_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.dtype] = []
    fused = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda q, *a, **o: taken.append(q.dtype) or fused(q, *a, **o)
    )
    attention, h = Attention(width=24, heads=3), torch.randn(2, 40, 24)
    with torch.autocast("cpu", torch.bfloat16):
        low = attention(h)
    assert taken == [torch.float32] and low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), attention(h), rtol=2e-2, atol=2e-2)
