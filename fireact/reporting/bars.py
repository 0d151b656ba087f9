"""Grouped bars with intervals, lying so that long names fit, the paper's numbers as marks on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fireact.reporting.experiments import MISSING, named, value_label
from fireact.reporting.paper import shown_backbones
from fireact.reporting.results import Results
from fireact.reporting.rows import Row
from fireact.reporting.style import FILLS, GREY, HATCHES, PAPER, PAPER_MARKERS, legend, wrapped

_GAP = 0.5  # bars' widths between groups


def figure(results: Results) -> Figure:
    """One bar a row."""
    groups = _groups(results)
    series = list(dict.fromkeys(name for group in groups.values() for name in group))
    gap = _GAP if any(len(group) > 1 for group in groups.values()) else 0.0
    places: dict[Row, float] = {}  # in bars' widths
    ticks: dict[str, float] = {}
    start = 0.0
    for name, group in groups.items():
        ordered = [group[one] for one in series if one in group]
        places.update({row: start + number for number, row in enumerate(ordered)})
        ticks[name] = start + (len(ordered) - 1) / 2  # in the middle of its bars
        start += len(ordered) + gap
    seconds = results.experiment.figure.measure == "seconds"
    drawn = Figure(figsize=(7, 1.2 + 0.27 * (max(places.values()) + 1)))
    axes = drawn.add_subplot()
    for number, name in enumerate(series):
        rows = [group[name] for group in groups.values() if name in group]
        values = [(row.seconds or 0.0) if seconds else 100 * row.score for row in rows]
        axes.barh([places[row] for row in rows], values, height=0.8, color=FILLS[number % len(FILLS)],
                  hatch=HATCHES[number % len(HATCHES)], edgecolor="#333333", linewidth=0.7,
                  label=None if name == MISSING else name)
        if not seconds:
            _intervals(axes, rows, places)
    _paper(axes, places, "seconds" if seconds else "em")
    axes.set_yticks(list(ticks.values()), [wrapped(name) for name in ticks])
    axes.set_ylim(max(places.values()) + 0.7, -0.7)
    axes.set_title(wrapped(results.experiment.title, 90), loc="left")
    axes.set_xlabel("s/question" if seconds else f"{results.measured}, %")
    axes.set_xlim(left=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    legend(drawn, axes)
    return drawn


def _groups(results: Results) -> dict[str, dict[str, Row]]:
    """Rows by the name of their group and of their series; a single group becomes many without a series."""
    series = [axis for axis in results.axes if axis in results.experiment.figure.series]
    others = [axis for axis in results.axes if axis not in series]
    groups: dict[str, dict[str, Row]] = {}
    for row in results.rows:
        groups.setdefault(named(row.axes, others), {})[named(row.axes, series)] = row
    if len(groups) > 1 and sum(map(len, groups.values())) == len(results.rows):
        return groups
    return {named(row.axes, results.axes): {MISSING: row} for row in results.rows}


def _intervals(axes: Axes, rows: Sequence[Row], places: Mapping[Row, float]) -> None:
    errors = [[100 * row.score - 100 * row.interval[0] for row in rows],
              [100 * row.interval[1] - 100 * row.score for row in rows]]
    axes.errorbar([100 * row.score for row in rows], [places[row] for row in rows], xerr=errors, fmt="none",
                  ecolor="black", elinewidth=1.4, capsize=3)


def _paper(axes: Axes, places: Mapping[Row, float], measure: str) -> None:
    """The paper's own number as a black mark; else those of the backbones that are shown for others, in grey."""
    own = {place: n.value for row, place in places.items() for n in reversed(row.paper) if n.measure == measure}
    if own:
        axes.scatter(list(own.values()), list(own), marker="D", s=34, zorder=4, facecolors="white", edgecolors="black",
                     label=PAPER)
    for backbone, marker in zip(shown_backbones(), PAPER_MARKERS, strict=True):
        others = {place: n.value for row, place in places.items() for n in row.paper_others
                  if (n.backbone, n.measure) == (backbone, measure)}
        if others:
            axes.scatter(list(others.values()), list(others), marker=marker, s=38, zorder=4, facecolors="white",
                         edgecolors=GREY, linewidths=1.3, label=f"{PAPER}, {value_label('backbone', backbone)}")
