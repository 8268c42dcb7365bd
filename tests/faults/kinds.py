"""The kinds of files that the program reads: what is damaged, and who reads it."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import savemat

from masksem_graph.cli import evaluate, train
from masksem_graph.config import parse_mapping, typed
from masksem_graph.data.demo import clip_texts
from masksem_graph.data.description import ARRAYS, _fingerprint, read_description
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.preparation import Preparation
from masksem_graph.data.readers import load_reader
from masksem_graph.data.store import open_store
from masksem_graph.data.views import whole_view
from masksem_graph.declared import declared_fields
from masksem_graph.edges import skeleton_graph
from masksem_graph.errors import InputError
from masksem_graph.evaluation.prepared import prepared_as
from masksem_graph.experiments import arguments, load_plan
from masksem_graph.files import digest, find_yaml
from masksem_graph.models import io
from masksem_graph.options import HOMES
from masksem_graph.published.checkpoint import read_published
from masksem_graph.report.evaluation import read_scores
from masksem_graph.report.page import writing
from masksem_graph.report.published import load_published
from masksem_graph.report.tables import FORMATS, build_table, collect
from masksem_graph.run_folder import RunFolder
from masksem_graph.topology import load_topology, read_yaml
from masksem_graph.training import metrics, restore
from masksem_graph.training.checkpoint import load_checkpoint
from masksem_graph.training.devices import launch
from masksem_graph.training.run import build_task, make_loop, training_sets
from tests.data.readers.test_pku import write_set
from tests.faults.fuzz import Kind
from tests.faults.mutants import Files
from tests.faults.scenarios import scenarios
from tests.recordings import save_bvh, save_openpose, save_results, save_stgcn, save_yolo, walk

Reading = Callable[[], Any]
CHECKS: dict[str, Callable[..., Any]] = {"typed": typed, "parse_mapping": parse_mapping}
PARTS = ("config.yaml", "data.yaml", "metrics.csv", "provenance.yaml")


def kinds(base: Path) -> dict[str, Callable[[], Kind]]:
    """By name; the files are made below ``base``, one copy for each kind."""
    os.environ["MASKSEM_GRAPH_CACHE"] = str(base / "cache")
    made = _Made(base)
    networks = [f"{name}.{end}" for name in ("encoder", "head") for end in ("yaml", "safetensors")]
    arrays = [f"{name}.npy" for name in ("frames", "name", "body_offset", "parts", "label")]
    return {
        "store.yaml": lambda: _store(made.store() / "store.yaml", fields=0.6),
        **{name: lambda name=name: _store(made.store() / name, fields=0) for name in arrays},
        "arrays, sealed": lambda: _sealed_arrays(made.store()),
        **{name: lambda name=name: _network(made.run() / "linear" / name) for name in networks},
        "last.pt": lambda: _checkpoint(made, fields=0),
        "last.pt, sealed": lambda: _checkpoint(made, fields=1),
        **{name: lambda name=name: _of_run(made.run() / name) for name in PARTS},
        "results.json": lambda: _results(made.run() / "linear" / "results.json"),
        "scores.npz": lambda: _one(made.run() / "linear" / "scores.npz", lambda path: read_scores(path.parent)),
        ".pth": lambda: _published(made.copy("convert") / "a.pth", fields=0),
        ".pth, sealed": lambda: _published(made.copy("convert") / "a.pth", fields=1),
        "experiment": lambda: _experiment(made.run() / "config.yaml", base),
        "groups": lambda: _groups(made.folder(), base),
        "options": lambda: _options(made.folder() / "options.json", base),
        "topology": lambda: _one(made.yaml("ntu25", "graphs"), lambda path: skeleton_graph(load_topology(path), 2)),
        "recipe": lambda: _one(made.yaml("recipe/embedded", "configs"), _plan),
        **{f"raw {name}": lambda name=name: _raw(made.folder(), name) for name in RAW},
    }


class _Made:
    """Folders that commands have written, copied for each kind."""

    def __init__(self, base: Path) -> None:
        self.base, self.count = base, 0
        (base / "made").mkdir()
        self.scenarios = scenarios(base / "made")

    def folder(self) -> Path:
        for name, function in {"read_yaml": read_yaml, **CHECKS}.items():  # as if no kind had been made before
            _everywhere(name, function)
        self.count += 1
        (path := self.base / str(self.count)).mkdir()
        return path

    def copy(self, scenario: str) -> Path:
        return Path(shutil.copytree(self.scenarios[scenario]().start, self.folder(), dirs_exist_ok=True))

    def store(self) -> Path:
        return self.copy("prepare again") / "store"

    def run(self) -> Path:
        return self.copy("evaluate over") / "run"

    def yaml(self, name: str, kind: str) -> Path:
        return Path(shutil.copy(find_yaml(name, kind), self.folder() / "a.yaml"))


def _read_once(except_for: Path) -> None:
    """YAML files that no mutant changes are read once, as most of a reader's time is theirs."""
    known: dict[tuple[Path, bool], bytes] = {}

    def read(path: Path, *, as_text: bool = False) -> Any:
        if except_for in (path, *path.parents):
            return read_yaml(path, as_text=as_text)
        if (path, as_text) not in known:
            known[path, as_text] = pickle.dumps(read_yaml(path, as_text=as_text))
        return pickle.loads(known[path, as_text])

    _everywhere("read_yaml", read)


