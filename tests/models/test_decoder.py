"""The decoder: everything at its place."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.backbones import Backbone, CrossTransformer, Transformer
from masksem_graph.backbones.transformer import CrossAttention
from masksem_graph.encodings import Learned
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.decoder import Decoder
from masksem_graph.topology import load_topology

TINY = load_topology("tiny5")
LEARNED = [partial(Learned, over="segments"), partial(Learned, over="joints")]
KEPT = torch.tensor([[1, 4, 8], [0, 5, 9]])
BATCH = SkeletonBatch.from_frames(torch.zeros(2, 4, 5, 3), topology=TINY, segment=2)
MASKED = torch.tensor([[0, 2, 3, 5, 6, 7, 9], [1, 2, 3, 4, 6, 7, 8]])


class Recorder(Backbone):
    """Hands its input on and remembers it."""

    def forward(self, h: Float[Tensor, "B n D"], batch: SkeletonData) -> Float[Tensor, "B n D"]:
        self.seen = h.detach()
        return h


def decoder(backbone: Backbone, heads: tuple[str, ...] = ("shared",)) -> Decoder:
    model = ModelConfig(frames=4, segment=2, width=4, encodings=LEARNED, backbone=lambda: backbone, decoder=lambda: backbone)
    return Decoder(model, topologies=[TINY], channels=3, heads=heads)


def test_tokens_stand_where_they_belong() -> None:
    recorder = Recorder()
    one, h = decoder(recorder), torch.randn(2, 3, 4)
    predictions = one(h, BATCH, KEPT, MASKED)["shared"]
    table, embedded = one.positions.table(BATCH, 4), one.embedding(h)
    for body in range(2):
        for place, node in enumerate(KEPT[body].tolist()):
            torch.testing.assert_close(recorder.seen[body, node], embedded[body, place] + table[node])
        for place, node in enumerate(MASKED[body].tolist()):
            torch.testing.assert_close(recorder.seen[body, node], one.mask_token + table[node])
            torch.testing.assert_close(predictions[body, place], one.predict["shared"](one.mask_token + table[node]))


def test_one_layer_for_each_head() -> None:
    one = decoder(Recorder(), heads=("velocity", "acceleration"))
    predictions = one(torch.randn(2, 3, 4), BATCH, KEPT, MASKED)
    assert {name: tuple(p.shape) for name, p in predictions.items()} == {"velocity": (2, 7, 6), "acceleration": (2, 7, 6)}
    assert not torch.equal(predictions["velocity"], predictions["acceleration"])


def test_every_parameter_gets_a_gradient() -> None:
    one = decoder(Transformer(width=4, depth=2, heads=2))
    (one(torch.randn(2, 3, 4), BATCH, KEPT, MASKED)["shared"] * torch.randn(2, 7, 6)).sum().backward()
    assert [name for name, p in one.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_light_blocks_see_the_visible_nodes_alone() -> None:
    """So a prediction is the same whatever else is predicted, and follows the features of the kept nodes."""
    one, h = decoder(CrossTransformer(width=4, depth=2, heads=2)), torch.randn(2, 3, 4)
    all_of_them = one(h, BATCH, KEPT, MASKED)["shared"]
    torch.testing.assert_close(one(h, BATCH, KEPT, MASKED[:, 2:5])["shared"], all_of_them[:, 2:5])
    assert not torch.allclose(one(h + torch.randn(2, 3, 4), BATCH, KEPT, MASKED)["shared"], all_of_them)


def test_cross_attention_is_a_weighted_mean_of_what_is_seen() -> None:
    attention, asking, seen = CrossAttention(width=4, heads=2), torch.randn(2, 7, 4), torch.randn(2, 3, 4)
    heads = []
    for head in (slice(0, 2), slice(2, 4)):
        q, k, v = attention.q(asking)[..., head], attention.k(seen)[..., head], attention.v(seen)[..., head]
        heads.append((q @ k.transpose(1, 2) / 2**0.5).softmax(-1) @ v)
    torch.testing.assert_close(attention(asking, seen), attention.proj(torch.cat(heads, -1)))


def test_light_blocks_learn_whole_and_are_no_encoder() -> None:
    one = decoder(CrossTransformer(width=4, depth=2, heads=2))
    (one(torch.randn(2, 3, 4), BATCH, KEPT, MASKED)["shared"] * torch.randn(2, 7, 6)).sum().backward()
    assert [name for name, p in one.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    with pytest.raises(InputError, match=r"model\.backbone: CrossTransformer is a decoder"):
        one.backbone(torch.randn(2, 20, 4), BATCH)
    with pytest.raises(InputError, match="divisor of the width 4, found 3"):
        CrossTransformer(width=4, heads=3)
