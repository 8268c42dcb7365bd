"""Runs on the Hugging Face Hub: ``hf://owner/name`` where a run's folder is expected."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from masksem_graph.errors import InputError

FILES = ("encoder.safetensors", "encoder.yaml", "head.safetensors", "head.yaml", "data.yaml", "config.yaml")
"""What is taken from there: weights and plain data. A stranger's run is read as any folder is."""


def local(run: str | os.PathLike[str]) -> Path:
    """A folder as it is; of ``hf://owner/name`` or ``hf://owner/name@revision`` the copy in the library's cache.

    It is fetched first where it is not there yet, unless ``HF_HUB_OFFLINE=1``; an `InputError` where it cannot be.
    """
    found = re.fullmatch(r"hf:/{1,2}([^@]+)(?:@(.+))?", os.fspath(run))  # a Path has made one slash of two
    if found is None:
        return Path(run)
    with _told(f"hf://{found[1]}: cannot be fetched") as library:
        return Path(library.snapshot_download(found[1], revision=found[2], allow_patterns=list(FILES)))


def upload(folder: Path, name: str, *, private: bool) -> str:
    """Make a folder's contents those of the model ``owner/name`` on the hub, with the library's token; its address."""
    with _told(f"{name}: cannot be pushed") as library:
        api = library.HfApi()
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="masksem-graph push")
    return str(address)


@contextmanager
def _told(what: str) -> Iterator[ModuleType]:
    """The library, whose faults become one line."""
    try:
        import huggingface_hub
    except ImportError:
        raise InputError("needs huggingface_hub, not installed here; expected pip install 'masksem-graph[hub]'") from None
    try:
        yield huggingface_hub
    except (OSError, ValueError) as error:  # the library's own errors are of one or the other
        raise InputError(f"{what}: {' '.join(str(error).split())[:300]}") from None
