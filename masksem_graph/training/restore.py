"""A run's pre-training task, rebuilt from its folder."""

from pathlib import Path

from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.io import create_encoder, describe_encoder
from masksem_graph.run_folder import RunFolder
from masksem_graph.tasks.pretrain import MethodConfig, Pretrain, build_pretrain
from masksem_graph.training.checkpoint import load_checkpoint


def has_method(run: Path) -> bool:
    """Whether a run says how it was pre-trained and holds all of its networks; a converted one, or an evaluation, does not."""
    return isinstance(RunFolder(run).read_config().get("method"), dict) and (run / "last.pt").is_file()


def load_task(run: Path) -> Pretrain:
    """Student, teacher, decoder and method of a run, in eval mode on the CPU; `InputError` where they do not fit together."""
    described = describe_encoder(run)
    if not has_method(run):
        raise InputError(f"{run}: expected a run of train.py, with its method in config.yaml and its networks in last.pt")
    encoder, config = run / "encoder.yaml", run / "config.yaml"
    student = create_encoder(described, source=encoder)
    model = parse_mapping(ModelConfig, described.model, source=encoder)
    method = parse_mapping(MethodConfig, RunFolder(run).read_config()["method"], source=config)
    task = build_pretrain(model, method, topologies=student.topologies, channels=student.channels, student=student)
    try:
        task.load_state_dict(load_checkpoint(run / "last.pt")["task"])
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        found = " ".join(str(error).split())[:300]
        raise InputError(f"{run / 'last.pt'}: not the networks of {config.name}: {found}") from None
    return task.eval()
