"""A grid's figures in the paper's shape, the paper's own numbers in grey next to ours; here also how many rounds the
questions took: one small panel a row, with the reference's outline behind it."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fireact.reporting import bars, curves
from fireact.reporting.experiments import named
from fireact.reporting.results import Results
from fireact.reporting.rows import Row
from fireact.reporting.style import COLOURS, GREY, STYLE, wrapped
from fireact.trajectories.storage.writing import writing

LAST = 12  # as in the paper's Figure 6; whatever took longer counts here
_COLUMNS = 3


def draw(results: Results, stem: Path) -> list[Path]:
    """Write ``stem`` .png and .svg, and where the experiment has a histogram ``stem``-rounds .png and .svg.

    Returns:
        The paths, each PNG before its SVG; none without results.

    Raises:
        StorageError: a file can't be written.
    """
    if not results.rows:
        return []
    with matplotlib.rc_context(STYLE):
        curve = curves.figure(results) if results.experiment.figure.kind == "curve" else None
        drawn = _write(curve or bars.figure(results), stem)
        if results.experiment.rounds:
            drawn += _write(histograms(results), stem.with_name(f"{stem.name}-rounds"))
    return drawn


def _write(figure: Figure, stem: Path) -> list[Path]:
    """As PNG (150 dots an inch) and as SVG; neither holds a date or a version."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    for path, metadata in zip(paths, ({"Software": None}, {"Date": None, "Creator": None}), strict=True):
        with writing(path):
            figure.savefig(path, dpi=150 if path == paths[0] else "figure", metadata=metadata)
    return paths


def histograms(results: Results) -> Figure:
    """Shares of the questions, in per cent, for 0…12 rounds."""
    rows = results.rows
    columns = min(_COLUMNS, len(rows))
    height = math.ceil(len(rows) / columns)
    drawn = Figure(figsize=(2.6 * columns + 0.4, 1.5 * height + 0.9))
    panels = drawn.subplots(height, columns, sharex=True, sharey=True, squeeze=False)
    for panel, row in zip(panels.flat, rows, strict=False):
        _panel(panel, row, named(row.axes, results.axes))
    for panel in panels.flat[len(rows):]:
        panel.set_axis_off()
    for panel in panels.flat[len(rows) - columns:len(rows)]:  # the lowest of each column
        panel.tick_params(labelbottom=True)
    drawn.suptitle(wrapped(f"Rounds: {results.experiment.title}", 34 * columns), fontsize=9, x=0.01, ha="left")
    drawn.supxlabel(f"rounds, finish included; {LAST}: or more; dashed: the reference", fontsize=9)
    drawn.supylabel("questions, %", fontsize=9)
    return drawn


def _panel(panel: Axes, row: Row, name: str) -> None:
    edges = np.arange(LAST + 2) - 0.5
    if row.reference is not None:
        panel.stairs(shares(row.reference.rounds), edges, color=GREY, linestyle="--", linewidth=1)
    panel.stairs(shares(row.rounds), edges, color=COLOURS[0], linewidth=1.8)
    panel.set_title(wrapped(name + " (reference)" * row.is_reference, 34), loc="left", fontsize=8)
    panel.set_xticks(range(0, LAST + 1, 3))
    panel.set_xlim(-0.7, LAST + 0.7)


def shares(rounds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Per cent of the questions for each of 0…12 rounds; zeros of nothing."""
    counts = np.bincount(np.minimum(rounds, LAST), minlength=LAST + 1)
    return 100 * counts / max(1, len(rounds))
