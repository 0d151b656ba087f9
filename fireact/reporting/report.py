"""A grid's table, figures and page, made again from its files: ``python -m fireact.reporting.report GRID_FOLDER``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from fireact.commands import end_with
from fireact.errors import DataError, FireActError
from fireact.reporting.figures import draw
from fireact.reporting.grid import Grid, read_grid
from fireact.reporting.page import write_page
from fireact.reporting.results import results_of
from fireact.reporting.tables import table_of
from fireact.trajectories.storage import folders
from fireact.trajectories.storage.reading import printable
from fireact.trajectories.storage.writing import replace, writing


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
        print(printable(str(error)), file=sys.stderr)
        return 1
    print("\n".join(map(str, paths)))
    return 0


def write_report(grid: Grid, folder: Path) -> list[Path]:
    """Write ``<experiment>.md .csv .png .svg``, ``<experiment>-rounds.png .svg`` for histograms, and ``report.html``.

    A cell whose files can't be read is named among those that failed.

    Raises:
        DataError: no cell's files can be read, so that there is nothing to report.
        StorageError: a file can't be written.
    """
    results = results_of(grid)
    if results.grid.failed and not results.rows and not grid.failed:
        raise DataError(f"{results.grid.failed[0].failed}; nothing of the report in {folder} was changed")
    table = table_of(results)
    stem = folder / re.sub(r"[^\w.=+-]+", "_", grid.experiment)
    figures = draw(results, stem)
    pngs, svgs = ([path for path in figures if path.suffix == kind] for kind in (".png", ".svg"))
    shown = "".join(f"\n![{path.stem}]({path.name})\n" for path in pngs)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", grid.command)), default=0))
    texts = {
        stem.with_name(f"{stem.name}.md"): f"{table.markdown()}{shown}\n{fence}\n{grid.command}\n{fence}\n",
        stem.with_name(f"{stem.name}.csv"): table.csv,
    }
    for path, text in texts.items():
        with writing(path):
            replace(path, [text])
    return [*texts, *figures, write_page(results.grid, folder, table.title, [table], svgs)]


if __name__ == "__main__":
    end_with(main)
