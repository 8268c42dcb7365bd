"""Many random numbers out of two, on any device: a counter-based generator.

Two uniform numbers of a clip are a key, which is hashed with the position of each coordinate. The result depends on nothing
else: not on the other clips of the batch, nor on the process that computes it.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

KEY = 2
"""Draws numbers that make a key."""
KEY_BITS = 24
"""Bits of a float32 drawn by `torch.rand`."""
ROUNDS, MULTIPLIER, WEYL, WORD = 10, 0xD256D193, 0x9E3779B9, 0xFFFFFFFF


def philox(
    low: Int64[Tensor, "*n"], high: Int64[Tensor, "*#n"], key: Int64[Tensor, "*#n"]
) -> tuple[Int64[Tensor, "*n"], Int64[Tensor, "*n"]]:
    """Philox2x32-10: two random words of 32 bits for each counter.

    Args:
        low, high: the two words of the counter, each in [0, 2^32).
        key: in [0, 2^32).

    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
    """
    for _ in range(ROUNDS):
        # The product wraps around in 64 bits; both of its halves are right all the same.
        product = low * MULTIPLIER
        low, high = ((product >> 32) & WORD) ^ key ^ high, product & WORD
        key = (key + WEYL) & WORD
    return low, high


def words_of_key(uniform: Float[Tensor, "B 2"], count: int) -> tuple[Int64[Tensor, "B n"], Int64[Tensor, "B n"]]:
    """Two random words for each of ``count`` positions, from two uniform numbers a clip."""
    words = (uniform * 2**KEY_BITS).long()
    position = torch.arange(count, device=uniform.device).expand(len(uniform), count)
    return philox(position, words[:, :1], words[:, 1:])


def uniform_of_key(uniform: Float[Tensor, "B 2"], count: int) -> Float[Tensor, "B n"]:
    """So many numbers, uniform in [0, 1], from two uniform numbers a clip."""
    return _fraction(words_of_key(uniform, count)[0], uniform.dtype)


def normal_of_key(uniform: Float[Tensor, "B 2"], count: int) -> Float[Tensor, "B n"]:
    """So many standard normal numbers from two uniform numbers a clip, by Box and Muller's formula."""
    one, other = (_fraction(word, uniform.dtype) for word in words_of_key(uniform, (count + 1) // 2))
    radius, angle = (-2 * one.log()).sqrt(), 2 * torch.pi * other
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count]


def _fraction(word: Int64[Tensor, "B n"], dtype: torch.dtype) -> Float[Tensor, "B n"]:
    return (word.to(dtype) + 0.5) * 2.0**-32
