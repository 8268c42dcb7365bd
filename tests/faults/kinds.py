"""The kinds of files that the program reads: what is damaged, and who reads it."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment
from scipy.io import savemat

from masksem_graph.errors import InputError
from masksem_graph.files import read_yaml
from tests.data.readers.test_pku import write_set
from tests.faults.fuzz import Kind
from tests.faults.mutants import Files
from tests.faults.scenarios import scenarios
from tests.recordings import save_bvh, save_openpose, save_results, save_stgcn, save_yolo, walk


def kinds(base: Path) -> dict[str, Callable[[], Kind]]:
    """By name; the files are made below ``base``, one copy for each kind."""
    os.environ["MASKSEM_GRAPH_CACHE"] = str(base / "cache")
    made = _Made(base)
    arrays = ("frames", "name", "body_offset", "parts", "label")
    return {
        "store.yaml": lambda: _store(made.store(), ["store.yaml"]),
        **{f"{name}.npy": partial(lambda name: _store(made.store(), [f"{name}.npy"], fields=0), name) for name in arrays},
        "arrays, sealed": lambda: _sealed_arrays(made.store()),
        **{f"encoder{end}": partial(lambda end: _network(made.run() / "linear" / f"encoder{end}"), end) for end in NETWORK},
        **{f"head{end}": partial(lambda end: _network(made.run() / "linear" / f"head{end}"), end) for end in NETWORK},
        "last.pt": lambda: _checkpoint(made, fields=0),
        "last.pt, sealed": lambda: _checkpoint(made, fields=1),
        **{name: partial(lambda name: _of_run(made.run(), name), name) for name in PARTS_OF_A_RUN},
        "results.json": lambda: _results(made.run() / "linear"),
        "scores.npz": lambda: _scores(made.run() / "linear"),
        ".pth": lambda: _published(made.copy("convert"), fields=0),
        ".pth, sealed": lambda: _published(made.copy("convert"), fields=1),
        "experiment": lambda: _experiment(made.run(), base),
        "groups": lambda: _groups(made.folder(), base),
        "options": lambda: _options(made.folder(), base),
        "topology": lambda: _topology(made.folder()),
        "recipe": lambda: _recipe(made.folder()),
        **{f"raw {name}": partial(lambda name: _raw(made.folder(), name), name) for name in RAW},
    }


NETWORK = (".yaml", ".safetensors")
PARTS_OF_A_RUN = ("config.yaml", "data.yaml", "metrics.csv", "provenance.yaml")


class _Made:
    """Folders that commands have written, copied for each kind."""

    def __init__(self, base: Path) -> None:
        self.base, self.count = base, 0
        (base / "made").mkdir()
        self.scenarios = scenarios(base / "made")

    def folder(self) -> Path:
        _read_by(read_yaml)  # as if no kind had been made before
        self.count += 1
        (path := self.base / str(self.count)).mkdir()
        return path

    def copy(self, scenario: str) -> Path:
        return Path(shutil.copytree(self.scenarios[scenario]().start, self.folder(), dirs_exist_ok=True))

    def store(self) -> Path:
        return self.copy("prepare again") / "store"

    def run(self) -> Path:
        return self.copy("evaluate over") / "run"


def _each(*steps: Callable[[], Any]) -> None:
    """All of them, though one refuses."""
    refused = None
    for step in steps:
        try:
            step()
        except InputError as error:
            refused = refused or error
    if refused:
        raise refused


def _read_once(except_for: Path) -> None:
    """YAML files that no mutant changes are read once, as most of a reader's time is theirs."""
    known: dict[tuple[Path, bool], bytes] = {}

    def read(path: Path, *, as_text: bool = False) -> Any:
        if except_for in (path, *path.parents):
            return read_yaml(path, as_text=as_text)
        if (path, as_text) not in known:
            known[path, as_text] = pickle.dumps(read_yaml(path, as_text=as_text))
        return pickle.loads(known[path, as_text])

    _read_by(read)


def _read_by(function: Callable[..., Any]) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("masksem_graph") and hasattr(module, "read_yaml"):
            module.read_yaml = function  # type: ignore[attr-defined]


def _store(place: Path, names: Sequence[str], fields: float = 0.6) -> Kind:
    from masksem_graph.data.store import open_store

    def read() -> Any:
        store = open_store(place, verify=True)
        arrays = {name: np.array(value) for name, value in vars(store).items() if isinstance(value, np.ndarray)}
        store[0], store[len(store) - 1]
        return arrays | {"splits": store.splits, "classes": store.classes, "options": store.options}

    _read_once(except_for=place / names[0])
    return Kind(Files([place / name for name in names], fields), read, covered=True)


