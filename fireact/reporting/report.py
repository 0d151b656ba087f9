"""A grid's table, figures and page, made again from its files: ``python -m fireact.reporting.report GRID_FOLDER``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fireact.errors import DataError, FireActError, StorageError
from fireact.reporting.figures import draw
from fireact.reporting.grid import Grid, read_grid
from fireact.reporting.page import write_page
from fireact.reporting.results import results_of
from fireact.reporting.tables import Table, table_of
from fireact.trajectories.storage import folders


def main(arguments: Sequence[str] | None = None) -> int:
    """Rebuild the report of a grid folder; returns the exit code."""
    parser = argparse.ArgumentParser(prog="fireact.reporting.report", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="GRID_FOLDER", help="the folder that holds grid.json")
    folder = parser.parse_args(arguments).folder
    try:
        grid = read_grid(folder)
        folders.claim(folder, folders.GRID)
        paths = write_report(grid, folder)
    except FireActError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(map(str, paths)))
    return 0


def write_report(grid: Grid, folder: Path) -> list[Path]:
    """Write ``<experiment>.md .csv .png .svg``, ``<experiment>-rounds.png .svg`` for histograms, and ``report.html``.

    A cell whose files can't be read is named beside those that failed.

    Raises:
        DataError: no cell's files can be read, so that there is nothing to report.
        StorageError: a file can't be written.
    """
    results = results_of(grid)
    if results.failures and not results.rows and not any(cell.failed for cell in grid.cells):
        raise DataError(f"{results.failures[0].sentence}; nothing of the report in {folder} was changed")
    failed = {failure.run: failure.sentence for failure in results.failures}
    grid = replace(grid, cells=tuple(replace(cell, failed=failed.get(cell.run, "")) for cell in grid.cells))
    table = table_of(results)
    stem = folder / re.sub(r"[^\w.=+-]+", "_", grid.experiment)
    figures = draw(results, stem)
    pngs, svgs = ([path for path in figures if path.suffix == kind] for kind in (".png", ".svg"))
    texts = _write_texts(table, grid.command, stem, pngs)
    return [*texts, *figures, write_page(grid, folder, table.title, [table], svgs)]


def _write_texts(table: Table, command: str, stem: Path, pictures: Sequence[Path]) -> list[Path]:
    shown = "".join(f"\n![{path.stem}]({path.name})\n" for path in pictures)
    files = {
        stem.with_name(f"{stem.name}.md"): f"{table.markdown()}{shown}\n```\n{command}\n```\n",
        stem.with_name(f"{stem.name}.csv"): table.csv,
    }
    try:
        for path, text in files.items():
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(f"{error.filename} can't be written ({error.strerror}); mend its folder") from None
    return list(files)


if __name__ == "__main__":
    sys.exit(main())
