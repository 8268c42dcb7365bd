"""What a run's masks leave visible, beside those of other scores: ``python benchmarks/mask_spread.py RUN``.

The visible set is described as in ``visible.py``. Scores are those of the run's own encoder and average motion, on central
crops of evenly spaced training clips.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.table import Table
from visible import describe_visible

from masksem_graph.config import parse_mapping
from masksem_graph.console import console
from masksem_graph.data.config import DataConfig
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.views import central_view
from masksem_graph.masking import Motion, Uniform
from masksem_graph.operators import Adjacency
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.saliency import GradCam
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.pretrain import RandomNumbers, alone
from masksem_graph.training.restore import load_task


def main() -> None:
    """Print the table for the run's training clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run whose scores need an average motion, such as one of masksem")
    parser.add_argument("--clips", type=int, default=512, help="how many training clips")
    parser.add_argument("--draws", type=int, default=1000, help="masks for each of them")
    found = parser.parse_args()
    task = load_task(found.run)
    student = task.student
    data = parse_mapping(DataConfig, read_yaml(found.run / "config.yaml")["data"], source=str(found.run / "config.yaml"))
    store = data.open()
    seen = student.input_spec
    loader = SkeletonLoader(
        store,
        frames=student.frames,
        segment=student.segment,
        stream=seen.stream,
        absent_frames=seen.absent_frames,
        view=seen.view,
        view_of=seen.view_of,
        topology=student.topology,
    )
    train = torch.from_numpy(store.splits[data.split]["train"])
    chosen = train[torch.linspace(0, len(train) - 1, min(found.clips, len(train))).long()]
    batch = loader.load(loader.plan(central_view(chosen, loader.length[chosen], student.crop)))
    with torch.no_grad():
        evidence = task.evidence(batch, RandomNumbers(torch.zeros(batch.num_bodies, batch.layout.nodes)), alone(batch))
        scores = {"motion": Motion()(evidence), "uniform": Uniform()(evidence)}
        if evidence.features is not None:
            scores |= {"Grad-CAM": GradCam()(evidence), "Grad-CAM, each body": GradCam(per="body")(evidence)}
            scores["Grad-CAM, smoothed"] = Adjacency()(scores["Grad-CAM"], batch)
            scores["Grad-CAM, smoothed by rows"] = Adjacency(normalise="row")(scores["Grad-CAM"], batch)
    table = Table(title=f"{batch.num_bodies} bodies, {batch.layout.nodes} nodes each, {found.draws} draws")
    columns = ("total variation", "by chance", "motion of the visible", "rank correlation", "common pattern")
    for column in ("scores", *columns):
        table.add_column(column)
    for name, eta in scores.items():
        draw = keyed_generator(0, Purpose.PICTURE_MASKS)
        described = describe_visible(eta, scores["motion"], task.sampler, generator=draw, draws=found.draws)
        table.add_row(name, *(f"{value:.2f}" for value in described.to_dict().values()))
    console.print(table)


if __name__ == "__main__":
    main()
