"""Score against a number on a logarithmic axis, with interval bands; the paper's curves in grey, dashed."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from fireact.reporting import paper
from fireact.reporting.canvas import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    THEIR_DASHES,
    THEIR_MARKERS,
    THEIRS,
    legend,
    wrapped,
)
from fireact.reporting.comparisons import Compared
from fireact.reporting.layouts import axis_label
from fireact.reporting.matching import ABSENT
from fireact.reporting.results import Results
from fireact.reporting.rows import Row

Curves = dict[str, list[tuple[float, Compared]]]
_SIZE = "size"


def figure(results: Results) -> Figure:
    """One curve a series; a row without the number, such as a prompted one, as a line across."""
    drawn = Figure(figsize=(7, 4.4))
    axes = drawn.add_subplot()
    curves = points(results)
    for number, (name, curve) in enumerate(curves.items()):
        _curve(axes, name, sorted(curve, key=lambda point: point[0]), number)
    across = [line for line in results.lines if _x(line.row, results) is None]
    for number, line in enumerate(across):
        axes.axhline(100 * line.score, color="black", linewidth=1.1, linestyle=DASHES[-1 - number % len(DASHES)],
                     label=results.name(line.row))
    theirs = _paper(axes, results)
    ticks = sorted({x for curve in curves.values() for x, _ in curve} | theirs)
    _axes(axes, results, ticks)
    legend(drawn, axes)
    return drawn


def points(results: Results) -> Curves:
    """Each series' rows with their places on the x axis."""
    x_axes = {_SIZE, results.layout.figure.x}
    curves: Curves = {}
    for line in results.lines:
        if (x := _x(line.row, results)) is not None:
            told = [axis for axis in results.axes if axis not in x_axes] or ["acting"]
            name = results.name(line.row, told)
            curves.setdefault(name, []).append((x, line))
    return curves


def _x(row: Row, results: Results) -> float | None:
    """A positive number, since the axis is logarithmic; else None."""
    name = results.layout.figure.x
    value = row.trained_on if name == "trained_on" else row.axes.get(name)
    try:
        x = float(value) if value is not None else 0.0
    except ValueError:
        return None
    return x if x > 0 else None


def _curve(axes: Axes, name: str, curve: list[tuple[float, Compared]], number: int) -> None:
    colour = COLOURS[number % len(COLOURS)]
    xs = [x for x, _ in curve]
    axes.plot(xs, [100 * line.score for _, line in curve], color=colour, marker=MARKERS[number % len(MARKERS)],
              linestyle=DASHES[number // len(COLOURS) % len(DASHES)], markeredgecolor="black", markeredgewidth=0.6,
              linewidth=1.8, label=name)
    ends = [line.interval for _, line in curve]
    axes.fill_between(xs, [100 * low for low, _ in ends], [100 * high for _, high in ends], color=colour, alpha=0.18,
                      linewidth=0)


def _paper(axes: Axes, results: Results) -> set[float]:
    """The curves of the backbones that stand beside others; returns their places on the x axis."""
    key = _SIZE if results.layout.figure.x == "trained_on" else results.layout.figure.x
    places: set[float] = set()
    numbers = [n for n in paper.of_experiment(results.experiment) if key in n.axes]
    for backbone, dashes, marker in zip(paper.shown_backbones(), THEIR_DASHES, THEIR_MARKERS, strict=True):
        curve = [(float(n.axes[key].removeprefix("n")), n.value) for n in numbers
                 if n.axes.get("backbone", ABSENT) == backbone]
        if curve:
            axes.plot(*zip(*curve, strict=True), color=GREY, linestyle=dashes, marker=marker, markerfacecolor="white",
                      linewidth=1.2, label=f"{THEIRS}, {paper.backbone_label(backbone)}")
        places |= {x for x, _ in curve}
    return places


def _axes(axes: Axes, results: Results, ticks: list[float]) -> None:
    name = results.layout.figure.x
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("trajectories trained on" if name == "trained_on" else axis_label(name))
    axes.set_ylabel(f"{results.measured}, %")
    axes.set_ylim(bottom=0)
    axes.set_title(wrapped(results.layout.title, 90), loc="left")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
