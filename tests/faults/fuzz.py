"""Damage the files that the program reads, in every way that a seed can draw, and count what comes of it.

    OMP_NUM_THREADS=1 python -m tests.faults.fuzz --mutants 1000            # of every kind
    OMP_NUM_THREADS=1 python -m tests.faults.fuzz last.pt --mutants 100000 --seed 1

A mutant is read by the function that the commands use, in a fork, without a process of its own. It may be refused in one
line (`InputError`), or read. Counted as faults: any other exception, an error of several lines, more than ten seconds, more
than 1 GB beside what was there before, a crash, and, where a checksum covers the file, a value that differs from the original.
"""

from __future__ import annotations

import argparse
import copy
import faulthandler
import json
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

HANG, MEMORY = 10, 2**30
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

WORDS = [
    *(b"", b"0", b"-1", b"1", b"3", b"25", b"nan", b".nan", b"inf", b".inf", b"1e39", b"-1e300", b"9" * 30, b"9" * 400),
    *(b"2147483648", b"18446744073709551616", b"null", b"~", b"true", b"no", b"[]", b"{}", b"[" * 300, b"{" * 300, b"- " * 99),
    *(b"\x00", b"\xff\xfe", b"\xe9", b"\r\n", b"\n", b"\t", b"'", b'"', b":", b"&a", b"*a", b"!!python/name:os.system", b"|"),
    *(b"os.system", b"2001-01-01", b"0x10", b"1_0", b"../../x", b"$\\frac{$", b"[/red]", b"<script>", b"\x1b[31m", b"%s"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 1000, 2**31, 2**63, 2**64, 10**30, -(2**63) - 1, 0.5, 1.5, -0.0, 1e-300, 1e300),
    *(float("nan"), float("inf"), "", "x", "0", "nan", "os.system", "masksem_graph.errors.InputError", "torch.nn.Linear"),
    *("a\nb", "\x1b[31m", "[/red]", "$\\frac{$", "<script>", "é", "../x", [], {}, [[]], [None], {"": None}, {"class_path": 1}),
    *({"class_path": "os.system"}, {"class_path": "masksem_graph.backbones.Transformer", "init_args": {"depth": -1}}),
    *({"class_path": "masksem_graph.operators.Identity"}, [1, 2], ["a", "a"], "x" * 5000, list(range(300))),
]


