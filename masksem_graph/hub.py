"""Runs on the Hugging Face Hub: ``hf://owner/name`` where a run's folder is expected."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

from masksem_graph.errors import InputError

FILES = ("encoder.safetensors", "encoder.yaml", "head.safetensors", "head.yaml", "data.yaml", "config.yaml")
"""What is taken from there: weights and plain data. A stranger's run is read as any folder is."""


def local(run: str | os.PathLike[str]) -> Path:
    """The folder of a run; of one on the hub its copy in the library's cache, fetched first where it is not there yet.

    Args:
        run: a folder, ``hf://owner/name`` or ``hf://owner/name@revision``. With ``HF_HUB_OFFLINE=1`` nothing is fetched.

    Raises:
        InputError: there is no such run, or it cannot be reached.
    """
    found = re.fullmatch(r"hf:/{1,2}([^@]+)(?:@(.+))?", os.fspath(run))  # a Path has made one slash of two
    if found is None:
        return Path(run)
    library = require_library()
    try:
        return Path(library.snapshot_download(found[1], revision=found[2], allow_patterns=list(FILES)))
    except _faults(library) as error:
        raise InputError(f"hf://{found[1]}: cannot be fetched: {_line(error)}") from None


def upload(folder: Path, name: str, *, private: bool) -> str:
    """Make the contents of a folder those of a model on the hub, with the token that the library knows.

    Args:
        folder: what is uploaded.
        name: ``owner/name``, which need not exist.
        private: where it does not, whether others may see it.

    Returns:
        its address.

    Raises:
        InputError: the hub refuses, or cannot be reached.
    """
    library = require_library()
    api = library.HfApi()
    try:
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="masksem-graph push")
    except _faults(library) as error:
        raise InputError(f"{name}: cannot be pushed: {_line(error)}") from None
    return str(address)


def require_library() -> ModuleType:
    """``huggingface_hub``.

    Raises:
        InputError: it is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise InputError("needs huggingface_hub, not installed here; expected pip install 'masksem-graph[hub]'") from None
    return huggingface_hub


def _faults(library: ModuleType) -> tuple[type[Exception], ...]:
    errors = library.errors
    return OSError, ValueError, errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.LocalTokenNotFoundError


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
