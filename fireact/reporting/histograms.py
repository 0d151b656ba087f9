"""How many rounds the questions took: one small panel a row, with the reference's outline behind it."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fireact.reporting.canvas import COLOURS, GREY, wrapped
from fireact.reporting.comparisons import Compared
from fireact.reporting.results import Results

LAST = 12  # as in the paper's Figure 6; whatever took longer counts here
_COLUMNS = 3


def figure(results: Results) -> Figure:
    """Shares of the questions, in per cent, for 0…12 rounds."""
    lines = results.lines
    columns = min(_COLUMNS, len(lines))
    height = math.ceil(len(lines) / columns)
    drawn = Figure(figsize=(2.6 * columns + 0.4, 1.5 * height + 0.9))
    panels = drawn.subplots(height, columns, sharex=True, sharey=True, squeeze=False)
    for panel, line in zip(panels.flat, lines, strict=False):
        _panel(panel, line, results)
    for panel in panels.flat[len(lines):]:
        panel.set_axis_off()
    for panel in panels.flat[len(lines) - columns:len(lines)]:  # the lowest of each column
        panel.tick_params(labelbottom=True)
    drawn.suptitle(wrapped(f"Rounds: {results.layout.title}", 34 * columns), fontsize=9, x=0.01, ha="left")
    drawn.supxlabel(f"rounds, finish included; {LAST}: or more; dashed: the reference", fontsize=9)
    drawn.supylabel("questions, %", fontsize=9)
    return drawn


def shares(rounds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Per cent of the questions for each of 0…12 rounds; zeros of nothing."""
    counts = np.bincount(np.minimum(rounds, LAST), minlength=LAST + 1)
    shares: NDArray[np.float64] = 100 * counts / max(1, len(rounds))
    return shares


def _panel(panel: Axes, line: Compared, results: Results) -> None:
    edges = np.arange(LAST + 2) - 0.5
    if line.reference is not None and not line.is_reference:
        panel.stairs(shares(line.reference.rounds), edges, color=GREY, linestyle="--", linewidth=1)
    panel.stairs(shares(line.row.rounds), edges, color=COLOURS[0], linewidth=1.8)
    ending = " (reference)" if line.is_reference else ""
    panel.set_title(wrapped(results.name(line.row) + ending, 34), loc="left", fontsize=8)
    panel.set_xticks(range(0, LAST + 1, 3))
    panel.set_xlim(-0.7, LAST + 0.7)
