"""Metrics as one CSV file that a resumed run goes on with; Lightning's own logger would delete it and start anew."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from fireact.errors import StorageError
from fireact.trajectories.storage.writing import replace

COLUMNS = ("step", "epoch", "loss", "val_loss", "lr", "grad_norm", "tokens_per_s")


class MetricsCSV(Logger):
    """Writes ``path``, a row for every optimizer step and every validation, each at once.

    Steps that a run does again after a resumption replace the rows they had.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._opened = False

    @property
    def name(self) -> str:
        return self._path.stem

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run folder's config.yaml already holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if not self._opened:
            self._open(before=step or 0)
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writerow({"step": step, **metrics})

    def _open(self, before: int) -> None:
        """Start the file, or keep its rows of the steps ``before``.

        Raises:
            StorageError: it is there and is another table.
        """
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        if self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                if tuple(reader.fieldnames or COLUMNS) != COLUMNS:
                    raise StorageError(f"{self._path} is no log of a tuning; name another file as logger.path")
                writer.writerows(row for row in reader if int(row["step"]) < before)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace(self._path, [text.getvalue()])
        self._opened = True
