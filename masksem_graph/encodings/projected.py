"""What follows from a topology alone, through a linear layer: its spectrum, walks over its bones, its rest pose."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.transforms import AddRandomWalkPE
from torch_geometric.utils import get_laplacian, to_dense_adj

from masksem_graph.edges import of_topology, skeleton_graph
from masksem_graph.encodings.base import Encoding
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology

EIGENVALUE_GAP = 1e-8  # float64 eigenvalues closer than this are one; bones of a body give gaps of 1e-3 and more
# No simple fraction: bodies have joints at exactly 1/2 and 3/5 of the largest projection, where rounding would choose.
CLEAR = 0.599


class Projected(Encoding):
    """A table that ``make(topology, option)`` gives through a linear layer that starts with deviation ``std``."""

    def __init__(self, make: Callable[..., Tensor], option: int, *, width: int, features: int, std: float) -> None:
        super().__init__()
        self.make, self.option = make, option
        self.project = nn.Linear(features, width, bias=False)
        nn.init.trunc_normal_(self.project.weight, std=std)

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        return self.project(self.make(batch.topology, self.option, device=self.project.weight.device))[None]


@of_topology
def laplacian_eigenvectors(topology: Topology, count: int) -> Float[Tensor, "V count"]:
    """The first ``count`` non-constant eigenvectors of the symmetric normalised Laplacian, each scaled to unit mean square.

    Eigenspaces of a skeleton are degenerate (three-fold on ntu25), and a solver returns any basis of one with any sign. Here
    each eigenspace's basis is grown from the projections of the joints' unit vectors, in the order of the joints' *names*,
    so that listing the joints in another order permutes the rows and nothing else. Columns beyond V - 1 are zero.
    """
    by_name = sorted(range(len(topology)), key=topology.joints.__getitem__)
    graph = skeleton_graph(topology)
    index, weight = get_laplacian(graph.edge_index, normalization="sym", dtype=torch.float64, num_nodes=graph.num_nodes)
    laplacian = to_dense_adj(index, edge_attr=weight, max_num_nodes=graph.num_nodes)[0][by_name][:, by_name]
    values, vectors = torch.linalg.eigh(laplacian)
    groups = torch.tensor_split(vectors, (values.diff() > EIGENVALUE_GAP).nonzero()[:, 0] + 1, dim=1)
    ordered = torch.cat([_fixed_basis(group @ group.T, group.shape[1]) for group in groups], 1)
    out = torch.zeros(len(topology), count, dtype=torch.float64)
    kept = ordered[:, 1 : count + 1]
    out[by_name, : kept.shape[1]] = kept * len(topology) ** 0.5
    return out.float()


def _fixed_basis(projector: Float[Tensor, "V V"], dimension: int) -> Float[Tensor, "V dimension"]:
    """An orthonormal basis of a projector's range: Gram-Schmidt on its columns, first those that come first."""
    basis: list[Tensor] = []
    rest = projector.clone()
    while len(basis) < dimension:
        # A column's squared length is its diagonal entry; a near-zero one would be noise blown up.
        clear = (rest.diagonal() > CLEAR * rest.diagonal().max()).nonzero()[0, 0]
        column = rest[:, clear] / rest[clear, clear].sqrt()
        basis.append(column)
        rest = rest - column[:, None] * column[None, :]
    return torch.stack(basis, 1)


class Laplacian(Projected):
    """Laplacian eigenvectors with basis and sign fixed: which region of the body (after Dwivedi and Bresson, 2020).

    Args:
        width: D.
        vectors: how many eigenvectors.
    """

    def __init__(self, *, width: int, vectors: int = 16) -> None:
        # The sum over the vectors then starts at the size that a learned table starts at.
        super().__init__(laplacian_eigenvectors, vectors, width=width, features=vectors, std=0.02 * vectors**-0.5)


@of_topology
def return_probabilities(topology: Topology, steps: int) -> Float[Tensor, "V steps"]:
    """How likely a walk from a joint over random bones is back after 1, 2, ... ``steps`` steps."""
    return AddRandomWalkPE(steps, attr_name="back")(skeleton_graph(topology).clone()).back.view(len(topology), steps)


class RandomWalk(Projected):
    """Return probabilities of a random walk: a joint's role (tip, limb, hub), the same left and right.

    Source: RWSE (Dwivedi et al., ICLR 2022).

    Args:
        width: D.
        steps: the longest walk; on a tree every odd one returns nowhere.
    """

    def __init__(self, *, width: int, steps: int = 16) -> None:
        super().__init__(return_probabilities, steps, width=width, features=steps, std=0.02)


def rest_places(topology: Topology) -> Float[Tensor, "V 3"]:
    """The topology's rest pose in its own size: the middle of its extent is 0, and half its largest extent is 1.

    The size is the body's and not its bones': skeletons of the same body differ in the length of their bones by far, and the
    same joint should be at the same place in each.

    Raises:
        InputError: the topology has no rest pose.
    """
    if not topology.rest_pose:
        raise InputError(
            f"{topology.name}: rest_pose: this field is missing, which the encoding RestPose needs; expected a topology that "
            "has it (--model.topology), such as `masksem-graph topology pose STORE` writes"
        )
    places = torch.tensor([topology.rest_pose[joint] for joint in topology.joints], dtype=torch.float64)
    low, high = places.amin(0), places.amax(0)
    half = (high - low).max() / 2
    return ((places - (low + high) / 2) / half.clamp(min=1e-9)).float()


def fourier_features(places: Float[Tensor, "V 3"], octaves: int) -> Float[Tensor, "V features"]:
    """Places, and their sines and cosines at wavelengths 4, 2, 1, ... (as in NeRF; Mildenhall et al., ECCV 2020, Eq. 4)."""
    angle = places[:, :, None] * (torch.pi / 2 * 2.0 ** torch.arange(octaves))
    return torch.cat([places, angle.sin().flatten(1), angle.cos().flatten(1)], 1)


@of_topology
def rest_features(topology: Topology, octaves: int) -> Float[Tensor, "V features"]:
    """`fourier_features` of `rest_places`."""
    return fourier_features(rest_places(topology), octaves)


class RestPose(Projected):
    """A joint's place in the rest pose, and waves of it: it tells left from right, as no symmetric graph's spectrum can.

    Args:
        width: D.
        octaves: wavelengths; the shortest is 4 / 2^(octaves - 1) of half a body's height, 0.2 m at 6.
    """

    def __init__(self, *, width: int, octaves: int = 6) -> None:
        if octaves < 0:
            raise InputError(f"octaves: expected at least 0, found {octaves}")
        features = 3 + 6 * octaves
        # The sum over the features then starts at about the size that a learned table starts at.
        super().__init__(rest_features, octaves, width=width, features=features, std=0.02 * (features / 2) ** -0.5)
