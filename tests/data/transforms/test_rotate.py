"""Rotations."""

from __future__ import annotations

import math

import pytest
import torch

from masksem_graph.data.transforms import Rotate
from masksem_graph.data.transforms.linear_maps import rotation_matrix
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology

QUARTER = math.pi / 2


@pytest.mark.parametrize(
    ("axis", "x_becomes", "y_becomes", "z_becomes"),
    [
        ("x", [1, 0, 0], [0, 0, 1], [0, -1, 0]),
        ("y", [0, 0, -1], [0, 1, 0], [1, 0, 0]),
        ("z", [0, 1, 0], [-1, 0, 0], [0, 0, 1]),
    ],
)
def test_a_quarter_turn(tiny: Topology, axis: str, x_becomes: list, y_becomes: list, z_becomes: list) -> None:
    frames = torch.zeros(1, 1, 5, 3)
    frames[0, 0, :3] = torch.eye(3)
    turned = Rotate(**{axis: QUARTER}).apply(frames, torch.ones(1, 3), tiny)[0, 0, :3]
    torch.testing.assert_close(turned, torch.tensor([x_becomes, y_becomes, z_becomes]).float(), atol=1e-6, rtol=0)
    back = Rotate(**{axis: QUARTER}).apply(turned[None, None].repeat(1, 1, 2, 1)[:, :, :5], torch.zeros(1, 3), tiny)
    torch.testing.assert_close(back[0, 0, :3], torch.eye(3), atol=1e-6, rtol=0)


def test_x_comes_first() -> None:
    """As R_z R_y R_x says, written out in float64."""
    angles = torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64)
    a, b, c = angles[0].tolist()
    sa, ca, sb, cb, sc, cc = math.sin(a), math.cos(a), math.sin(b), math.cos(b), math.sin(c), math.cos(c)
    expected = [
        [cc * cb, cc * sb * sa - sc * ca, cc * sb * ca + sc * sa],
        [sc * cb, sc * sb * sa + cc * ca, sc * sb * ca - cc * sa],
        [-sb, cb * sa, cb * ca],
    ]
    torch.testing.assert_close(rotation_matrix(angles)[0], torch.tensor(expected, dtype=torch.float64))


def test_numbers_become_angles(tiny: Topology) -> None:
    """Half is no turn, 0 and 1 the largest in either direction; the angles can be read off the matrix again."""
    largest, uniform = torch.tensor([0.3, 1.2, 0.6]), torch.rand(500, 3)
    frames = torch.eye(3).repeat(500, 1, 2, 1)[:, :, :5]
    turned = Rotate(x=0.3, y=1.2, z=0.6).apply(frames, uniform, tiny)
    matrix = turned[:, 0, :3].mT
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(3).expand(500, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(500), atol=1e-5, rtol=0)
    found = torch.stack(
        [
            torch.atan2(matrix[:, 2, 1], matrix[:, 2, 2]),
            -torch.asin(matrix[:, 2, 0]),
            torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]),
        ],
        1,
    )
    torch.testing.assert_close(found, (2 * uniform - 1) * largest, atol=1e-5, rtol=0)
    assert torch.equal(Rotate(x=1.0, y=1.0, z=1.0).apply(frames, torch.full((500, 3), 0.5), tiny), frames)


def test_in_the_plane_of_a_picture() -> None:
    coco = load_topology("coco17")
    frames = torch.tensor([2.0, 1.0, 0.7]).repeat(1, 1, 17, 1)
    turned = Rotate(z=QUARTER).apply(frames, torch.ones(1, 3), coco)
    torch.testing.assert_close(turned[0, 0, 0], torch.tensor([-1.0, 2.0, 0.7]))
    with pytest.raises(InputError) as error:
        Rotate(x=0.3, y=0.3, z=0.3).apply(frames, torch.ones(1, 3), coco)
    assert str(error.value) == (
        "Rotate(x=0.3, y=0.3, z=0.3): coco17 has 2 coordinates in pixels; expected a rotation about z alone, such as "
        "Rotate(z=0.3)"
    )


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_angles_out_of_range(value: float) -> None:
    with pytest.raises(InputError, match=r"^Rotate.y: expected a number from 0 to 1000000000, found "):
        Rotate(y=value)
