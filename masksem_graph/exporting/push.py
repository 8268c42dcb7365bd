"""Puts a run on the Hugging Face Hub: weights, plain data and a model card."""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from masksem_graph.errors import InputError
from masksem_graph.exporting.write import describe, read_run
from masksem_graph.files import digest
from masksem_graph.hub import FILES, upload
from masksem_graph.plain_yaml import write_plain
from masksem_graph.report.card import model_card
from masksem_graph.report.evaluation import read_results
from masksem_graph.run_folder import RunFolder

OPEN = ("model", "method", "augment", "train", "data")
"""Sections of a configuration that go along, without the paths of this machine in them."""
PATHS = ("root", "also", "options", "init_from")


def push(run: Path, name: str, *, licence: str = "unknown", private: bool = False) -> str:
    """Upload the folder of a run, or of an evaluation with its head, as ``owner/name``; gives its address.

    The licence is of the weights, as the hub abbreviates it, such as ``cc-by-4.0``. See `upload` for ``private``.

    Raises:
        InputError: the run cannot be read, or the hub refuses.
    """
    with TemporaryDirectory() as folder:
        stage(run, Path(folder), name, licence=licence)
        return upload(Path(folder), name, private=private)


def stage(run: Path, folder: Path, name: str, *, licence: str = "unknown") -> None:
    """Lay out what `push` uploads; it is loaded as a stranger's would be before it goes."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(f"expected a name on the hub, OWNER/NAME, found {name!r}")
    for file in FILES[:-1]:
        if (run / file).is_file():
            shutil.copyfile(run / file, folder / file)
    config = RunFolder(run).read_config()
    write_plain(folder / FILES[-1], {section: _without_paths(config[section]) for section in OPEN if section in config})
    about = describe(*read_run(folder), licence=licence)
    results = _results(run)
    training = next((one["pretraining"] for one in results if one.get("pretraining")), config)
    card = model_card(name, licence=licence, about=about, config=training, results=results)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _results(run: Path) -> list[dict[str, Any]]:
    """Of the evaluation itself; of a run those in its folder that are of these very weights."""
    if (run / "results.json").is_file():
        return [read_results(run)]
    own = digest(run / "encoder.safetensors")
    found = [read_results(path.parent) for path in sorted(run.glob("*/results.json"))]
    return [one for one in found if one.get("encoder_sha256") == own and not one["untrained"]]


def _without_paths(section: Any) -> Any:
    return {key: value for key, value in section.items() if key not in PATHS} if isinstance(section, dict) else section
