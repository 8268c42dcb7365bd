"""How far a run's masks are from uniformly random ones: ``python benchmarks/mask_spread.py RUN``.

For the scores of Grad-CAM (by the run's own encoder and reference, smoothed over the bones), of motion and of nothing: how
many times as likely as at random a node is drawn first (5th, 50th and 95th percentile of N pi), and how much the nodes that
stay visible move, as a share of how much all nodes do.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from masksem_graph import load_encoder
from masksem_graph.config import parse_mapping
from masksem_graph.console import console
from masksem_graph.data.augment import CropConfig, central_view
from masksem_graph.data.clips import ClipSource
from masksem_graph.data.config import DataConfig
from masksem_graph.files import read_yaml
from masksem_graph.graph import to_segments
from masksem_graph.masking import Evidence, Motion, Uniform, gumbel_top_k, score_distribution
from masksem_graph.masking.gumbel import masked_count
from masksem_graph.operators import Adjacency
from masksem_graph.saliency import GradCam
from masksem_graph.training.checkpoint import load_checkpoint


def main() -> None:
    """Print the table for the run's training clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run whose scores need a reference, such as one of masksem")
    parser.add_argument("--clips", type=int, default=512, help="how many training clips")
    parser.add_argument("--mask_ratio", type=float, default=0.9)
    parser.add_argument("--temperature", type=float, default=0.8)
    found = parser.parse_args()
    evidence = evidence_of(found.run, found.clips)
    topology = load_encoder(found.run).topology
    adjacency = Adjacency(topology=topology, segments=evidence.nodes.shape[1], hops=1)
    moved = Motion()(evidence)
    table = Table(title=f"{len(evidence.nodes)} bodies, {moved[0].numel()} nodes each, tau {found.temperature}")
    for column in ("scores", "N pi: 5 %", "50 %", "95 %", "motion of visible nodes"):
        table.add_column(column)
    scores = {"Grad-CAM": GradCam()(evidence), "motion": moved, "uniform": Uniform()(evidence)}
    scores["Grad-CAM, smoothed"] = adjacency(scores["Grad-CAM"])
    for name, eta in scores.items():
        pi = score_distribution(eta.flatten(1), found.temperature)
        low, middle, high = torch.quantile(pi * pi.shape[1], torch.tensor([0.05, 0.5, 0.95])).tolist()
        share = visible_motion(pi, moved, found.mask_ratio)
        table.add_row(name, f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}", f"{share:.2f}")
    console.print(table)


@torch.no_grad()
def evidence_of(run: Path, clips: int) -> Evidence:
    """Central crops of evenly spaced training clips, with the features of the run's encoder and reference."""
    data = parse_mapping(DataConfig, read_yaml(run / "config.yaml")["data"], source=str(run / "config.yaml"))
    store, encoder = data.open(), load_encoder(run)
    source = ClipSource(store, frames=encoder.frames, segment=encoder.segment, stream=data.stream)
    train = torch.from_numpy(store.splits[data.split]["train"])
    chosen = train[torch.linspace(0, len(train) - 1, min(clips, len(train))).long()]
    batch = source.load(source.plan(central_view(chosen, source.length[chosen], CropConfig())))
    reference = load_checkpoint(run / "last.pt")["task"]["reference"]
    return Evidence(
        nodes=to_segments(batch.coordinates, encoder.segment),
        sequence=batch.sequence,
        sequences=len(chosen),
        features=encoder.features(batch.coordinates),
        reference=encoder.features(reference[None]),
    )


def visible_motion(pi: Float[Tensor, "B N"], moved: Float[Tensor, "B Te V"], ratio: float, seed: int = 0) -> float:
    """Mean motion of the nodes that a mask leaves visible over that of all nodes, averaged over bodies that move."""
    uniform = torch.rand(pi.shape, generator=torch.Generator().manual_seed(seed))
    kept = gumbel_top_k(pi.log(), uniform, masked_count(pi.shape[1], ratio)).kept
    motion = moved.flatten(1)
    return float((motion.gather(1, kept).mean(1) / motion.mean(1).clamp_min(1e-9)).mean())


if __name__ == "__main__":
    main()
