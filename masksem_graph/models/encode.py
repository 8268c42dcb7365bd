"""From raw clips to vectors, on the very path that evaluations take."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.backbones.base import evaluating
from masksem_graph.data.clip import Clip
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.preparation import prepared_clip
from masksem_graph.data.readers.base import whole_bodies
from masksem_graph.data.store import Store, store_of
from masksem_graph.data.views import central_view
from masksem_graph.errors import InputError
from masksem_graph.models.encoder import ArrayLike, SkeletonEncoder
from masksem_graph.models.pool import sequence_mean
from masksem_graph.topology import Topology

PORTION = 64  # clips at once; changes speed and memory, not results


@torch.no_grad()
def encode_arrays(
    encoder: SkeletonEncoder, clips: ArrayLike | Sequence[ArrayLike], *, persons: bool = False
) -> Float[Tensor, "*S D"]:
    """The mean feature over nodes of each clip: origin, view frame, central share and resize are those of the encoder's run.

    Args:
        encoder: without dropout meanwhile, whatever mode it is in.
        clips: one body's frames [F, V, C] as recorded, of any length, in the units of the encoder's topology; or a list of
            such clips. Frames that are all zero count as absent.
        persons: each clip is [M, F, V, C], the same frames of M persons, the first of whom sets origin and view frame.

    Returns:
        [S, D], or [D] of a single array.

    Raises:
        InputError: other joints or coordinates than the encoder's, a value that is no number or too large for the units, or no
            frame with a body.
    """
    if isinstance(clips, str | os.PathLike):
        raise InputError(f"clips: expected arrays of numbers, found the path {clips}; numpy.load reads an .npy file")
    one = isinstance(clips, Tensor | np.ndarray)
    raw = [_clip(values, i, encoder, persons=persons) for i, values in enumerate([clips] if one else clips)]
    if not raw:
        return torch.zeros(0, encoder.width)
    store = store_of(raw, encoder.home[1], origin=encoder.input_spec.origin, units=encoder.input_spec.units)
    out = encode_store(encoder, store, encoder.topology)
    return out[0] if one else out


@torch.no_grad()
def encode_store(encoder: SkeletonEncoder, store: Store, topology: Topology | None = None) -> Float[Tensor, "S D"]:
    """The mean feature over nodes and bodies of each clip of a store; see `encode_arrays` and `loader_for`."""
    loader = loader_for(encoder, store, device=encoder.embedding.weight.device, topology=topology)
    out = []
    with evaluating(encoder):
        for part in torch.arange(len(store)).split(PORTION):
            batch = loader.load(loader.plan(central_view(part, loader.length[part], encoder.crop)))
            absent = encoder.absent_features(batch)
            out.append(sequence_mean(encoder(batch), batch.sequence, batch.num_sequences, absent)[0])
    return torch.cat(out)


def loader_for(encoder: SkeletonEncoder, store: Store, *, topology: Topology | None = None, **options: Any) -> SkeletonLoader:
    """Reads the clips of a store as an encoder is used to seeing clips.

    Args:
        encoder: knows its frames, segments, stream, view frame and skeletons.
        store: the clips.
        topology: of the nodes; `SkeletonEncoder.topology_for` the clips where omitted.
        options: further ones of `SkeletonLoader`, such as ``device`` and ``transforms``.

    Raises:
        InputError: the clips have other coordinates, units or origin than the encoder's own, or joints that it does not know.
    """
    seen = encoder.input_spec
    if (found := store.frames.shape[-1]) != encoder.channels:
        raise InputError(f"{store.path}: found {found} coordinates a joint, expected {encoder.channels}, as the encoder's")
    check_units(encoder, store)
    if store.origin != seen.origin:
        raise InputError(
            f"{store.path}: prepared with origin {store.origin}, expected {seen.origin}, as the encoder's own clips"
        )
    nodes = topology or encoder.topology_for(store.topology)
    encoder.check_topology(nodes)
    return SkeletonLoader(
        store,
        frames=encoder.frames,
        segment=encoder.segment,
        absent_frames=seen.absent_frames,
        stream=seen.stream,
        view=seen.view,
        view_of=seen.view_of,
        topology=nodes,
        **options,
    )


def check_units(encoder: SkeletonEncoder, store: Store) -> None:
    """Raise `InputError` if clips are not in the units of the encoder's own."""
    own, known = encoder.input_spec.units, encoder.home[1].units
    if (found := store.topology.units if own is None else store.units) != (own or known):
        raise InputError(f"{store.path}: found coordinates in {found}, expected {own or known}, as the encoder's")


def _clip(values: ArrayLike, number: int, encoder: SkeletonEncoder, *, persons: bool) -> Clip:
    array = np.asarray(values.detach().float().cpu() if isinstance(values, Tensor) else values)
    topology = encoder.home[1]
    expected = (len(topology.inputs), encoder.channels)
    axes, whose = ("[M, F, V, C] = [M, F", "M persons") if persons else ("[F, V, C] = [F", "one body")
    if array.dtype.kind not in "fiub" or array.ndim != 3 + persons or array.shape[-2:] != expected or 0 in array.shape:
        found = str(list(array.shape)) if array.dtype.kind in "fiub" else repr(values)[:60]
        raise InputError(
            f"clip {number}: expected frames {axes}, {expected[0]}, {expected[1]}] of {whose}, found {found}; "
            f"several clips are a list, several persons of a clip [M, F, V, C] with persons=True"
        )
    with np.errstate(over="ignore"):
        frames = array.astype(np.float32) if persons else array.astype(np.float32)[None]
    if not np.isfinite(frames).all():
        raise InputError(f"clip {number}: expected finite numbers, found NaN or infinity")
    clip = Clip(name=str(number), label=-1, bodies=whole_bodies(frames))
    seen = encoder.input_spec
    try:
        return prepared_clip(clip, topology, origin=seen.origin, units=seen.units or topology.units)[0]
    except InputError as error:
        raise InputError(f"clip {number}: {error}") from None