def _sealed_arrays(place: Path) -> Kind:
    """Arrays of wrong values, with checksums that fit."""
    from masksem_graph.data.description import ARRAYS, _fingerprint, read_description
    from masksem_graph.data.loader import SkeletonLoader
    from masksem_graph.data.store import open_store
    from masksem_graph.data.views import whole_view
    from masksem_graph.files import digest

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
    from masksem_graph.models import io

    read = io.load_encoder if path.stem == "encoder" else io.load_head
    network: Any = read(path.parent)
    network = network.head if path.stem == "head" else network

    def built() -> Any:
        found: Any = read(path.parent)
        return (
            [dict(found.head.state_dict()), found.classes] if path.stem == "head" else [dict(found.state_dict()), repr(found)]
        )

    def filled() -> Any:  # building it again for each mutant takes a hundred times as long
        io._load_weights(path, network)
        return dict(network.state_dict())

    return Kind(Files([path]), filled if path.suffix == ".safetensors" else built, covered=True)


def _checkpoint(made: _Made, fields: float) -> Kind:
    """``last.pt``, as a training that goes on reads it; what torch writes has checksums that fit."""
    from masksem_graph.cli.train import parse
    from masksem_graph.training.checkpoint import load_checkpoint
    from masksem_graph.training.devices import launch
    from masksem_graph.training.run import build_task, make_loop, training_sets

    run = made.run()
    config, plain, _ = parse(made.scenarios["train"]().arguments(run.parent)[1:])
    stores = {config.data.name: config.data.open()}
    task = build_task(config, plain["model"], stores)
    fabric = launch(config.device)
    sets = training_sets(config, stores, fabric.device)
    loop = make_loop(config, fabric, task, sets, folder=run, save_encoder=lambda encoder: None, evaluate=None)

    def read() -> Any:
        state = load_checkpoint(run / "last.pt")
        loop.resume(state)
        loop.optimiser.step()
        return state

    return Kind(Files([run / "last.pt"], fields), read, covered=not fields)


def _of_run(run: Path, file: str) -> Kind:
    """What a run's page, an evaluation and a resumed training read."""
    from masksem_graph.cli.evaluate import parse
    from masksem_graph.evaluation.prepared import prepared_as
    from masksem_graph.models.io import load_encoder
    from masksem_graph.report.page import writing
    from masksem_graph.run_folder import RunFolder
    from masksem_graph.training import metrics, restore

    _compile_templates_once()
    metrics.find_spec = lambda name: None  # type: ignore[assignment]  # no TensorBoard
    encoder, out = load_encoder(run), str(run.parent / "nowhere")
    shutil.rmtree(run / "linear")  # the page would read it each time
    described, state = restore.describe_encoder(run), restore.load_checkpoint(run / "last.pt")
    restore.describe_encoder = lambda run: described  # type: ignore[assignment]
    restore.create_encoder = lambda *_, **__: encoder  # type: ignore[assignment]
    restore.load_checkpoint = lambda path: state  # type: ignore[assignment]
    steps: dict[str, tuple[Callable[[], Any], ...]] = {
        "metrics.csv": (lambda: metrics.MetricsLog(run, upto=1), lambda: RunFolder(run).lost_checkpoint),
        "data.yaml": (lambda: prepared_as(run, encoder),),
        "config.yaml": (
            lambda: parse(["--run", str(run), "--protocol", "knn", "--output", out]),
            lambda: restore.load_task(run),
        ),
        "provenance.yaml": (),
    }
    _read_once(except_for=run / file)
    page = lambda: writing.render("run.html", **writing.read_run(run))  # noqa: E731
    return Kind(Files([run / file]), lambda: _each(page, *steps[file]))


def _compile_templates_once() -> None:
    from masksem_graph.report.page import writing

    environments: list[Environment] = []

    def environment(**options: Any) -> Environment:
        if not environments:
            environments.append(Environment(**options))
        return environments[0]

    writing.Environment = environment  # type: ignore[assignment, misc]