def _everywhere(name: str, function: Callable[..., Any]) -> None:
    for module in [module for path, module in sys.modules.items() if path.startswith("masksem_graph")]:
        if hasattr(module, name):
            setattr(module, name, function)


def _check_once() -> None:
    """Fields that an earlier mutant had, too, are not checked again, as most of a mutant's time is jsonargparse's."""

    def checking(function: Callable[..., Any]) -> Callable[..., Any]:
        known: dict[str, Any] = {}

        def checked(kind: type, fields: Any, **options: Any) -> Any:
            if (key := repr((kind, getattr(fields, "fields", fields)))) not in known:
                try:
                    known[key] = function(kind, fields, **options)
                except InputError as error:
                    known[key] = InputError(str(error))
            if isinstance(known[key], InputError):
                raise InputError(str(known[key]))
            return known[key]

        return checked

    for name, function in CHECKS.items():
        _everywhere(name, checking(function))


def _each(*steps: Reading) -> None:
    """All of them, though one refuses."""
    refused = None
    for step in steps:
        try:
            step()
        except InputError as error:
            refused = refused or error
    if refused:
        raise refused


def _one(path: Path, read: Callable[[Path], Any]) -> Kind:
    return Kind(Files([path]), lambda: read(path))


def _plan(path: Path) -> None:
    for step in load_plan(str(path), on="demo").steps:
        arguments(step, path.parent)


def _store(path: Path, fields: float) -> Kind:
    def read() -> Any:
        store = open_store(path.parent, verify=True)
        arrays = {name: np.array(value) for name, value in vars(store).items() if isinstance(value, np.ndarray)}
        store[0], store[len(store) - 1]
        return arrays | {"splits": store.splits, "classes": store.classes, "options": store.options}

    _read_once(except_for=path)
    return Kind(Files([path], fields), read, covered=True)


def _sealed_arrays(place: Path) -> Kind:
    """Arrays of wrong values, with checksums that fit."""
    fields = read_description(place / "store.yaml").fields()

    def seal(path: Path) -> None:
        fields["checksums"][path.stem] = digest(path)
        fingerprint = _fingerprint(fields)
        (place / "store.yaml").write_text(json.dumps(fields | {"fingerprint": fingerprint}))  # JSON is YAML, and faster

    def read() -> None:
        store = open_store(place, verify=True)
        source = SkeletonLoader(store, frames=8, segment=4, device=torch.device("cpu"))
        every = torch.arange(len(store))
        if not torch.isfinite(source.load(source.plan(whole_view(every, source.length))).frames).all():
            raise FloatingPointError("frames that are not finite reach the network")

    return Kind(Files([place / f"{name}.npy" for name in ARRAYS], 1, seal), read)


def _network(path: Path) -> Kind:
    _check_once()
    read = io.load_encoder if path.stem == "encoder" else lambda run: io.load_head(run).head
    network = read(path.parent)

    def built() -> Any:
        return [dict((found := read(path.parent)).state_dict()), repr(found)]

    def filled() -> Any:  # building it again for each mutant takes a hundred times as long
        io._fill(network, io._read_weights(path), path)
        return dict(network.state_dict())

    return Kind(Files([path]), filled if path.suffix == ".safetensors" else built, covered=True)


def _checkpoint(made: _Made, fields: float) -> Kind:
    """``last.pt``, as a training that goes on reads it; what torch writes has checksums that fit."""
    run = made.run()
    config, plain, _ = train.parse(made.scenarios["train"]().arguments(run.parent)[1:])
    stores = {config.data.name: config.data.open()}
    fabric = launch(config.device)
    sets = training_sets(config, stores, fabric.device)
    task = build_task(config, plain["model"], stores)
    loop = make_loop(config, fabric, task, sets, folder=run, save_encoder=lambda encoder: None, evaluate=None)

    def read() -> Any:
        loop.resume(state := load_checkpoint(run / "last.pt"))
        loop.optimiser.step()
        return state

    return Kind(Files([run / "last.pt"], fields), read, covered=not fields)


