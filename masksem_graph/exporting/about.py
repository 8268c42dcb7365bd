"""What an exported file and a model card say of a run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from masksem_graph import __version__
from masksem_graph.data.preparation import FARTHEST, LARGEST
from masksem_graph.evaluation.classifier import Classifier, read_classifier
from masksem_graph.evaluation.prepared import Prepared, prepared_as
from masksem_graph.exporting.runtime import FORMAT
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import load_encoder


def read_run(run: Path) -> tuple[SkeletonEncoder, Classifier | None, Prepared]:
    """The encoder of a folder, the classifier that it belongs to if there is a head, and how clips are prepared for it.

    Raises:
        InputError: a file is missing or damaged.
    """
    if (run / "head.yaml").is_file():
        classifier = read_classifier(run)
        return classifier.network.encoder, classifier, classifier.prepared
    encoder = load_encoder(run)
    return encoder, None, prepared_as(run, encoder)


def describe(encoder: SkeletonEncoder, classifier: Classifier | None, prepared: Prepared, *, licence: str) -> dict[str, Any]:
    """What `read_run` gave as plain data."""
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
