"""Writes a run as one file, and holds the file against the run before it gets its name."""

import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch_geometric
from torch.nn.attention import SDPBackend, sdpa_kernel

from masksem_graph import __version__
from masksem_graph.config import parse_mapping
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.config import DataConfig
from masksem_graph.data.preparation import FARTHEST, LARGEST, prepared_clip
from masksem_graph.data.store import Store, store_of
from masksem_graph.errors import InputError
from masksem_graph.evaluation.classifier import Classifier, read_classifier
from masksem_graph.evaluation.prepared import Prepared, prepared_as
from masksem_graph.exporting.classifier import OnnxClassifier, open_onnx
from masksem_graph.exporting.network import FromRaw
from masksem_graph.exporting.runtime import FORMAT, ClipModel
from masksem_graph.files import write_beside
from masksem_graph.models.encode import encode_store
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import load_encoder
from masksem_graph.run_folder import RunFolder

OPSET = 18
TOLERANCE = 1e-4
CLIPS = 32  # of the run's own that the file is held against
ABOUT = "masksem_graph.json"
"""What a ``.pt2`` says of itself, in the place of ONNX's metadata."""

To = Literal["onnx", "pt2"]


def read_run(run: Path) -> tuple[SkeletonEncoder, Classifier | None, Prepared]:
    """The encoder of a folder, the classifier that it belongs to if there is a head, and how clips are prepared for it."""
    if (run / "head.yaml").is_file():
        classifier = read_classifier(run)
        return classifier.network.encoder, classifier, classifier.prepared
    encoder = load_encoder(run)
    return encoder, None, prepared_as(run, encoder)


def describe(encoder: SkeletonEncoder, classifier: Classifier | None, prepared: Prepared, *, licence: str) -> dict[str, Any]:
    """What `read_run` gave as plain data, for an exported file and a model card."""
    units, classes = prepared.units or prepared.topology.units, list(classifier.classes) if classifier else []
    return {
        "format": FORMAT,
        "written_by": f"masksem_graph {__version__}",
        "licence": licence,
        "task": "classify" if classifier else "encode",
        "classes": classes,
        "width": encoder.width,
        "outputs": len(classes) or encoder.width,
        "joints": list(prepared.topology.inputs),
        "channels": encoder.channels,
        "units": units,
        "farthest": FARTHEST.get(units, LARGEST),
        "frames": encoder.frames,
        "segment": encoder.segment,
        "backbone": encoder.backbone.name,
        "pool": encoder.pool,
        "central_share": encoder.crop.test_share,
        **asdict(replace(encoder.input_spec, units=units)),
        "topology": prepared.topology.to_dict(),
        "read_as": prepared.format or "",
        "options": dict(prepared.options),
    }


@dataclass(frozen=True)
class Exported:
    """What the file says of itself, the clips that it was held against in words, and its largest difference from the run."""

    about: dict[str, Any]
    checked: str
    difference: float


def export(run: Path, output: Path, *, to: To = "onnx", licence: str = "unknown") -> Exported:
    """Write an encoder and its head, or an encoder alone, as one file, after it gave the run's numbers to 1e-4.

    It is held against the run on some clips of the run's own data, where these are there, and on made-up ones.

    Args:
        run, output: the folder of a run, or of an evaluation that trained a head; and the file.
        to: ``onnx``, or ``pt2``: what `torch.export.load` reads.
        licence: of the weights, as the file is to state it.

    Raises:
        InputError: the run cannot be read, an operator stands in the way, or the numbers are others.
    """
    if to == "onnx" and (missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]):
        raise InputError(f"needs {', '.join(missing)}, not installed here; expected pip install 'masksem-graph[export]'")
    encoder, classifier, prepared = read_run(run)
    head = classifier.network.head if classifier else None
    nodes = encoder.topology_for(prepared.topology)
    network = FromRaw(encoder, head, raw=prepared.topology, nodes=nodes).eval()
    stores = [*_own_clips(run), _made_up(encoder, prepared)]
    expected = [classifier.probabilities(store) if classifier else encode_store(encoder, store) for store in stores]
    about = {**describe(encoder, classifier, prepared, licence=licence), "opset": OPSET}
    with write_beside(output) as partial:
        try:
            found = OnnxClassifier(_write(network, partial, to, about), output)
        except Exception as error:  # the exporters raise whatever they stumble over
            raise InputError(f"{run}: {encoder.backbone.name} cannot be exported: {_obstacle(error)}") from error
        pairs = zip(stores, expected, strict=True)
        difference = max(float((found.probabilities(store) - values).abs().max()) for store, values in pairs)
        if not difference <= TOLERANCE:
            raise InputError(
                f"{output}: found numbers {difference:.2g} off {run}, expected at most {TOLERANCE:g}; not written"
            )
    own = sum(map(len, stores[:-1]))
    checked = f"{own} clips and {len(stores[-1])} made-up ones" if own else f"{len(stores[-1])} made-up clips"
    return Exported(about, checked, difference)