def _of_run(path: Path) -> Kind:
    """What a run's page, an evaluation and a resumed training read."""
    run = path.parent
    metrics.find_spec = lambda name: None  # no TensorBoard
    encoder, words = io.load_encoder(run), ["--run", str(run), "--protocol", "knn", "--output", f"{run}/nowhere"]
    shutil.rmtree(run / "linear")  # the page would read it each time
    described, state = restore.describe_encoder(run), load_checkpoint(run / "last.pt")
    restore.describe_encoder = lambda run: described
    restore.create_encoder = lambda *_, **__: encoder
    restore.load_checkpoint = lambda path: state
    steps: dict[str, tuple[Reading, ...]] = {
        "metrics.csv": (lambda: metrics.MetricsLog(run, upto=1), lambda: RunFolder(run).lost_checkpoint),
        "data.yaml": (lambda: prepared_as(run, encoder),),
        "config.yaml": (lambda: evaluate.parse(words), lambda: restore.load_task(run)),
        "provenance.yaml": (),
    }
    _check_once()
    _read_once(except_for=path)
    return Kind(Files([path]), partial(_each, lambda: writing.render("run.html", **writing.read_run(run)), *steps[path.name]))


def _results(path: Path) -> Kind:
    published, found = load_published(), json.loads(path.read_text())
    classes = list(found["per_class_recall"])[:4]  # of 60 most mutants would be numbers in the confusion
    found["per_class_recall"] = {name: found["per_class_recall"][name] for name in classes}
    found["confusion"] = [row[:4] for row in found["confusion"][:4]]
    path.write_text(json.dumps(found))
    _read_once(except_for=path)

    def table() -> None:
        (made := build_table("all", collect([path.parent]), published, [])).terminal()
        for write in FORMATS.values():
            write(made)

    pages: list[Reading] = [
        lambda: writing.render("run.html", **writing.read_run(path.parent.parent)),
        lambda: writing.render("evaluation.html", **writing.read_evaluation(path.parent)),
    ]
    return Kind(Files([path]), partial(_each, *pages, table))


def _published(path: Path, fields: float) -> Kind:
    def read() -> Any:
        found = read_published(path)
        return [found.kind, found.parts, found.epoch]

    return Kind(Files([path], fields), read, covered=not fields)


def _trained(base: Path, *words: object) -> None:
    """What ``train`` takes for its configuration."""
    train.parse([*map(str, words), "--output", str(base / "no")])


def _experiment(path: Path, base: Path) -> Kind:
    _check_once()
    return _one(path, lambda path: _trained(base, "--config", path))


def _groups(place: Path, base: Path) -> Kind:
    shipped = {"model": "tiny", "method": "masksem", "augment": "rotate"}
    files = {n: Path(shutil.copy(find_yaml(f"{n}/{name}", "configs"), place / f"{n}.yaml")) for n, name in shipped.items()}
    words = [word for name, path in files.items() for word in (f"--{name}", path)]
    _check_once()
    return Kind(Files([*files.values()]), partial(_trained, base, *words, "--data", "demo_xsub"))


def _options(path: Path, base: Path) -> Kind:
    """The command line's own dotted fields."""
    names = [f"{s}.{n}" for s in ("data", "model", "method", "train") for n in declared_fields(HOMES[s])]
    names += [f"model.{n}" for n in ("backbone.depth", "backbone.heads", "decoder.depth", "crop.min_frames")]
    path.write_text(json.dumps(dict.fromkeys(names)))
    words = ("--model", "tiny", "--method", "masksem", "--data", "demo_xsub")
    _check_once()

    def read() -> None:
        given = {f"--{name}": value for name, value in json.loads(path.read_text()).items() if value is not None}
        _trained(base, *words, *(word for n, v in given.items() for word in (n, v if isinstance(v, str) else json.dumps(v))))

    return Kind(Files([path], 1), read)


def _raw(place: Path, name: str) -> Kind:
    """Clips as people have them, through all that ``prepare`` does with them."""
    paths = RAW[name](place)
    fresh = load_reader(name.partition(" ")[0], **({"width": 640, "height": 480} if name == "coco yolo" else {}))
    _read_once(except_for=place)

    def read() -> None:
        reader = copy.copy(fresh)
        sources = list(reader.sources(place))[:4]
        prepare, clips = Preparation(reader, reader.skeleton, reader.origin), []
        _each(*(lambda source=source: clips.append(prepare(source)[0]) for source in sources))
        if not all(np.isfinite(body.frames).all() for clip in clips for body in clip.bodies):
            raise FloatingPointError("frames that are not finite are stored")
        fields = ("name", "label", "subject", "camera", "setup")
        reader.splits({field: np.array([getattr(clip, field) for clip in clips]) for field in fields})

    return Kind(Files(paths), read)


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.9, shape).astype(np.float32).round(3)


