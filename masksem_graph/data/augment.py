"""Random crops, rotations and shears, drawn for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from masksem_graph.errors import InputError


@dataclass(frozen=True)
class CropConfig:
    """Which part of a clip is used.

    Args:
        share: range of the share of a clip's frames that a training crop keeps.
        min_frames: a training crop never has fewer frames, or the whole clip where it is shorter.
        test_share: the central share that is tested on.
    """

    share: tuple[float, float] = (0.5, 1.0)
    min_frames: int = 64
    test_share: float = 0.95

    def __post_init__(self) -> None:
        low, high = self.share
        if not 0 < low <= high <= 1:
            raise InputError(f"crop.share: expected two shares with 0 < low <= high <= 1, found {list(self.share)}")
        if not 0 < self.test_share <= 1:
            raise InputError(f"crop.test_share: expected a share in (0, 1], found {self.test_share}")


@dataclass(frozen=True)
class AugmentConfig:
    """How training clips are turned.

    Args:
        rotation: largest turn about the x, y and z axis, in radians; each is drawn uniformly from both directions.
        shear: largest off-diagonal entry of a random shear; 0 for none.
    """

    rotation: tuple[float, float, float] = (0.3, 0.3, 0.3)
    shear: float = 0.0


@dataclass(frozen=True)
class View:
    """One way to look at each of S clips; both bodies of a clip share it.

    Args:
        clips: positions in the store.
        start: first frame of the crop.
        length: frames of the crop.
        transform: matrix applied to each joint's coordinates; None to leave them.
    """

    clips: Int64[Tensor, " S"]
    start: Int64[Tensor, " S"]
    length: Int64[Tensor, " S"]
    transform: Float[Tensor, "S 3 3"] | None = None


def random_view(
    clips: Int64[Tensor, " S"],
    lengths: Int64[Tensor, " S"],
    crop: CropConfig,
    augment: AugmentConfig,
    generator: torch.Generator,
) -> View:
    """Training: a random crop, rotation and shear of each clip.

    Args:
        clips: positions in the store.
        lengths: frames of each of these clips.
        crop, augment: ranges to draw from.
        generator: where the numbers come from.
    """
    count = len(clips)
    draws = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    low, high = crop.share
    wanted = (lengths * (low + (high - low) * draws[:, 0])).floor().long()
    length = torch.minimum(wanted.clamp(min=max(crop.min_frames, 1)), lengths)
    start = (draws[:, 1] * (lengths - length + 1)).floor().long()
    turn = random_rotation(count, augment.rotation, generator)
    if augment.shear:
        turn = random_shear(count, augment.shear, generator) @ turn
    return View(clips=clips, start=start, length=length, transform=turn)


def central_view(clips: Int64[Tensor, " S"], lengths: Int64[Tensor, " S"], crop: CropConfig) -> View:
    """Testing: the central share of each clip, unrotated."""
    margin = (lengths * ((1 - crop.test_share) / 2)).floor().long()
    return View(clips=clips, start=margin, length=lengths - 2 * margin)


def whole_view(clips: Int64[Tensor, " S"], lengths: Int64[Tensor, " S"]) -> View:
    """Uncropped and unrotated."""
    return View(clips=clips, start=torch.zeros_like(lengths), length=lengths)


def random_rotation(count: int, largest: tuple[float, float, float], generator: torch.Generator) -> Float[Tensor, "count 3 3"]:
    """``R_z R_y R_x`` with each angle uniform in plus or minus ``largest`` radians."""
    angle = (torch.rand(count, 3, generator=generator) * 2 - 1) * torch.tensor(largest)
    (cx, cy, cz), (sx, sy, sz) = angle.cos().T, angle.sin().T
    zero, one = torch.zeros(count), torch.ones(count)
    about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], 1).view(-1, 3, 3)
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(-1, 3, 3)
    about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], 1).view(-1, 3, 3)
    return about_z @ about_y @ about_x


def random_shear(count: int, largest: float, generator: torch.Generator) -> Float[Tensor, "count 3 3"]:
    """Ones on the diagonal, the rest uniform in plus or minus ``largest``."""
    shear = (torch.rand(count, 3, 3, generator=generator) * 2 - 1) * largest
    shear[:, range(3), range(3)] = 1.0
    return shear
