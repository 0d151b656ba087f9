"""What surrounds the cells of each script: checked before the first one, tabulated after the last, or only planned."""

from __future__ import annotations

from pathlib import Path

from fireact.cli import Sweep, build
from fireact.errors import ConfigError
from fireact.reporting.grid import GRID, METRICS, UNFINISHED, Cell, Grid
from fireact.runs import planning
from fireact.runs.dashboard import opened
from fireact.runs.evaluations import check_names, evaluations
from fireact.runs.preflight.jobs import check_cells
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.folders import FAILED
from fireact.trajectories.storage.writing import write_json


class Collecting:
    """Of ``generate.py``, whose sweeps end in no table."""

    def check(self, sweep: Sweep) -> None:
        """See ``Hooks``."""
        check_cells(sweep.cells, sweep.here)

    def conclude(self, sweep: Sweep) -> None:
        """Nothing."""

    def plan(self, sweep: Sweep) -> int:
        """See ``Hooks``."""
        return planning.show(sweep)


class Evaluating(Collecting):
    """Of ``evaluate.py``, whose sweeps end in ``grid.json``, a table, figures and a page.

    ``grid.json`` is there before the first cell runs, for a report of a sweep that was killed.
    """

    def cells(self, sweep: Sweep) -> list[Cell]:
        """The rows of the table to be."""
        return [
            Cell(
                {**{axis: value for axis, value in cfg.cell.items() if axis != "method"}, "acting": cfg.cell.method,
                 "adapter": "none" if cfg.tuned is None else "tuned"},
                Path(cfg.run_dir),
                Path(cfg.tuned).parent if cfg.tuned else None,
            )
            for cfg in sweep.cells
        ]  # fmt: skip

    def check(self, sweep: Sweep) -> None:
        """See ``Hooks``."""
        for cell in self.cells(sweep):
            folders.check(cell.run)
        super().check(sweep)
        self._write(sweep)

    def conclude(self, sweep: Sweep) -> None:
        """See ``Hooks``."""
        from fireact.reporting import report, results, tables

        grid = self._write(sweep)
        for path in report.write_report(grid, sweep.folder):
            print(path)
        logger = sweep.cells[0].get("logger")
        whole = all(cell.failed != UNFINISHED for cell in grid.cells)
        if whole and logger and "folder" in logger:  # a dashboard
            board = build(logger, folder=str(sweep.folder), group=sweep.experiment or "train")
            with opened(board, {"command": sweep.command}, "report") as dashboard:
                dashboard.table(tables.table_of(results.results_of(grid)))

    def _write(self, sweep: Sweep) -> Grid:
        cells = {cell.run: _with_outcome(cell) for cell in self.cells(sweep)}
        grid = Grid(sweep.experiment or "sweep", sweep.command, tuple(cells.values()), tuple(sweep.left_out))
        folders.claim(sweep.folder, folders.GRID)
        write_json(sweep.folder / GRID, grid.to_json(sweep.folder))
        return grid


class Tuning(Evaluating):
    """Of ``train.py``, whose cells act out several evaluations each."""

    def cells(self, sweep: Sweep) -> list[Cell]:
        """The rows of the table to be."""
        return [evaluation.cell for cfg in sweep.cells for evaluation in evaluations(cfg)]

    def check(self, sweep: Sweep) -> None:
        """See ``Hooks``."""
        for cfg in sweep.cells:  # ranks start the command again, which only a cell in its own process has to itself
            if cfg.trainer.accelerator == "cpu" and cfg.trainer.devices != 1 and cfg.process_per_cell is not True:
                raise ConfigError(f"trainer.devices={cfg.trainer.devices} on the CPU needs process_per_cell=true in a "
                                  "sweep")
        check_names(sweep.cells)
        super().check(sweep)


def _with_outcome(cell: Cell) -> Cell:
    """``cell``, with the sentence in which its last attempt ended, or that it has no results yet."""
    notes = [folder / FAILED for folder in (cell.run, cell.fit) if folder and (folder / FAILED).exists()]
    if notes:
        reason = notes[0].read_text(encoding="utf-8").strip()
    else:
        reason = "" if (cell.run / METRICS).exists() else UNFINISHED
    return Cell(cell.axes, cell.run, cell.fit, reason)
