"""The one encoder: student, teacher, every protocol and every picture."""

import copy
import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from masksem_graph.backbones.drop_path import DropPath
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData, to_segments
from masksem_graph.models.build import ModelConfig, build_positions
from masksem_graph.parts import build_part
from masksem_graph.topology import Topology

ArrayLike: TypeAlias = Tensor | np.ndarray


def gather_nodes(values: Float[Tensor, "B N F"], nodes: Int64[Tensor, "B n"]) -> Float[Tensor, "B n F"]:
    """The values of some nodes of each body."""
    return values.gather(1, nodes[..., None].expand(-1, -1, values.shape[-1]))


def place_nodes(
    values: Float[Tensor, "B n D"], nodes: Int64[Tensor, "B n"], token: Float[Tensor, " D"], total: int
) -> Float[Tensor, "B total D"]:
    """All nodes of each body: the values of some at their places, a token at the others."""
    whole = token.to(values.dtype).repeat(values.shape[0], total, 1)
    return whole.scatter(1, nodes[..., None].expand(-1, -1, values.shape[-1]), values)


OF_GRAPH = ("joints", "inputs", "bones", "centre", "rest_pose")
"""What an encoder sees of a skeleton."""


class SkeletonEncoder(nn.Module):
    """Joint embedding + encodings + space + backbone. One encoder serves all skeletons that its encodings know.

    Args:
        config: its parts, and how long clips are. A token for masked nodes is learned where the backbone asks for one.
        topologies: the skeletons that it is trained on.
        channels: C, coordinates of a joint.
        input_spec: how clips are prepared; `encode` does the same.
        recorded: the skeletons of the raw clips, one for each of the topologies; these where omitted.

    Attributes:
        home: the skeleton that bare arrays are taken to be on, and that of raw clips; the first where nothing else is said.
        width, frames, segment, segments: D, T, l and Te.
    """

    described: dict[str, Any] | None = None
    """Its `ModelConfig` as plain data, which `save` writes; None where it was built by hand."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        topologies: Sequence[Topology],
        channels: int,
        input_spec: InputSpec | None = None,
        recorded: Sequence[Topology] | None = None,
    ) -> None:
        super().__init__()
        self.width, self.frames, self.segment, self.segments = config.width, config.frames, config.segment, config.segments
        self.channels, self.pool, self.crop, self.input_spec = channels, config.pool, config.crop, input_spec or InputSpec()
        self.topologies, self.recorded = tuple(topologies), tuple(topologies if recorded is None else recorded)
        self.home = self.topologies[0], self.recorded[0]
        # A strided convolution over time is the same thing.
        self.embedding = nn.Linear(self.segment * channels, self.width)
        self.positions = build_positions(config, topologies)
        self.backbone = build_part(config.backbone, width=self.width, topologies=self.topologies)
        self.space = nn.Identity() if config.space is None else copy.deepcopy(config.space)
        self.mask_token = nn.Parameter(torch.empty(self.width)) if self.backbone.masked == "token" else None
        if self.mask_token is not None:
            nn.init.trunc_normal_(self.mask_token, std=0.02)

    @property
    def topology(self) -> Topology:
        """The skeleton that bare arrays are taken to be on."""
        return self.home[0]

    def topology_for(self, data: Topology) -> Topology:
        """The skeleton whose nodes it uses on clips of ``data``.

        That is the one that `load_encoder` was given, else one that it was trained on, where the clips have all of its joints;
        their own before others, and one with all of their joints before one that leaves some out. Else it is the clips' own.
        """
        asked = [] if self.topology is self.topologies[0] else [self.topology]
        for known in (asked, [one for one in self.topologies if one == data], self.topologies):
            if fitting := [one for one in known if set(one.inputs) <= set(data.inputs)]:
                return max(fitting, key=lambda topology: len(topology.inputs))
        return data

    def batch(
        self, clips: Float[Tensor, "B T J C"], topology: Topology | None = None, sequence: Int64[Tensor, " B"] | None = None
    ) -> SkeletonBatch:
        """Prepared clips as the batch that the encoder takes.

        Args:
            clips: all input joints of the topology, in the order of its ``inputs``.
            topology: the skeleton; the encoder's `home` where omitted.
            sequence: the clip of each body; each is one of its own where omitted.

        Raises:
            InputError: frames, joints or coordinates are not those of this encoder.
        """
        topology = topology or self.topology
        expected = (self.frames, len(topology.inputs), self.channels)
        if clips.ndim != 4 or tuple(clips.shape[1:]) != expected:
            raise InputError(f"clips: expected [B, T, V, C] = [B, {', '.join(map(str, expected))}], found {list(clips.shape)}")
        sequence = torch.arange(len(clips), device=clips.device) if sequence is None else sequence
        labels = sequence.new_full((int(sequence.max()) + 1 if len(sequence) else 0,), -1)
        return SkeletonBatch.from_frames(clips, topology=topology, segment=self.segment, sequence=sequence, y=labels)

    def embed(self, values: Float[Tensor, "*n F"]) -> Float[Tensor, "*n D"]:
        """Embedded node values, without encodings."""
        # In bfloat16 a metre is exact to 4 mm, which is more than most joints move in a frame.
        with torch.autocast(values.device.type, enabled=False):
            return self.embedding(values.to(self.embedding.weight.dtype))

    def embed_nodes(self, batch: SkeletonData) -> Float[Tensor, "B n D"]:
        """Embedded nodes, encodings added, before they are mapped into the encoder's space."""
        return self.positions(self.embed(batch.dense), batch)

    def embed_context(self, batch: SkeletonData) -> Float[Tensor, "B Te context D"]:
        """Embedded context joints, which have no encodings."""
        return self.embed(to_segments(batch.context, self.segment))

    def layers(self) -> list[list[nn.Parameter]]:
        """Every parameter once, by depth: embedding and encodings, each layer of the backbone, and what follows the layers."""
        levels: list[list[nn.Module]] = [[self.embedding, self.positions], *self.backbone.layers(), [self]]
        placed: set[int] = set()
        out: list[list[nn.Parameter]] = []
        for level in levels:
            parameters = {id(p): p for module in level for p in module.parameters() if id(p) not in placed}
            placed |= parameters.keys()
            out.append(list(parameters.values()))
        return out

    def set_drop_path(self, rate: float) -> None:
        """Stochastic depth growing linearly from 0 in the first layer to ``rate`` in the last.

        Raises:
            InputError: the backbone has no residual branch to leave out.
        """
        layers = self.backbone.layers()
        branches = [[part for m in layer for part in m.modules() if isinstance(part, DropPath)] for layer in layers]
        if rate and not any(branches):
            raise InputError(f"drop_path: {self.backbone.name} has no residual branch to drop; expected 0, found {rate}")
        for layer_rate, parts in zip(torch.linspace(0, rate, len(layers)).tolist(), branches, strict=True):
            for part in parts:
                part.rate = layer_rate

    def forward(self, batch: SkeletonData, kept: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B n D"]:
        """Features of all nodes, or of the ``kept`` ones alone, in graph order: what is masked enters by no path.

        Raises:
            InputError: clips of a `SkeletonDataset` are prepared otherwise than the encoder's own; not while training.
        """
        if not self.training and (prepared := batch.prepared):
            self._check_prepared(batch, prepared)
        if kept is None:
            return self.backbone(self.space(self.embed_nodes(batch)), batch)
        seen = batch.subgraph(kept)
        if self.mask_token is None:
            return self.backbone(self.space(self.embed_nodes(seen)), seen)
        whole = place_nodes(self.embed(seen.dense), kept, self.mask_token, batch.nodes_per_body)
        return gather_nodes(self.backbone(self.space(self.positions(whole, batch)), batch), kept)

    def _check_prepared(self, batch: SkeletonData, prepared: list[InputSpec]) -> None:
        unlike = [f"{name} {a}, expected {b}" for one in prepared for name, (a, b) in one.differences(self.input_spec).items()]
        if batch.segments != self.segments:
            unlike.append(f"{batch.segments} segments, expected {self.segments}")
        wanted = self.topology_for(batch.topology)
        if other := [name for name in OF_GRAPH if getattr(batch.topology, name) != getattr(wanted, name)]:
            unlike.append(f"the skeleton {batch.topology.name}, expected {wanted.name} with other {other[0]}")
        if (found := batch.x.shape[-1]) != self.embedding.in_features:
            unlike.append(f"{found} numbers a node, expected {self.embedding.in_features}")
        if unlike:
            raise InputError(f"clips: found {unlike[0]}, as the encoder's own; SkeletonDataset.like(encoder) prepares them so")

    def check_topology(self, topology: Topology) -> None:
        """Raise `InputError` if an encoding has no entry for a joint of a skeleton."""
        with torch.no_grad():
            batch = self._of_nobody(topology)
            self.positions(batch.x.new_zeros(1, batch.nodes_per_body, self.width), batch)

    def encode(self, clips: ArrayLike | Sequence[ArrayLike], *, persons: bool = False) -> Float[Tensor, "*S D"]:
        """One pooled vector for each raw clip, prepared as the encoder's own clips were; see `encode_arrays`."""
        from masksem_graph.models.encode import encode_arrays

        return encode_arrays(self, clips, persons=persons)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``encoder.safetensors`` and ``encoder.yaml``, from which `load_encoder` makes the same encoder again."""
        from masksem_graph.models.io import save_encoder

        save_encoder(folder, self)

    def features(self, clips: Float[Tensor, "B T J C"], topology: Topology | None = None) -> Float[Tensor, "B N D"]:
        """Node features of prepared clips, one body each, already T frames long; see `batch`."""
        return self(self.batch(clips, topology))

    def absent_features(self, batch: SkeletonData) -> Float[Tensor, "1 N D"] | None:
        """Features of the all-zero body that stands in an empty slot under ``pool: all_slots``; None under ``present``."""
        if self.pool == "present":
            return None
        return self(self._of_nobody(batch.topology))

    def _of_nobody(self, topology: Topology) -> SkeletonBatch:
        nothing = self.embedding.weight.new_zeros(1, self.frames, len(topology.inputs), self.channels)
        return SkeletonBatch.from_frames(nothing, topology=topology, segment=self.segment)


@torch.no_grad()
def update_average(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """``theta <- m theta + (1 - m) phi`` for every parameter; buffers, such as running statistics, are copied."""
    get_ema_multi_avg_fn(momentum)(list(teacher.parameters()), list(student.parameters()), None)
    for own, theirs in zip(teacher.buffers(), student.buffers(), strict=True):
        own.copy_(theirs)
