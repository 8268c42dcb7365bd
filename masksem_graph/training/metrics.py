"""``metrics.csv``, a row an epoch, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

from masksem_graph.files import write_beside


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's ``metrics.csv``; an epoch without a figure has no entry for it."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


class MetricsLog:
    """A run's figures by epoch.

    Args:
        folder: the run's folder.
        upto: epochs whose rows are kept from an earlier start; a resumed run writes the later ones again.
    """

    def __init__(self, folder: Path, upto: int = 0) -> None:
        self.path = folder / "metrics.csv"
        self.rows: list[dict[str, str]] = []
        if upto and self.path.is_file():
            with self.path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= upto]
        self.board = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=upto + 1)

    def write(self, row: dict[str, float]) -> None:
        """Add the row of an epoch; the file is rewritten beside and renamed, as a new column may have come."""
        self.rows.append({name: f"{value:.6g}" for name, value in row.items()})
        columns = list(dict.fromkeys(name for kept in self.rows for name in kept))
        with write_beside(self.path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        if self.board is not None:
            for name, value in row.items():
                self.board.add_scalar(name, value, int(row["epoch"]))

    def close(self) -> None:
        """Flush TensorBoard."""
        if self.board is not None:
            self.board.close()
