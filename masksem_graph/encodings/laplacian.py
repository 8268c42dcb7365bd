"""Laplacian eigenvectors with basis and sign fixed (after Dwivedi and Bresson, 2020)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.utils import get_laplacian, to_dense_adj

from masksem_graph.edges import of_topology, skeleton_graph
from masksem_graph.encodings.base import Encoding
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology

EIGENVALUE_GAP = 1e-8  # float64 eigenvalues closer than this are one; bones of a body give gaps of 1e-3 and more
# No simple fraction: bodies have joints at exactly 1/2 and 3/5 of the largest projection, where rounding would choose.
CLEAR = 0.599


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


class Laplacian(Encoding):
    """Laplacian eigenvectors through a linear layer: which region of the body a joint is in.

    Args:
        width: D.
        vectors: how many eigenvectors.
    """

    def __init__(self, *, width: int, vectors: int = 16) -> None:
        super().__init__()
        self.project = nn.Linear(vectors, width, bias=False)
        # The sum over the vectors then starts at the size that a learned table starts at.
        nn.init.trunc_normal_(self.project.weight, std=0.02 * vectors**-0.5)

    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        weight = self.project.weight
        return self.project(laplacian_eigenvectors(batch.topology, weight.shape[1], device=weight.device))[None]
