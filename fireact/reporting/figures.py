"""A grid's figures in the paper's shape, the paper's own numbers in grey beside ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from fireact.reporting import bars, curves, histograms
from fireact.reporting.canvas import style, write
from fireact.reporting.results import Results


def draw(results: Results, stem: Path) -> list[Path]:
    """Write ``stem`` .png and .svg, and where the layout has a histogram ``stem``-rounds .png and .svg.

    Returns:
        The paths, each PNG before its SVG; none without results.

    Raises:
        StorageError: a file can't be written.
    """
    if not results.lines:
        return []
    main = curves.figure if results.layout.figure.kind == "curve" and curves.points(results) else bars.figure
    drawn = _drawn(main, results, stem)
    if results.layout.rounds:
        drawn += _drawn(histograms.figure, results, stem.with_name(f"{stem.name}-rounds"))
    return drawn


def _drawn(figure: Callable[[Results], Figure], results: Results, stem: Path) -> list[Path]:
    with style():
        return write(figure(results), stem)
