"""Clips made in memory, and the task that works on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.config import parse_mapping
from masksem_graph.data.clips import ClipBatch
from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml, read_yaml
from masksem_graph.models.build import ModelConfig
from masksem_graph.tasks.pretrain import MethodConfig, Pretrain, build_pretrain
from masksem_graph.topology import load_topology
from masksem_graph.training.optim import OptimConfig, build_adamw

TOPOLOGY, METHOD, CHANNELS = "ntu25", "method/masksem", 3


@dataclass(frozen=True)
class Workload:
    """A task and one batch of synthetic clips.

    Args:
        task, optimiser: what is trained.
        clips: the bodies that are present.
        padded: the same followed by an all-zero second body for every sequence that has one body. Each of those counts as a
            sequence of its own, so that it changes nothing for the others.
        uniform: draws in (0, 1) for the masks, for ``padded``.
    """

    task: Pretrain
    optimiser: torch.optim.Optimizer
    clips: ClipBatch
    padded: ClipBatch
    uniform: Float[Tensor, "P N"]


def build_workload(model: str, *, sequences: int, two_person: int, device: torch.device, seed: int = 0) -> Workload:
    """The method ``masksem`` with a model's YAML, on random walks of 25 joints.

    Args:
        model: a YAML file or a shipped name such as ``model/paper``.
        sequences: S.
        two_person: how many of them hold two bodies; the last ones.
        device: where to compute.
        seed: of weights and clips.
    """
    config = parse_mapping(ModelConfig, _section(model, "model"), source=model)
    method = parse_mapping(MethodConfig, _section(METHOD, "method"), source=METHOD)
    return workload_of(config, method, sequences=sequences, two_person=two_person, device=device, seed=seed)


def workload_of(
    model: ModelConfig, method: MethodConfig, *, sequences: int, two_person: int, device: torch.device, seed: int = 0
) -> Workload:
    """The same for configurations that are read already."""
    torch.manual_seed(seed)
    task = build_pretrain(model, method, topology=load_topology(TOPOLOGY), channels=CHANNELS)
    clips = synthetic_clips(sequences, two_person, frames=model.frames, joints=len(task.student.topology))
    task.reference.copy_(clips.coordinates.mean(0))
    padded = with_absent_bodies(clips)
    uniform = torch.rand(len(padded.sequence), task.nodes)
    task = task.to(device)
    return Workload(task, build_adamw(task, OptimConfig()), _moved(clips, device), _moved(padded, device), uniform.to(device))


def _moved(clips: ClipBatch, device: torch.device) -> ClipBatch:
    return ClipBatch(clips.coordinates.to(device), clips.sequence.to(device), clips.label.to(device))


def _section(name: str, section: str) -> dict[str, object]:
    path = find_yaml(name, "configs")
    fields = read_yaml(path)
    if not isinstance(fields, dict) or not isinstance(fields.get(section), dict):
        raise InputError(f"{path}: expected a section `{section}:`, found none")
    return fields[section]


def synthetic_clips(sequences: int, two_person: int, *, frames: int, joints: int) -> ClipBatch:
    """Random walks of a few centimetres a frame."""
    bodies = torch.ones(sequences, dtype=torch.int64)
    bodies[sequences - two_person :] = 2
    sequence = torch.arange(sequences).repeat_interleave(bodies)
    coordinates = 0.02 * torch.randn(len(sequence), frames, joints, CHANNELS).cumsum(1)
    return ClipBatch(coordinates, sequence, torch.zeros(sequences, dtype=torch.int64))


def with_absent_bodies(clips: ClipBatch) -> ClipBatch:
    """See `Workload.padded`."""
    sequences = len(clips.label)
    absent = 2 * sequences - len(clips.sequence)
    zeros = clips.coordinates.new_zeros(absent, *clips.coordinates.shape[1:])
    return ClipBatch(
        coordinates=torch.cat([clips.coordinates, zeros]),
        sequence=torch.cat([clips.sequence, torch.arange(sequences, sequences + absent)]),
        label=torch.zeros(sequences + absent, dtype=torch.int64),
    )