def of_bytes(draw: random.Random, content: bytes) -> bytes:
    """Flipped, cut, doubled, moved or replaced pieces."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        size = len(content)
        place = draw.randrange(size + 1) if draw.random() < 0.6 else draw.randrange(min(size, 400) + 1)
        end = min(size, place + draw.choice((0, 1, 2, 4, 8, 40, 400)))
        piece, way = content[place:end], draw.randrange(6)
        if way == 0 and place < size:
            content = content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
        elif way == 1 and place < size:
            content = content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]
        elif way == 2:
            content = content[:place] + draw.choice(WORDS) + content[end:]
        elif way == 3:
            content = content[:place] + piece * draw.choice((0, 2, 3)) + content[end:]
        elif way == 4:
            content = content[:place] if draw.random() < 0.3 else content[:place] + content[end:]
        else:
            other = draw.randrange(size + 1)
            content = content[:place] + content[other : other + end - place] + content[end:]
    return content


def of_tree(draw: random.Random, tree: Any) -> Any:
    """Plain data of which some fields are something else, gone, doubled or of another name."""
    tree = copy.deepcopy(tree)
    for _ in range(draw.choice((1, 1, 2))):
        node, key = tree, None
        places: list[tuple[Any, Any]] = []
        stack = [node]
        while stack:
            node = stack.pop()
            keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
            places += [(node, key) for key in keys]
            stack += [node[key] for key in keys]
        if not places:
            return draw.choice(VALUES)
        node, key = draw.choice(places)
        way = draw.randrange(8)
        if way < 5:
            value = node[key]
            near = [value + 1, value - 1, -value, value * 1000] if type(value) in (int, float) else VALUES
            node[key] = copy.deepcopy(draw.choice(near if way == 0 else VALUES))
        elif way == 5:
            del node[key]
        elif way == 6 and isinstance(node, dict):
            node[draw.choice(("x", "", "é", 1, None, f"{key}s"))] = node.pop(key)
        elif isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
    return tree


@dataclass
class Kind:
    """A kind of file.

    Args:
        mutate: writes a mutant, given the source of chance.
        read: reads it as the commands do; what it returns is compared with what the original gave.
        covered: whether a checksum covers the file, so that no change may pass.
    """

    mutate: Callable[[random.Random], None]
    read: Callable[[], Any]
    covered: bool = False


def attack(kind: Kind, mutants: int, seed: int, show: int = 3) -> tuple[Counter[str], list[str]]:
    """Read so many mutants; how often each outcome came, and examples of the faults."""
    from masksem_graph.errors import InputError

    place = mmap.mmap(-1, 8)
    counted: Counter[str] = Counter()
    told: list[str] = []
    first = 0
    while first < mutants:
        reading, writing = os.pipe()
        sys.stdout.flush()
        if (child := os.fork()) == 0:
            os.close(reading)
            with os.fdopen(writing, "w") as out, open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
                faulthandler.disable()
                _work(kind, first, mutants, seed, place, out, InputError)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            for line in lines:
                number, outcome, text = json.loads(line)
                counted[outcome] += 1
                if text and sum(outcome in one for one in told) < show:
                    told.append(f"{outcome}: mutant {number}: {text}")
        _, status = os.waitpid(child, 0)
        number = int.from_bytes(place[:], "little")
        if code := os.waitstatus_to_exitcode(status):
            outcome = "hang" if code == -signal.SIGALRM else "crash"
            counted[outcome] += 1
            told.append(f"{outcome}: mutant {number}: ended by {code}")
        first = number + 1
    return counted, told


def _work(kind: Kind, first: int, mutants: int, seed: int, place: mmap.mmap, out: Any, refused: type[Exception]) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kind.mutate(_Unchanged())
    original = kind.read() if kind.covered else None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(first, mutants):
        place[:] = number.to_bytes(8, "little")
        outcome, text = "read", ""
        kind.mutate(random.Random(f"{seed} {number}"))
        signal.alarm(HANG + 1)
        began = time.monotonic()
        try:
            found = kind.read()
            if kind.covered and not _same(found, original):
                outcome, text = "silent change", "it was read as something else"
        except refused as error:
            outcome = "refused"
            if "\n" in str(error) or "\x1b" in str(error) or len(str(error)) > 2000:
                outcome, text = "bad line", repr(str(error))[:300]
        except MemoryError:
            outcome, text = "memory", traceback.format_exc()[-300:]
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)
            own = [f"{Path(f.filename).name}:{f.lineno}" for f in where if "masksem_graph" in f.filename][-3:]
            outcome, text = "traceback", f"{type(error).__name__}: {' '.join(str(error).split())[:160]} [{' '.join(own)}]"
        signal.alarm(0)
        if time.monotonic() - began > HANG:
            outcome, text = "hang", f"{time.monotonic() - began:.0f} s"
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if grown > MEMORY and outcome in ("read", "refused"):
            outcome, text = "memory", f"{grown / 2**20:.0f} MiB"
            before += grown // 1024
        out.write(json.dumps([number, outcome, text]) + "\n")
        out.flush()


class _Unchanged(random.Random):
    """Asks for the original."""


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    return bool(type(a) is type(b) and a == b)


def bytes_of(path: Path) -> Callable[[random.Random], None]:
    """Mutants of a file by its bytes."""
    whole = path.read_bytes()
    return lambda draw: _write(path, whole if isinstance(draw, _Unchanged) else of_bytes(draw, whole))


def fields_of(path: Path, dump: Callable[[Any], str] | None = None) -> Callable[[random.Random], None]:
    """Mutants of a YAML or JSON file, half by its bytes and half by its fields."""
    whole = path.read_bytes()
    tree = json.loads(whole) if path.suffix == ".json" else yaml.safe_load(whole)
    dump = dump or (json.dumps if path.suffix == ".json" else lambda value: yaml.safe_dump(value, sort_keys=False))

    def mutate(draw: random.Random) -> None:
        if isinstance(draw, _Unchanged):
            content = whole
        elif draw.random() < 0.4:
            content = of_bytes(draw, whole)
        else:
            content = dump(of_tree(draw, tree)).encode("utf-8", "surrogatepass")
        _write(path, content)

    return mutate


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def kinds(base: Path) -> dict[str, Callable[[], Kind]]:
    """By name; the files are made below ``base``, one copy for each kind."""
    from tests.faults.kills import scenarios

    made = scenarios(base / "made")
    (base / "made").mkdir()
    os.environ["MASKSEM_GRAPH_CACHE"] = str(base / "cache")

    def folder(name: str, of: str) -> Path:
        path = base / name.replace(" ", "_").replace("/", "_")
        if not path.exists():
            shutil.copytree(made[of]().start, path)
        return path

    def run_of(name: str) -> Path:
        return folder(name, "evaluate over") / "run"

    def store_kind(name: str, file: str, covered: bool = True) -> Callable[[], Kind]:
        def make() -> Kind:
            from masksem_graph.data.store import open_store

            place = folder(name, "train over")
            shutil.copytree(base / "made" / "stored" / "store", place / "store", dirs_exist_ok=True)
            path = place / "store" / file

            def read() -> Any:
                store = open_store(place / "store", verify=True)
                arrays = {n: np.array(v) for n, v in vars(store).items() if isinstance(v, np.ndarray)}
                clips = [store[0], store[len(store) - 1]]
                return arrays | {"splits": store.splits, "classes": store.classes, "n": len(clips), "options": store.options}

            return Kind(fields_of(path) if path.suffix == ".yaml" else bytes_of(path), read, covered)

        return make

    def arrays_made() -> Kind:
        """Arrays of wrong values, with checksums that fit."""
        from masksem_graph.data.description import ARRAYS, read_description
        from masksem_graph.data.loader import SkeletonLoader
        from masksem_graph.data.store import open_store
        from masksem_graph.files import digest

        place = folder("arrays made", "train over") / "store"
        shutil.copytree(base / "made" / "stored" / "store", place, dirs_exist_ok=True)
        described = read_description(place / "store.yaml")
        whole = {name: np.load(place / f"{name}.npy") for name in ARRAYS}

        def mutate(draw: random.Random) -> None:
            arrays = dict(whole)
            if not isinstance(draw, _Unchanged):
                name = draw.choice(list(arrays))
                array = arrays[name].copy()
                flat = array.reshape(-1)
                for _ in range(draw.choice((1, 2, 5))):
                    if array.dtype.kind == "f":
                        value: Any = draw.choice((np.nan, np.inf, 3e38, -3e38, 0.0, 1e30))
                    elif array.dtype.kind == "U":
                        value = draw.choice(("", "x", str(flat[0]), "[/red]", "a\nb"))
                    else:
                        limits = (0, 1) if array.dtype.kind == "b" else (np.iinfo(array.dtype).min, np.iinfo(array.dtype).max)
                        value = draw.choice((*limits, 0, 1, 99 % (limits[1] + 1)))
                    flat[draw.randrange(len(flat))] = value
                if draw.random() < 0.2:
                    array = array[: draw.randrange(len(array) + 1)]
                arrays[name] = array
            for name, array in arrays.items():
                np.save(place / f"{name}.npy", array)
            sums = {name: digest(place / f"{name}.npy") for name in ARRAYS}
            type(described)(**{**vars(described), "checksums": sums}).write(place / "store.yaml")

        def read() -> Any:
            store = open_store(place, verify=True)
            source = SkeletonLoader(store, frames=8, segment=4, device=torch.device("cpu"))
            from masksem_graph.data.views import whole_view

            every = torch.arange(len(store))
            frames = source.load(source.plan(whole_view(every, source.length))).frames
            if not torch.isfinite(frames).all():
                raise FloatingPointError("frames that are not finite reach the network")

        return Kind(mutate, read)

    def encoder_kind(name: str, file: str, covered: bool = True) -> Callable[[], Kind]:
        def make() -> Kind:
            from masksem_graph.models.io import load_encoder, load_head

            run = run_of(name) / "linear"
            path = run / file

            def read() -> Any:
                if file.startswith("head"):
                    saved = load_head(run)
                    return None if saved is None else [dict(saved.head.state_dict()), saved.classes]
                encoder = load_encoder(run)
                return [dict(encoder.state_dict()), repr(encoder.input_spec), encoder.channels]

            return Kind(fields_of(path) if path.suffix == ".yaml" else bytes_of(path), read, covered)

        return make

    def loop_of(run: Path) -> Any:
        from masksem_graph.cli.train import parse
        from masksem_graph.training.devices import launch
        from masksem_graph.training.run import build_task, make_loop, training_sets

        config, plain, _ = parse(made["train"]().arguments(run.parent)[1:])
        stores = {config.data.name: config.data.open()}
        task = build_task(config, plain["model"], stores)
        fabric = launch(config.device)
        sets = training_sets(config, stores, fabric.device)
        return make_loop(config, fabric, task, sets, folder=run, save_encoder=lambda encoder: None, evaluate=None)

    def last(name: str, by_fields: bool) -> Callable[[], Kind]:
        def make() -> Kind:
            from masksem_graph.training.checkpoint import load_checkpoint

            run = run_of(name)
            path, loop = run / "last.pt", loop_of(run)
            (run / "previous.pt").unlink(missing_ok=True)
            whole = torch.load(path, weights_only=True)

            def mutate(draw: random.Random) -> None:
                state = whole if isinstance(draw, _Unchanged) else of_tree(draw, whole)
                for _ in range(2):  # most places are tensors: of another shape, kind or content
                    if not isinstance(draw, _Unchanged) and draw.random() < 0.5:
                        _retensor(draw, state)
                torch.save(state, path)

            def read() -> Any:
                state = load_checkpoint(path)
                loop.resume(state)
                loop.optimiser.step()
                return state

            return Kind(mutate if by_fields else bytes_of(path), read, covered=not by_fields)

        return make

    def run_kind(name: str, file: str) -> Callable[[], Kind]:
        """Of what a run's page, an evaluation and a resumed training read."""

        def make() -> Kind:
            from masksem_graph.cli.evaluate import parse
            from masksem_graph.evaluation.prepared import prepared_as
            from masksem_graph.models.io import load_encoder
            from masksem_graph.report.page.folder import read_run
            from masksem_graph.report.page.writing import render
            from masksem_graph.run_folder import RunFolder
            from masksem_graph.training.metrics import MetricsLog
            from masksem_graph.training.restore import load_task

            run = run_of(name)
            encoder = load_encoder(run)
            out = str(base / "nowhere")

            def read() -> Any:
                from masksem_graph.errors import InputError

                errors: list[InputError] = []
                steps: list[Callable[[], Any]] = [lambda: render("run.html", **read_run(run))]
                if file == "metrics.csv":
                    steps.append(lambda: MetricsLog(run, upto=1))
                    steps.append(lambda: RunFolder(run).lost_checkpoint)
                if file == "data.yaml":
                    steps.append(lambda: prepared_as(run, encoder))
                if file == "config.yaml":
                    steps.append(lambda: parse(["--run", str(run), "--protocol", "knn", "--output", out]))
                    steps.append(lambda: load_task(run))
                for step in steps:
                    try:
                        step()
                    except InputError as error:
                        errors.append(error)
                if errors:
                    raise errors[0]

            path = run / file
            return Kind(fields_of(path) if path.suffix == ".yaml" else bytes_of(path), read)

        return make

    def results() -> Kind:
        from masksem_graph.report.page.folder import read_evaluation, read_run
        from masksem_graph.report.page.writing import render
        from masksem_graph.report.published import load_published
        from masksem_graph.report.tables import FORMATS, build_table, collect

        run, published = run_of("results.json"), load_published()

        def read() -> Any:
            render("run.html", **read_run(run))
            table = build_table("all", collect([run / "linear"]), published, [])
            table.terminal()
            for write in FORMATS.values():
                write(table)
            render("evaluation.html", **read_evaluation(run / "linear"))

        return Kind(fields_of(run / "linear" / "results.json"), read)

    def scores() -> Kind:
        from masksem_graph.report.evaluation import read_scores

        folder_ = run_of("scores.npz") / "linear"
        return Kind(bytes_of(folder_ / "scores.npz"), lambda: read_scores(folder_))

    def published(by_fields: bool) -> Callable[[], Kind]:
        def make() -> Kind:
            from masksem_graph.published.checkpoint import read_published

            place = folder(f"published {by_fields}", "convert")
            path = place / "a.pth"
            whole = torch.load(path, weights_only=False)

            def mutate(draw: random.Random) -> None:
                state = whole if isinstance(draw, _Unchanged) else of_tree(draw, whole)
                if not isinstance(draw, _Unchanged) and draw.random() < 0.6:
                    _retensor(draw, state)
                torch.save(state, path)

            def read() -> Any:
                found = read_published(path)
                return [found.kind, found.parts, found.epoch]

            return Kind(mutate if by_fields else bytes_of(path), read, covered=not by_fields)

        return make

    def experiment() -> Kind:
        """A whole configuration, as ``train --config`` reads it."""
        from masksem_graph.cli.train import parse

        run = run_of("experiment")
        return Kind(
            fields_of(run / "config.yaml"), lambda: parse(["--config", str(run / "config.yaml"), "--output", str(base / "no")])
        )

    def group() -> Kind:
        from masksem_graph.cli.train import parse
        from masksem_graph.files import find_yaml

        place = base / "group"
        place.mkdir()
        files = {name: place / f"{name}.yaml" for name in ("model", "method", "augment")}
        for name, shipped in (("model", "tiny"), ("method", "masksem"), ("augment", "rotate")):
            shutil.copy(find_yaml(f"{name}/{shipped}", "configs"), files[name])
        mutators = [fields_of(path) for path in files.values()]

        def mutate(draw: random.Random) -> None:
            for one in mutators:
                one(_Unchanged())
            if not isinstance(draw, _Unchanged):
                draw.choice(mutators)(draw)

        words = [word for name, path in files.items() for word in (f"--{name}", str(path))]
        return Kind(mutate, lambda: parse([*words, "--data", "demo_xsub", "--output", str(base / "no")]))

    def options() -> Kind:
        """The command line's own dotted fields."""
        from masksem_graph.cli.train import parse
        from masksem_graph.declared import declared_fields
        from masksem_graph.options import HOMES

        names = [
            f"{s}.{n}" for s, home in HOMES.items() if s in ("data", "model", "method", "train") for n in declared_fields(home)
        ]
        names += [
            "model.backbone.depth",
            "model.backbone.heads",
            "model.decoder.depth",
            "model.crop.min_frames",
            "method.operator",
        ]
        chosen: list[str] = []

        def mutate(draw: random.Random) -> None:
            chosen.clear()
            if not isinstance(draw, _Unchanged):
                for name in draw.sample(names, draw.choice((1, 1, 2))):
                    value = draw.choice(VALUES)
                    chosen.extend((f"--{name}", json.dumps(value) if draw.random() < 0.5 else str(value)))

        words = ["--model", "tiny", "--method", "masksem", "--data", "demo_xsub", "--output", str(base / "no")]

        def read() -> Any:
            pairs = [*words, *chosen]
            parse(pairs)

        return Kind(mutate, read)

    def topology() -> Kind:
        from masksem_graph.files import find_yaml
        from masksem_graph.graph import skeleton_graph
        from masksem_graph.topology import load_topology

        path = base / "topology.yaml"
        shutil.copy(find_yaml("ntu25", "graphs"), path)
        return Kind(fields_of(path), lambda: skeleton_graph(load_topology(str(path)), 2))

    def recipe() -> Kind:
        from masksem_graph.experiments import arguments, load_plan
        from masksem_graph.files import find_yaml

        path = base / "recipe.yaml"
        shutil.copy(find_yaml("recipe/embedded", "configs"), path)
        return Kind(fields_of(path), lambda: [arguments(s, base) for s in load_plan(str(path), on="demo").steps])

    def clip(format: str, files: Callable[[Path], Sequence[Path]], **options: Any) -> Callable[[], Kind]:
        def make() -> Kind:
            from masksem_graph.data.preparation import Preparation
            from masksem_graph.data.readers import load_reader
            from masksem_graph.errors import InputError
            from masksem_graph.topology import load_topology

            place = base / f"raw_{format}"
            place.mkdir()
            path, *_ = files(place)
            for_clip = fields_of(path) if path.suffix == ".json" else bytes_of(path)

            def read() -> Any:
                reader = load_reader(format, **options)
                sources = list(reader.sources(place))
                prepared = Preparation(reader, load_topology(reader.topology), reader.origin)
                errors = []
                for source in sources[:4]:
                    try:
                        done, _ = prepared(source)
                    except InputError as error:
                        errors.append(error)
                        continue
                    if not all(np.isfinite(body.frames).all() for body in done.bodies):
                        raise FloatingPointError("frames that are not finite are stored")
                if errors:
                    raise errors[0]

            return Kind(for_clip, read)

        return make

    def copied(*names: str) -> Callable[[Path], Sequence[Path]]:
        def copy_all(place: Path) -> Sequence[Path]:
            found = []
            for name in names:
                target = place / "/".join(Path(name).parts[1:]) if name.startswith("sbu") else place / Path(name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(SHARED / name, target)
                found.append(target)
            return found

        return copy_all

    def npz(place: Path) -> Sequence[Path]:
        rng = np.random.default_rng(0)
        arrays = {f"x_{p}": rng.standard_normal((3, 20, 150)).astype(np.float32) for p in ("train", "test")}
        arrays |= {f"y_{p}": np.eye(60, dtype=np.int64)[:3] for p in ("train", "test")}
        np.savez(place / "NTU60_CS.npz", **arrays)
        return [place / "NTU60_CS.npz"]

    def pyskl(place: Path) -> Sequence[Path]:
        import pickle

        rng = np.random.default_rng(0)
        clips = [
            {
                "frame_dir": f"S001C001P00{i}R001A00{i}",
                "label": i - 1,
                "keypoint": rng.random((1, 20, 25, 3), np.float32),
                "total_frames": 20,
            }
            for i in (1, 2)
        ]
        names = [one["frame_dir"] for one in clips]
        split = {"xsub_train": names[:1], "xsub_val": names[1:]}
        (place / "a.pkl").write_bytes(pickle.dumps({"split": split, "annotations": clips}, protocol=4))
        return [place / "a.pkl"]

    def own(place: Path) -> Sequence[Path]:
        rng = np.random.default_rng(0)
        for name in ("wave", "kick"):
            (place / name).mkdir()
            for i in range(2):
                np.save(place / name / f"{i}.npy", rng.standard_normal((20, 25, 3)).astype(np.float32))
        return [place / "wave" / "0.npy"]

    found: dict[str, Callable[[], Kind]] = {
        "store.yaml": store_kind("store.yaml", "store.yaml"),
        **{f"{n}.npy": store_kind(f"{n}.npy", f"{n}.npy") for n in ("frames", "name", "body_offset", "parts", "label")},
        "arrays, with checksums": arrays_made,
        "encoder.yaml": encoder_kind("encoder.yaml", "encoder.yaml"),
        "encoder.safetensors": encoder_kind("encoder.safetensors", "encoder.safetensors"),
        "head.yaml": encoder_kind("head.yaml", "head.yaml"),
        "head.safetensors": encoder_kind("head.safetensors", "head.safetensors"),
        "last.pt": last("last.pt", by_fields=False),
        "last.pt, with checksums": last("last.pt fields", by_fields=True),
        **{name: run_kind(name, name) for name in ("config.yaml", "data.yaml", "metrics.csv", "provenance.yaml")},
        "results.json": results,
        "scores.npz": scores,
        "published .pth": published(False),
        "published .pth, with checksums": published(True),
        "experiment": experiment,
        "group": group,
        "options": options,
        "topology": topology,
        "recipe": recipe,
        "raw npz": clip("npz", npz),
        "raw pyskl": clip("pyskl", pyskl),
        "raw folder": clip("folder", own, topology="ntu25"),
    }
    if SHARED.is_dir():
        found |= {
            "raw ntu": clip("ntu", copied("ntu-rgbd-samples/S001C001P001R001A005.skeleton")),
            "raw nw_ucla": clip("nw_ucla", copied("nw-ucla/all_sqe/a01_s01_e00_v03.json")),
            "raw utd_mhad": clip("utd_mhad", copied("utd-mhad/a10_s1_t1_skeleton.mat")),
        }
    return found


def _retensor(draw: random.Random, state: Any) -> None:
    """Another shape, kind or content for one of the tensors."""
    places: list[tuple[Any, Any]] = []
    stack = [state]
    while stack:
        node = stack.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        places += [(node, key) for key in keys if isinstance(node[key], torch.Tensor)]
        stack += [node[key] for key in keys if isinstance(node[key], dict | list)]
    if not places:
        return
    node, key = draw.choice(places)
    value = node[key]
    node[key] = draw.choice(
        [
            lambda: value.flatten(),
            lambda: value[None],
            lambda: torch.zeros(0),
            lambda: torch.zeros(()),
            lambda: torch.zeros(1).expand(10**7),
            lambda: value.double(),
            lambda: value.to(torch.bfloat16),
            lambda: torch.full_like(value.float(), float("nan")),
            lambda: torch.full(value.shape, 3e38),
            lambda: torch.zeros(value.shape, device="meta"),
            lambda: torch.zeros(3, 3).to_sparse(),
            lambda: value.bool(),
            lambda: value.tolist(),
            lambda: torch.zeros(5, 5, 5, 5),
        ]
    )()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="kinds of files; all where none is named")
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=3, help="examples of each fault")
    found = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    with tempfile.TemporaryDirectory() as place:
        for name, make in kinds(Path(place)).items():
            if found.names and name not in found.names:
                continue
            began = time.monotonic()
            counted, told = attack(make(), found.mutants, found.seed, found.show)
            fine = {"read", "refused"}
            failed = failed or bool(counted.keys() - fine)
            figures = ", ".join(f"{count:,} {outcome}" for outcome, count in counted.most_common())
            print(f"{name}: {found.mutants:,} mutants: {figures}; {time.monotonic() - began:.0f} s", flush=True)
            for line in told:
                print(f"    {line}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
