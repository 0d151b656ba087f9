"""What the paper found for a row, in words: its own figure where it tried just this, else those of its backbones."""

from __future__ import annotations

from collections.abc import Sequence

from fireact.reporting import paper
from fireact.reporting.layouts import Layout
from fireact.reporting.paper import Published
from fireact.reporting.rows import Row

_FORMATS = {
    "em": "{:.1f}",
    "f1": "F1 {:.1f}",
    "rounds_mean": "{:.1f} rounds",
    "cost_usd": "USD {:.4f}",
    "seconds": "{:.1f} s",
    "trajectories_per_s": "{:.1f} trajectories/s",
    "adapter_mb": "{:,.0f} MB",
}


def signed(points: float) -> str:
    """``+1.8`` or ``−0.4``; never ``−0.0``."""
    return f"{round(points, 1) + 0.0:+.1f}".replace("-", "−")


def exact(row: Row, experiment: str, measure: str = "em") -> list[Published]:
    """The paper's numbers for this very backbone, task and configuration."""
    return paper.at(_paper_axes(row), paper.of_experiment(experiment, measure))


def like(row: Row, experiment: str, measure: str = "em") -> list[Published]:
    """The paper's numbers for the like of this row, one a backbone; none where it has an exact one of any measure."""
    if any(exact(row, experiment, other) for other in _FORMATS):
        return []
    return paper.beside(_paper_axes(row), paper.of_experiment(experiment, measure))


def exact_text(row: Row, experiment: str, layout: Layout) -> str:
    """``39.2 (+7.8), Table 2``: the gain is over the paper's own reference; numbers that agree stand once."""
    sources: dict[str, list[str]] = {}
    for measure in _FORMATS:
        for number in exact(row, experiment, measure):
            sources.setdefault(_text(number, layout), []).append(number.source)
    return "; ".join(f"{text}, {' and '.join(dict.fromkeys(names))}" for text, names in sources.items())


def trend_text(row: Row, experiment: str, layout: Layout) -> str:
    """``Llama-2-7B 22.2 (+1.4); GPT-3.5 41.0 (+1.8); all 6: −5.4 … +1.8``."""
    parts = []
    for backbone in paper.shown_backbones():
        of_it = [n for m in _FORMATS for n in like(row, experiment, m) if n.axes.get("backbone") == backbone]
        if of_it:
            parts.append(f"{paper.backbone_label(backbone)} {', '.join(_text(number, layout) for number in of_it)}")
    numbers = like(row, experiment)
    gains = [gain for number in numbers if (gain := paper.gain(number, layout.reference)) is not None]
    if len(gains) > len(parts):
        parts.append(f"all {len(gains)}: {signed(min(gains))} … {signed(max(gains))}")
    return "; ".join(parts)


def _paper_axes(row: Row) -> dict[str, str]:
    """The row's axes, its size being what it was really trained on."""
    axes = paper.same(row.axes)
    return {**axes, "size": f"n{row.trained_on:.0f}"} if row.trained_on is not None else axes


def _text(number: Published, layout: Layout) -> str:
    text = ("≈ " if number.raster else "") + _FORMATS[number.measure].format(number.value)
    gain = paper.gain(number, layout.reference) if number.measure == "em" else None
    return text if gain is None else f"{text} ({signed(gain)})"


def shown(numbers: Sequence[Published]) -> list[Published]:
    """Those of the backbones that stand beside others."""
    return [number for number in numbers if number.axes.get("backbone") in paper.shown_backbones()]
