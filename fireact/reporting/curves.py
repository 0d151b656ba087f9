"""Score against a number on a logarithmic axis, with interval bands; the paper's curves in grey, dashed."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from fireact.reporting.experiments import axis_label, named, value_label
from fireact.reporting.paper import shown_backbones
from fireact.reporting.results import Results
from fireact.reporting.rows import Row
from fireact.reporting.style import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    PAPER,
    PAPER_DASHES,
    PAPER_MARKERS,
    legend,
    wrapped,
)


def figure(results: Results) -> Figure | None:
    """One curve a series; a row without the number, such as a prompted one, as a line across. None without a curve."""
    name, curves = results.experiment.figure.x, dict[str, list[tuple[float, Row]]]()
    for row in results.rows:
        if (x := _x(row, name)) is not None:
            told = [axis for axis in results.axes if axis not in ("size", name)] or ["acting"]
            curves.setdefault(named(row.axes, told), []).append((x, row))
    if not curves:
        return None
    drawn = Figure(figsize=(7, 4.4))
    axes = drawn.add_subplot()
    for number, (series, curve) in enumerate(curves.items()):
        _curve(axes, series, sorted(curve, key=lambda point: point[0]), number)
    across = [row for row in results.rows if _x(row, name) is None]
    for number, row in enumerate(across):
        axes.axhline(100 * row.score, color="black", linewidth=1.1, linestyle=DASHES[-1 - number % len(DASHES)],
                     label=named(row.axes, results.axes))
    ticks = sorted({x for curve in curves.values() for x, _ in curve} | _paper(axes, results))
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("trajectories trained on" if name == "trained_on" else axis_label(name))
    axes.set_ylabel(f"{results.measured}, %")
    axes.set_ylim(bottom=0)
    axes.set_title(wrapped(results.experiment.title, 90), loc="left")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    legend(drawn, axes)
    return drawn


def _x(row: Row, name: str) -> float | None:
    """A positive number, since the axis is logarithmic; else None."""
    value = row.trained_on if name == "trained_on" else row.axes.get(name)
    try:
        x = float(value) if value is not None else 0.0
    except ValueError:
        return None
    return x if x > 0 else None


def _curve(axes: Axes, series: str, curve: list[tuple[float, Row]], number: int) -> None:
    colour, xs = COLOURS[number % len(COLOURS)], [x for x, _ in curve]
    axes.plot(xs, [100 * row.score for _, row in curve], color=colour, marker=MARKERS[number % len(MARKERS)],
              linestyle=DASHES[number // len(COLOURS) % len(DASHES)], markeredgecolor="black", markeredgewidth=0.6,
              linewidth=1.8, label=series)
    ends = [row.interval for _, row in curve]
    axes.fill_between(xs, [100 * low for low, _ in ends], [100 * high for _, high in ends], color=colour, alpha=0.18,
                      linewidth=0)


def _paper(axes: Axes, results: Results) -> set[float]:
    """The curves of the backbones that are shown for others; returns their places on the x axis."""
    name, places = results.experiment.figure.x, set[float]()
    key = "size" if name == "trained_on" else name
    numbers = [n for n in results.numbers if n.measure == "em" and key in n.axes]
    for backbone, dashes, marker in zip(shown_backbones(), PAPER_DASHES, PAPER_MARKERS, strict=True):
        curve = [(float(n.axes[key].removeprefix("n")), n.value) for n in numbers if n.backbone == backbone]
        if curve:
            axes.plot(*zip(*curve, strict=True), color=GREY, linestyle=dashes, marker=marker, markerfacecolor="white",
                      linewidth=1.2, label=f"{PAPER}, {value_label('backbone', backbone)}")
        places |= {x for x, _ in curve}
    return places
