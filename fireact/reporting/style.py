"""How every figure looks: greyscale-safe marks, and the same bytes for the same numbers."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by every kind of colour vision; hatches, markers and dashes do it in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#777777")
FILLS = ("#BFDCF0", "#F7D48B", "#8FD3BC", "#EBC5DA", "#FFFFFF", "#F2B48A", "#FBF4A6", "#D0D0D0")  # bars bear marks
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "---", "ooo", "++")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
GREY, PAPER_DASHES, PAPER_MARKERS = "#666666", ((0, (5, 3)), (0, (1, 1.5))), ("d", "p")
PAPER = "the paper"
STYLE: Any = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "fireact",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "hatch.linewidth": 0.45,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def wrapped(text: str, width: int = 44) -> str:
    """``text`` in lines that fit next to a figure."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=True)) or text


def legend(figure: Figure, axes: Axes) -> None:
    """The legend of ``axes`` below the whole figure, ours first; none for a single unnamed series."""
    handles, names = axes.get_legend_handles_labels()
    series = sorted(zip(handles, names, strict=True), key=lambda pair: pair[1].startswith(PAPER))
    if series:
        columns = max(1, min(4, int(figure.get_figwidth() * 13 / (max(map(len, names)) + 6))))
        figure.legend([handle for handle, _ in series], [wrapped(name, 60) for _, name in series],
                      loc="outside lower center", ncols=columns)
