"""``metrics.csv``, a row an epoch, and TensorBoard where it is installed."""

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from masksem_graph.errors import InputError, shown
from masksem_graph.files import require_regular, write_beside


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's ``metrics.csv``; an epoch without a figure has no entry for it. `InputError` of a damaged file."""
    path, found = folder / "metrics.csv", []
    try:
        require_regular(path)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be read: {reason}") from None
    for number, row in enumerate(rows, 1):
        try:
            found.append({name: float(value) for name, value in row.items() if value})
            right = row["epoch"].isdecimal() and all(map(math.isfinite, found[-1].values()))
        except (KeyError, ValueError, TypeError, AttributeError):
            right = False
        if not right:
            raise InputError(f"{path}: row {number}: expected an epoch and a number in each column, found {shown(row)}")
    return found


class MetricsLog:
    """A run's figures by epoch; the rows of an earlier start are kept ``upto`` an epoch, the later ones are written again."""

    def __init__(self, folder: Path, upto: int = 0) -> None:
        self.path, self.board = folder / "metrics.csv", None
        kept = read_metrics(folder) if upto and self.path.is_file() else []
        self.rows = [row for row in kept if row["epoch"] <= upto]
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            with self._naming_board():
                self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=upto + 1)

    def write(self, row: dict[str, float]) -> None:
        """Add the row of an epoch; the file is rewritten beside and renamed, as a new column may have come."""
        self.rows.append(row)
        columns = list(dict.fromkeys(name for kept in self.rows for name in kept))
        with write_beside(self.path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows({name: f"{value:.6g}" for name, value in kept.items()} for kept in self.rows)
        if self.board is not None:
            with self._naming_board():
                for name, value in row.items():
                    self.board.add_scalar(name, value, int(row["epoch"]))

    def close(self) -> None:
        """Flush TensorBoard."""
        if self.board is not None:
            with self._naming_board():
                self.board.close()

    @contextmanager
    def _naming_board(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # of TensorBoard's own thread
            board = self.path.with_name("tensorboard")
            raise InputError(f"{board}: cannot be written: {error.strerror or error}") from None
