"""From raw clips to probabilities in one module of plain tensor operations, which `torch.export` can follow."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from masksem_graph.data.loader import AbsentFrames, resize_positions, to_stream
from masksem_graph.data.transforms.view_frame import reference_pose, to_view, view_frames
from masksem_graph.graph import SkeletonBatch
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head
from masksem_graph.models.pool import sequence_mean
from masksem_graph.tasks.classify import Classify
from masksem_graph.topology import Topology, joint_columns


class FromRaw(nn.Module):
    """An encoder, with a head or alone, on raw clips: origin, view frame, central share, absent frames and resize are inside.

    It gives what the path through a store and `SkeletonLoader` gives. Every body slot is a row of the network. A row without a
    body is pooled into a clip of its own, which is dropped. Without a head, it gives the mean feature over nodes and bodies.

    Args:
        encoder, head: what is exported.
        raw, nodes: the skeleton of the raw clips, and the one whose joints are nodes.
    """

    def __init__(self, encoder: SkeletonEncoder, head: Head | None, *, raw: Topology, nodes: Topology) -> None:
        super().__init__()
        self.encoder, self.raw, self.nodes = encoder, raw, nodes
        self.network = None if head is None else Classify(encoder=encoder, head=head)
        self.columns, self.centre = joint_columns(nodes, raw), raw.inputs.index(raw.centre)

    def forward(self, frames: Float[Tensor, "S M F V C"]) -> Float[Tensor, "S out"]:
        """Probabilities of the classes, or features.

        Args:
            frames: clips as recorded, in the units of ``raw``. A frame of a body that is all zero is one without this body, so
                zeros fill up shorter clips and empty slots. Actor 1 is the first body that is there at all.
        """
        (clips, slots, moments), device = frames.shape[:3], frames.device
        spec = self.encoder.input_spec
        there = (frames != 0).flatten(3).any(3)
        frames, origin, rotation = self._placed(frames, there)

        length = ((torch.arange(moments, device=device) + 1) * there.any(1)).amax(1)
        start = (length * ((1 - self.encoder.crop.test_share) / 2)).floor().long()  # as `central_view`
        length = length - 2 * start
        index, weight = resize_positions(length, self.encoder.frames)

        clip = torch.arange(clips, device=device)[:, None].expand(clips, slots).flatten()  # of each body
        bodies = _Bodies(frames.flatten(0, 1), there.flatten(0, 1), start[clip, None], length[clip, None], spec.absent_frames)
        before, after = bodies.at(index[clip]), bodies.at(index[clip] + 1)
        values = torch.lerp(before, after, weight[clip][..., None, None])
        if spec.view != "recorded":
            values = to_view(values, origin[clip], rotation[clip], self.raw)
        values = to_stream(values, spec.stream, torch.tensor(self.raw.parents, device=device))[:, :, self.columns]

        counted = bodies.counted(self.encoder.segment, slots)
        batch = SkeletonBatch.from_frames(
            values,
            topology=self.nodes,
            segment=self.encoder.segment,
            sequence=torch.where(counted, clip, clips),
            y=torch.full((clips + 1,), -1, device=device),
        )
        if self.network is not None:
            return self.network(batch)[:-1].softmax(1)
        absent = self.encoder.absent_features(batch)
        return sequence_mean(self.encoder(batch), batch.sequence, batch.num_sequences, absent)[0][:-1]

    def _placed(
        self, frames: Float[Tensor, "S M F V C"], there: Bool[Tensor, "S M F"]
    ) -> tuple[Float[Tensor, "S M F V C"], Float[Tensor, "S 3"], Float[Tensor, "S 3 3"]]:
        """The clips about their own origin, and the view frame of each, which is found in all frames of actor 1."""
        spec, each = self.encoder.input_spec, torch.arange(frames.shape[0], device=frames.device)
        first = there.any(2).long().argmax(1)
        seen = there[each, first]
        begin = seen.long().argmax(1)
        if spec.origin == "centre":
            d = self.raw.dimensions
            origin = F.pad(frames[each, first, begin, self.centre, :d], (0, frames.shape[-1] - d))
            frames = torch.where(there[..., None, None], frames - origin[:, None, None, None], 0.0)
        if spec.view == "recorded":
            return frames, *view_frames(frames[:, 0, 0], self.raw, "recorded")[:2]
        actor = frames[each, first]
        # Frames without actor 1 must not be taken for a pose: no first one is looked for in them, and they are in no mean.
        nothing = actor[each, begin][:, None] if spec.view_of == "first" else actor.new_full((), torch.nan)
        actor = torch.where(seen[..., None, None], actor, nothing)
        centred = spec.origin == "centre"
        pose = reference_pose(actor, self.raw, spec.view_of, centred=centred)
        origin, rotation, _ = view_frames(pose, self.raw, spec.view, centred=centred)
        if spec.absent_frames == "zero":  # zero has to stay zero
            moved = frames - F.pad(origin, (0, frames.shape[-1] - 3))[:, None, None, None]
            return torch.where(there[..., None, None], moved, 0.0), torch.zeros_like(origin), rotation
        return frames, origin, rotation


class _Bodies:
    """Frames of all bodies of a batch of clips, and the crop [B, 1] of each; see `SkeletonLoader`."""

    def __init__(
        self,
        frames: Float[Tensor, "B F V C"],
        there: Bool[Tensor, "B F"],
        start: Int64[Tensor, "B 1"],
        length: Int64[Tensor, "B 1"],
        absent_frames: AbsentFrames,
    ) -> None:
        self.frames, self.there, self.start, self.length, self.absent_frames = frames, there, start, length, absent_frames
        self.body = torch.arange(frames.shape[0], device=frames.device)[:, None]
        self.moment = torch.arange(frames.shape[1], device=frames.device)
        self.rank = there.long().cumsum(1)  # of the frames where the body is there, up to each frame and with it
        # The frames where it is there, one after the other; what is not there is written behind them.
        place = torch.where(there, self.rank - 1, frames.shape[1])
        empty = torch.zeros_like(F.pad(place, (0, 1)))
        self.order = empty.scatter(1, place, self.moment.expand_as(place))

    def at(self, index: Int64[Tensor, "B T"]) -> Float[Tensor, "B T V C"]:
        """Frames at positions in the crop, as `SkeletonLoader._frames_at`; a position past the end means the last."""
        at = self.start + torch.minimum(index, self.length - 1)
        if self.absent_frames == "zero":
            return self.frames[self.body, at]
        number = self.rank[:, -1:]
        inside = at.maximum(self.order[:, :1]).minimum(self.order.gather(1, (number - 1).clamp(min=0)))
        rank = self.rank.gather(1, inside) - 1
        earlier = self.order.gather(1, rank.clamp(min=0))
        later = self.order.gather(1, torch.where(self.there.gather(1, inside), rank, rank + 1))
        one, other = earlier >= self.start, later < self.start + self.length  # inside the crop
        nearer = (at - earlier).abs() <= (later - at).abs()
        take_earlier = (one & ~other) | ((one == other) & nearer)  # onnxruntime has no `where` of truth values
        return self.frames[self.body, torch.where(take_earlier, earlier, later)]

    def counted(self, segment: int, slots: int) -> Bool[Tensor, " B"]:
        """Which bodies are there in the crop, as `SkeletonLoader.plan`: long enough, or the longest of their clip."""
        inside = (self.moment >= self.start) & (self.moment < self.start + self.length)
        seen = (self.there & inside).long().sum(1)
        ever = torch.where(self.there.any(1), seen, -1).unflatten(0, (-1, slots))
        longest = ever.argmax(1, keepdim=True) == torch.arange(slots, device=seen.device)
        return (seen >= segment) | longest.flatten()