def _results(folder: Path) -> Kind:
    from masksem_graph.report.page.writing import read_evaluation, read_run, render
    from masksem_graph.report.published import load_published
    from masksem_graph.report.tables import FORMATS, build_table, collect

    published, file = load_published(), folder / "results.json"
    found = json.loads(file.read_text())
    classes = list(found["per_class_recall"])[:4]  # of 60 most mutants would be numbers in the confusion
    found["per_class_recall"] = {name: found["per_class_recall"][name] for name in classes}
    found["confusion"] = [row[:4] for row in found["confusion"][:4]]
    file.write_text(json.dumps(found))
    _compile_templates_once()
    _read_once(except_for=file)

    def table() -> None:
        table = build_table("all", collect([folder]), published, [])
        table.terminal()
        for write in FORMATS.values():
            write(table)

    def read() -> None:
        _each(
            lambda: render("run.html", **read_run(folder.parent)),
            lambda: render("evaluation.html", **read_evaluation(folder)),
            table,
        )

    return Kind(Files([file]), read)


def _scores(folder: Path) -> Kind:
    from masksem_graph.report.evaluation import read_scores

    return Kind(Files([folder / "scores.npz"]), lambda: read_scores(folder))


def _published(place: Path, fields: float) -> Kind:
    from masksem_graph.published.checkpoint import read_published

    def read() -> Any:
        found = read_published(place / "a.pth")
        return [found.kind, found.parts, found.epoch]

    return Kind(Files([place / "a.pth"], fields), read, covered=not fields)


def _experiment(run: Path, base: Path) -> Kind:
    """A whole configuration, as ``train --config`` reads it."""
    from masksem_graph.cli.train import parse

    return Kind(
        Files([run / "config.yaml"]), lambda: parse(["--config", str(run / "config.yaml"), "--output", str(base / "no")])
    )


def _groups(place: Path, base: Path) -> Kind:
    from masksem_graph.cli.train import parse
    from masksem_graph.files import find_yaml

    files = {name: place / f"{name}.yaml" for name in ("model", "method", "augment")}
    for (name, path), shipped in zip(files.items(), ("tiny", "masksem", "rotate"), strict=True):
        shutil.copy(find_yaml(f"{name}/{shipped}", "configs"), path)
    words = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    return Kind(Files([*files.values()]), lambda: parse([*words, "--data", "demo_xsub", "--output", str(base / "no")]))


def _options(place: Path, base: Path) -> Kind:
    """The command line's own dotted fields."""
    from masksem_graph.cli.train import parse
    from masksem_graph.declared import declared_fields
    from masksem_graph.options import HOMES

    names = [f"{s}.{n}" for s in ("data", "model", "method", "train") for n in declared_fields(HOMES[s])]
    names += [f"model.{n}" for n in ("backbone.depth", "backbone.heads", "decoder.depth", "crop.min_frames")]
    file = place / "options.json"
    file.write_text(json.dumps(dict.fromkeys(names)))
    words = ["--model", "tiny", "--method", "masksem", "--data", "demo_xsub", "--output", str(base / "no")]

    def read() -> None:
        given = {f"--{name}": value for name, value in json.loads(file.read_text()).items() if value is not None}
        parse([*words, *(word for n, v in given.items() for word in (n, v if isinstance(v, str) else json.dumps(v)))])

    return Kind(Files([file], 1), read)


def _topology(place: Path) -> Kind:
    from masksem_graph.edges import skeleton_graph
    from masksem_graph.files import find_yaml
    from masksem_graph.topology import load_topology

    shutil.copy(find_yaml("ntu25", "graphs"), place / "a.yaml")
    return Kind(Files([place / "a.yaml"]), lambda: skeleton_graph(load_topology(str(place / "a.yaml")), 2))


def _recipe(place: Path) -> Kind:
    from masksem_graph.experiments import arguments, load_plan
    from masksem_graph.files import find_yaml

    shutil.copy(find_yaml("recipe/embedded", "configs"), place / "a.yaml")
    return Kind(
        Files([place / "a.yaml"]),
        lambda: [arguments(step, place) for step in load_plan(str(place / "a.yaml"), on="demo").steps],
    )


def _raw(place: Path, name: str) -> Kind:
    """Clips as people have them, through all that ``prepare`` does with them."""
    from masksem_graph.data.preparation import Preparation
    from masksem_graph.data.readers import load_reader

    make, options = RAW[name]
    paths = make(place)
    fresh = load_reader(name.partition(" ")[0], **options)
    _read_once(except_for=place)

    def read() -> None:
        reader = copy.copy(fresh)
        sources = list(reader.sources(place))[:4]
        prepare, clips = Preparation(reader, reader.skeleton, reader.origin), []
        _each(*(partial(lambda source: clips.append(prepare(source)[0]), source) for source in sources))
        if not all(np.isfinite(body.frames).all() for clip in clips for body in clip.bodies):
            raise FloatingPointError("frames that are not finite are stored")
        fields = ("name", "label", "subject", "camera", "setup")
        reader.splits({field: np.array([getattr(clip, field) for clip in clips]) for field in fields})

    return Kind(Files(paths), read)


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.9, shape).astype(np.float32).round(3)


