"""A run with evaluations, written by hand in the very formats that training and evaluation write."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.image import imsave

VOID = {"meta", "img", "br", "hr", "link", "input"}
PIXEL_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100"><rect width="300" height="100" fill="#0000ff"/></svg>'
METRICS = """epoch,loss,velocity,acceleration,gradient_norm,lr,seconds,sequences_per_second,knn_top1_k1,knn_top1_k20
1,1.1644,1.1629,1.1702,0.81,0.0005,100.5,93.2,,
2,0.9051,0.9043,0.9085,0.42,0.001,110.5,90.1,40,35
3,0.8712,0.8701,0.8754,0.31,0.0005,0.5,92.6,54.7222,46.9444
"""


class Document(HTMLParser):
    """A page taken apart.

    Attributes:
        elements: tag and attributes of each, in order.
        words: all text outside of styles, with single spaces.
        tables: the cells of each table, row by row.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self._open, f"never closed: {self._open}"

    @property
    def words(self) -> str:
        return " ".join("".join(self._texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"{tag}: an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"closed out of turn: {tag}"

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self._texts.append(data)
        if self._open and self._open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


def _results(**changed: Any) -> dict[str, Any]:
    """What an evaluation on 20 test clips of two classes writes."""
    return {
        "protocol": "linear",
        "data": "demo",
        "split": "xsub",
        "stream": "joint",
        "data_set": {"format": "demo", "topology": "ntu25", "classes": 12, "clips": 720},
        "unit": "per cent",
        "top1": 65.0,
        "top5": 100.0,
        "mean_class_accuracy": 64.58,
        "per_class_recall": {"sit": 75.0, "stand": 50.0},
        "confusion": [[9, 3], [4, 4]],
        "train_loss": 1.0327,
        "mean": 65.0,
        "std": None,
        "top1_by_seed": [65.0],
        "top1_interval": [45.04, 84.96],
        "top1_interval_is": "95 %, bootstrap over test clips",
        "seeds": [0],
        "train_clips": 30,
        "labelled_clips": 30,
        "test_clips": 20,
        "untrained": False,
        "checkpoint": "/somewhere/run",
        "pretrained_on": {"format": "demo", "topology": "ntu25", "classes": 12, "clips": 720, "split": "xsub"},
        "pretraining": None,
        "wall_seconds": 68.14,
        "seconds_by_seed": [68.1],
        "device": "cpu",
        "device_name": "A Processor",
        "processes": 1,
        "threads": 2,
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "versions": {"masksem-graph": "0.1.0", "torch": "2.9.9"},
        "config": {"protocol": "masksem_graph.protocols.Linear", "epochs": 100},
        **changed,
    }


def _write_evaluation(folder: Path, **changed: Any) -> Path:
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    imsave(folder / "figures" / "confusion.png", np.full((100, 150, 3), (0, 1.0, 0)))
    (folder / "results.json").write_text(json.dumps(_results(**changed)))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of three epochs with a linear and a k-NN evaluation in it."""
    from masksem_graph.files import shipped
    from masksem_graph.plain_yaml import read_yaml

    folder = tmp_path / "run"
    (folder / "figures").mkdir(parents=True)
    fields = [read_yaml(shipped("configs") / name) for name in ("method/masksem.yaml", "model/tiny.yaml")]
    config = {
        "method": fields[0],
        "model": fields[1],
        "train": {"epochs": 3, "seed": 7},
        "data": {"format": "demo", "split": "xsub"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    identity = {"format": "demo", "topology": "ntu25", "classes": 12, "clips": 720, "split": "xsub"}
    (folder / "data.yaml").write_text(yaml.safe_dump(identity))
    (folder / "encoder.yaml").write_text("{}\n")
    (folder / "metrics.csv").write_text(METRICS)
    machine = {"device": "cpu", "device_name": "A Processor", "processes": 1, "threads": 2}
    versions = {"masksem-graph": "0.1.0", "torch": "2.9.9"}
    starts = [{**machine, "commit": commit * 8, "versions": versions} for commit in ("01234", "abcde")]
    (folder / "provenance.yaml").write_text(yaml.safe_dump(starts))
    _write_evaluation(folder / "linear", checkpoint=str(folder.resolve()))
    _write_evaluation(folder / "knn", protocol="knn", top1=50.0, untrained=True)
    return folder


def _add_pictures(folder: Path) -> None:
    """Stand-ins for the pictures that training draws, a plain colour each."""
    figures = folder / "figures"
    imsave(figures / "saliency.png", np.full((100, 300, 3), (1.0, 0, 0)))
    (figures / "saliency.svg").write_text(SVG + " " * 100_000)  # larger than the PNG, which is then shown
    (figures / "smoothing_matrices.svg").write_text(SVG)
    imsave(figures / "smoothing_matrices.png", np.random.default_rng(0).random((100, 300, 3)))
    (figures / "saliency.gif").write_bytes(PIXEL_GIF)
    imsave(figures / "my <own> picture.png", np.full((100, 300, 3), (1.0, 1.0, 0)))


@pytest.fixture(scope="session")
def parse() -> Callable[[Path], Document]:
    """Takes a page apart, and checks that what it opens it closes."""
    return Document


@pytest.fixture(scope="session")
def read() -> Callable[[Path], Document]:
    """Writes the page of a folder, and takes it apart."""
    from masksem_graph.report.page import write_page

    return lambda folder: Document(write_page(folder))


@pytest.fixture(scope="session")
def results() -> Callable[..., dict[str, Any]]:
    """What an evaluation writes, with some fields changed."""
    return _results


@pytest.fixture(scope="session")
def write_evaluation() -> Callable[..., Path]:
    """Writes an evaluation's folder, with some fields changed."""
    return _write_evaluation


@pytest.fixture(scope="session")
def add_pictures() -> Callable[[Path], None]:
    """Puts pictures into a run."""
    return _add_pictures