def _lists(*shape: int) -> Any:
    return _random(*shape).astype(float).round(3).tolist()


def _write(place: Path, **content: Any) -> list[Path]:
    """Files of text, bytes or arrays, ``__`` for a slash."""
    paths = [place / name.replace("__", "/") for name in content]
    for path, value in zip(paths, content.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, np.ndarray):
            np.save(path, value)
        else:
            path.write_bytes(value if isinstance(value, bytes) else value.encode())
    return paths


def _sbu(place: Path) -> list[Path]:
    lines = (",".join(map(str, (i, *row))) for i, row in enumerate(_random(6, 90), 1))
    return _write(place, **{"s01s02__01__001__skeleton_pos.txt": "\n".join(lines)})


def _utd(place: Path) -> list[Path]:
    paths = [place / "a1_s1_t1_skeleton.mat", place / "a1_s2_t1_skeleton.mat"]
    for packed, path in enumerate(paths):
        savemat(path, {"d_skel": _random(20, 3, 6).astype(float)}, do_compression=bool(packed))
    return paths


def _npz(place: Path) -> list[Path]:
    one_hot = np.eye(60, dtype=np.int64)[:2]
    np.savez(place / "NTU60_CS.npz", x_train=_random(2, 8, 150), x_test=_random(2, 8, 150), y_train=one_hot, y_test=one_hot)
    return [place / "NTU60_CS.npz"]


def _pyskl(place: Path) -> list[Path]:
    names = ["S001C001P001R001A001", "S001C001P002R001A002"]
    one = {"keypoint": _random(1, 8, 25, 3), "total_frames": 8}
    clips = [{"frame_dir": name, "label": i, **one} for i, name in enumerate(names)]
    split = {"xsub_train": names[:1], "xsub_val": names[1:]}
    return _write(place, **{"a.pkl": pickle.dumps({"split": split, "annotations": clips}, protocol=4)})


def _folder(place: Path) -> list[Path]:
    described = "topology: tiny5\nsplits: {who: {train: {subject: [ann]}}}\n"
    table = "file,label,subject,camera\na.npy,wave,ann,1\nb.jsonl,kick,ben,2\n"
    frames = [json.dumps({"t": i / 30, "bodies": [{"id": 1, "joints": one}]}) for i, one in enumerate(_lists(6, 5, 3))]
    content = {"dataset.yaml": described, "clips.csv": table, "a.npy": _random(6, 5, 3), "b.jsonl": "\n".join(frames)}
    return _write(place, **content)


def _mediapipe(place: Path) -> list[Path]:
    lines = [json.dumps({"t": i / 30, "world_landmarks": frame}) for i, frame in enumerate(_lists(4, 33, 4))]
    rows = [",".join(f"{axis}{i}" for i in range(33) for axis in "xyzv"), *(",".join(map(str, r)) for r in _lists(4, 132))]
    np.savez(place / "c.npz", world_landmarks=_random(4, 33, 4))
    return [*_write(place, **{"wave__a.jsonl": "\n".join(lines), "wave__b.csv": "\n".join(rows)}), place / "c.npz"]


def _made_by(save: Callable[..., Any], below: str, *given: Any, **options: Any) -> Callable[[Path], list[Path]]:
    def make(place: Path) -> list[Path]:
        save(place / below, *given, **options)
        return sorted(path for path in place.rglob("*") if path.is_file())

    return make


RAW: dict[str, Callable[[Path], list[Path]]] = {
    "ntu": lambda place: _write(place, **dict([min(clip_texts(seed=0, subject=1, action=1).items())])),
    "nw_ucla": lambda place: _write(
        place, **{"a01_s01_e00_v01.json": json.dumps({"skeletons": _lists(4, 20, 3), "label": 1})}
    ),
    "sbu": _sbu,
    "utd_mhad": _utd,
    "npz": _npz,
    "pyskl": _pyskl,
    "pku": _made_by(write_set, "."),
    "bvh": _made_by(save_bvh, "wave/a.bvh", _random(6, 18)),
    "openpose": _made_by(save_openpose, "wave/a", walk(25, 4)),
    "coco": _made_by(save_results, "wave/a.json", walk(17, 4)),
    "coco yolo": _made_by(save_yolo, "wave/a", walk(17, 4), size=(640, 480)),
    "mediapipe": _mediapipe,
    "stgcn": _made_by(save_stgcn, ".", "train", _random(2, 1, 6, 25, 3), ["a", "b"], [0, 1]),
    "folder": _folder,
}
"""What makes the files of a format."""
