"""Grouped bars with intervals, lying so that long names fit, the paper's numbers as grey marks on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fireact.reporting import beside, paper
from fireact.reporting.canvas import FILLS, GREY, HATCHES, THEIR_MARKERS, THEIRS, legend, wrapped
from fireact.reporting.comparisons import Compared
from fireact.reporting.layouts import MISSING
from fireact.reporting.results import Results

_GAP = 0.5  # bars' widths between groups
_MEASURES = {"score": "em", "seconds": "seconds"}


def figure(results: Results) -> Figure:
    """One bar a row."""
    groups = _groups(results)
    places, ticks = _places(groups)
    drawn = Figure(figsize=(7, 1.2 + 0.27 * (max(places.values()) + 1)))
    axes = drawn.add_subplot()
    for number, series in enumerate(_series(groups)):
        lines = [group[series] for group in groups.values() if series in group]
        _bars(axes, results, lines, [places[line] for line in lines], number, series)
    _paper(axes, results, places)
    axes.set_yticks(list(ticks.values()), [wrapped(name) for name in ticks])
    axes.set_ylim(max(places.values()) + 0.7, -0.7)
    axes.set_title(wrapped(results.layout.title, 90), loc="left")
    axes.set_xlabel(f"{results.measured}, %" if _measure(results) == "score" else "s/question")
    axes.set_xlim(left=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    legend(drawn, axes)
    return drawn


def _groups(results: Results) -> dict[str, dict[str, Compared]]:
    """Lines by the name of their group and of their series; a single group becomes many without a series."""
    named = set(results.layout.figure.series) & set(results.axes)
    groups: dict[str, dict[str, Compared]] = {}
    for line in results.lines:
        group = results.name(line.row, [axis for axis in results.axes if axis not in named])
        series = results.name(line.row, [axis for axis in results.axes if axis in named])
        groups.setdefault(group, {})[series] = line
    if len(groups) > 1 and sum(map(len, groups.values())) == len(results.lines):
        return groups
    return {results.name(line.row): {MISSING: line} for line in results.lines}


def _series(groups: Mapping[str, Mapping[str, Compared]]) -> list[str]:
    return list(dict.fromkeys(series for group in groups.values() for series in group))


def _places(groups: Mapping[str, Mapping[str, Compared]]) -> tuple[dict[Compared, float], dict[str, float]]:
    """Where each bar lies, in bars' widths, and each group's name, in the middle of its bars."""
    gap = _GAP if any(len(group) > 1 for group in groups.values()) else 0.0
    order, places, ticks, start = _series(groups), {}, {}, 0.0
    for name, group in groups.items():
        lines = [group[series] for series in order if series in group]
        places.update({line: start + number for number, line in enumerate(lines)})
        ticks[name] = start + (len(lines) - 1) / 2
        start += len(lines) + gap
    return places, ticks


def _bars(
    axes: Axes, results: Results, lines: Sequence[Compared], places: Sequence[float], number: int, series: str
) -> None:
    values = [_value(line, results) for line in lines]
    axes.barh(
        places, values, height=0.8, color=FILLS[number % len(FILLS)], hatch=HATCHES[number % len(HATCHES)],
        edgecolor="#333333", linewidth=0.7, label=None if series == MISSING else series,
    )
    if _measure(results) == "score":
        ends = [[100 * end for end in line.interval] for line in lines]
        errors = [[value - low for value, (low, _) in zip(values, ends, strict=True)],
                  [high - value for value, (_, high) in zip(values, ends, strict=True)]]
        axes.errorbar(values, places, xerr=errors, fmt="none", ecolor="black", elinewidth=1.4, capsize=3)


def _paper(axes: Axes, results: Results, places: Mapping[Compared, float]) -> None:
    """The paper's own number as a black mark; else those of the backbones that stand beside others, in grey."""
    measure = _MEASURES[_measure(results)]
    own = {line: found[0] for line in places if (found := beside.exact(line.row, results.experiment, measure))}
    if own:
        axes.scatter([n.value for n in own.values()], [places[line] for line in own], marker="D", s=34, zorder=4,
                     facecolors="white", edgecolors="black", label=THEIRS)
    for backbone, marker in zip(paper.shown_backbones(), THEIR_MARKERS, strict=True):
        points = [(number.value, place) for line, place in places.items()
                  for number in beside.like(line.row, results.experiment, measure)
                  if number.axes.get("backbone") == backbone]
        if points:
            axes.scatter([x for x, _ in points], [y for _, y in points], marker=marker, s=38, zorder=4,
                         facecolors="white", edgecolors=GREY, linewidths=1.3,
                         label=f"{THEIRS}, {paper.backbone_label(backbone)}")


def _measure(results: Results) -> str:
    return results.layout.figure.measure


def _value(line: Compared, results: Results) -> float:
    return (line.row.seconds or 0.0) if _measure(results) == "seconds" else 100 * line.score