def _files(place: Path, **content: Any) -> list[Path]:
    """Files of text, bytes or arrays, ``__`` for a slash."""
    found = []
    for name, value in content.items():
        path = place / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, np.ndarray):
            np.save(path, value)
        else:
            path.write_bytes(value if isinstance(value, bytes) else value.encode())
        found.append(path)
    return found


def _ntu(place: Path) -> list[Path]:
    from masksem_graph.data.demo import clip_texts

    name, text = min(clip_texts(seed=0, subject=1, action=1).items())
    return _files(place, **{name: text})


def _sbu(place: Path) -> list[Path]:
    lines = (",".join(map(str, (i, *row))) for i, row in enumerate(_random(6, 90), 1))
    return _files(place, **{"s01s02__01__001__skeleton_pos.txt": "\n".join(lines)})


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
    clips = [
        {"frame_dir": name, "label": i, "keypoint": _random(1, 8, 25, 3), "total_frames": 8} for i, name in enumerate(names)
    ]
    split = {"xsub_train": names[:1], "xsub_val": names[1:]}
    return _files(place, **{"a.pkl": pickle.dumps({"split": split, "annotations": clips}, protocol=4)})


def _folder(place: Path) -> list[Path]:
    described = "topology: tiny5\nsplits: {who: {train: {subject: [ann]}}}\n"
    table = "file,label,subject,camera\na.npy,wave,ann,1\nb.jsonl,kick,ben,2\n"
    people = "\n".join(
        json.dumps({"t": i / 30, "bodies": [{"id": 1, "joints": p}]}) for i, p in enumerate(_random(6, 5, 3).tolist())
    )
    return _files(place, **{"dataset.yaml": described, "clips.csv": table, "a.npy": _random(6, 5, 3), "b.jsonl": people})


def _mediapipe(place: Path) -> list[Path]:
    points = _random(4, 33, 4).astype(float).round(2)
    lines = (json.dumps({"t": i / 30, "world_landmarks": frame}) for i, frame in enumerate(points.tolist()))
    columns = ",".join(f"{axis}{i}" for i in range(33) for axis in "xyzv")
    rows = "\n".join(",".join(map(str, row)) for row in points.reshape(4, -1).tolist())
    np.savez(place / "c.npz", world_landmarks=points)
    return [*_files(place, **{"wave__a.jsonl": "\n".join(lines), "wave__b.csv": f"{columns}\n{rows}"}), place / "c.npz"]


def _stgcn(place: Path) -> list[Path]:
    save_stgcn(place, "train", _random(2, 1, 6, 25, 3), ["a", "b"], [0, 1])
    return [place / "train_data_joint.npy", place / "train_label.pkl"]


def _below(place: Path, _: Any) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


RAW: dict[str, tuple[Callable[[Path], list[Path]], dict[str, Any]]] = {
    "ntu": (_ntu, {}),
    "nw_ucla": (
        lambda place: _files(
            place, **{"a01_s01_e00_v01.json": json.dumps({"skeletons": _random(4, 20, 3).astype(float).tolist(), "label": 1})}
        ),
        {},
    ),
    "sbu": (_sbu, {}),
    "utd_mhad": (_utd, {}),
    "npz": (_npz, {}),
    "pyskl": (_pyskl, {}),
    "pku": (lambda place: _below(write_set(place), None), {}),
    "bvh": (lambda place: _below(place, save_bvh(place / "wave" / "a.bvh", _random(6, 18))), {}),
    "openpose": (lambda place: _below(place, save_openpose(place / "wave" / "a", walk(25, 4))), {}),
    "coco": (lambda place: _below(place, save_results(place / "wave" / "a.json", walk(17, 4))), {}),
    "coco yolo": (
        lambda place: _below(place, save_yolo(place / "wave" / "a", walk(17, 4), size=(640, 480))),
        {"width": 640, "height": 480},
    ),
    "mediapipe": (_mediapipe, {}),
    "stgcn": (_stgcn, {}),
    "folder": (_folder, {}),
}
"""What makes the files of a format, and its options."""