def _write(network: FromRaw, path: Path, to: To, about: dict[str, Any]) -> ClipModel:
    """Write the file and read it again."""
    raw, encoder = network.raw, network.encoder
    example = torch.zeros(3, 2, 2 * encoder.frames + 1, len(raw.inputs), encoder.channels)
    sizes = {0: torch.export.Dim("clips"), 1: torch.export.Dim("bodies"), 2: torch.export.Dim("frames")}
    with _exporting():
        network(example)  # what is kept for each topology must not be made of the exporter's stand-ins
        program = torch.export.export(network, (example,), dynamic_shapes=(sizes,), strict=False)
        if to == "pt2":
            with path.open("wb") as file:
                torch.export.save(program, file, extra_files={ABOUT: json.dumps(about)})
            module = torch.export.load(path).module()
            return ClipModel(lambda frames: module(torch.from_numpy(frames)).detach().numpy(), about)
        made = torch.onnx.export(
            program, dynamo=True, verbose=False, opset_version=OPSET, input_names=["frames"], output_names=[about["task"]]
        )
    assert made is not None
    (given,), (found,) = made.model.graph.inputs, made.model.graph.outputs
    assert given.shape is not None and found.shape is not None
    for axis, name in enumerate(("clips", "bodies", "frames")):
        given.shape[axis] = name
    found.shape[0] = "clips"
    made.model.metadata_props.update({name: json.dumps(value) for name, value in about.items()})
    made.save(path)
    return open_onnx(path)


@contextmanager
def _exporting() -> Iterator[None]:
    """No gradients, operators of one kind only instead of the fastest here, and none of the exporters' many notes."""
    fast = torch_geometric.backend.use_segment_matmul
    torch_geometric.backend.use_segment_matmul = False
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        torch_geometric.backend.use_segment_matmul = fast


def _obstacle(error: BaseException) -> str:
    """The operator that stands in the way, or the first line that says what does."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error)
    if operator := re.search(r"OpOverload\(op='([^']+)'", text):
        return f"the operator {operator[1]} has no form in ONNX"
    place = re.search(r"The following call raised this error:\s*(.*?)\n\s*\n", text, re.DOTALL)
    return " ".join((place[1] if place else text.strip().partition("\n")[0] or type(error).__name__).split())


def _own_clips(run: Path) -> list[Store]:
    """Some of the data set that the run names, where it is there."""
    try:
        store = parse_mapping(DataConfig, RunFolder(run).read_config().get("data") or {}, source=run / "config.yaml").open()
    except InputError:
        return []
    some = np.unique(np.linspace(0, len(store) - 1, CLIPS).round().astype(int))
    return [store_of([store[int(i)] for i in some], store.topology, origin=store.origin)]


def _made_up(encoder: SkeletonEncoder, prepared: Prepared) -> Store:
    """Wandering points of one and of two bodies, which come late, leave, and are missing in between."""
    random, raw, clips = np.random.default_rng(0), prepared.topology, []
    for i, length in enumerate((1, 2, encoder.segment, encoder.frames, 2 * encoder.frames + 1, 3 * encoder.frames)):
        bodies = []
        for start in (0, length // 2)[: 1 + i % 2]:
            size = (length - start, len(raw.inputs), encoder.channels)
            walk = random.normal(0, 0.3, size[1:]) + random.normal(0, 0.03, size).cumsum(0)
            present = random.random(size[0]) < 0.8
            present[[0, -1]] = True
            walk[~present] = 0
            bodies.append(Body(start, walk.astype(np.float32), present))
        clip = Clip(name=str(i), label=-1, bodies=tuple(bodies))
        clips.append(prepared_clip(clip, raw, origin=prepared.origin, units=raw.units)[0])
    return store_of(clips, raw, origin=prepared.origin)
