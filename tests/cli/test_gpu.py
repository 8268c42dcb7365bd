"""What only a CUDA device can show; `pytest -m gpu`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from masksem_graph.cli import main
from masksem_graph.cli.train import parse
from masksem_graph.data.views import whole_view
from masksem_graph.models.io import load_encoder
from masksem_graph.tasks.pretrain import GlobalBatch, RandomNumbers
from masksem_graph.training.run import build_source, build_task
from tests.cli.options import replaced

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CUDA = ("--device.accelerator", "cuda")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("residency", ["disk", "memory", "device"])
def test_trains_and_evaluates(train_arguments: list[str], tmp_path: Path, precision: str, residency: str) -> None:
    run = tmp_path / "run"
    more = (*CUDA, "--device.precision", precision, "--data.residency", residency)
    main(["train", *replaced([*train_arguments, "--output", str(run), *more])])
    main(["evaluate", "--protocol", "linear", "--protocol.epochs", "2", "--run", str(run), "--output", str(run / "linear")])
    assert load_encoder(run)


def test_masks_equal_those_of_the_cpu(train_arguments: list[str], tmp_path: Path) -> None:
    config, plain, _ = parse(replaced([*train_arguments, "--output", str(tmp_path)]))
    store = config.data.open()
    torch.manual_seed(0)
    task = build_task(config, plain["model"], {config.data.name: store})
    clips = torch.arange(8)
    masks = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        source = build_source(store, config, device)
        plan = source.plan(whole_view(clips, source.length[clips]))
        batch = source.load(plan)
        nodes = torch.rand(len(plan.body), batch.layout.nodes, generator=torch.Generator().manual_seed(1))
        whole = GlobalBatch(bodies=len(plan.body), reference=batch.frames.mean(0))
        masks.append(task.to(device).draw(batch, RandomNumbers(nodes.to(device)), whole).mask.masked.cpu())
    assert (masks[0] == masks[1]).float().mean() > 0.99, "equal but where two keys differ by rounding"
