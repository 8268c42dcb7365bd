from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from masksem_graph.data.preparation import Preparation
from masksem_graph.data.readers import Reader
from masksem_graph.errors import InputError


@pytest.fixture(scope="session")
def one_line_or_finite() -> Callable[[Reader, Path], None]:
    """A check: whatever lies at a path, a reader reads finite frames, or says in one line and with the path why not."""

    def check(reader: Reader, path: Path) -> None:
        try:
            sources = reader.sources(path)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            return
        for source in sources:
            try:
                clip, _ = Preparation(reader, reader.skeleton, "none")(source)
            except InputError as error:
                assert str(path) in str(error)
                assert len(str(error).splitlines()) == 1
            else:
                assert all(np.isfinite(body.frames).all() for body in clip.bodies)

    return check
