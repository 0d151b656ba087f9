from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from fireact.errors import StorageError
from fireact.reporting import bars, curves
from fireact.reporting.figures import draw, histograms, shares
from fireact.reporting.results import Results, results_of
from fireact.reporting.style import STYLE
from tests.reporting.grids import PROMPTED, TUNED, Maker


def finetuning(maker: Maker) -> Results:
    maker.cell(PROMPTED, [0, 0, 0, 1])
    maker.cell(TUNED, [1, 1, 0, 1])
    return results_of(maker.grid("finetuning"))


def scaling(maker: Maker) -> Results:
    maker.cell(PROMPTED, [0, 0, 0, 1])
    for steps in ("null", "60"):
        for size in (100, 25):
            maker.cell({**TUNED, "size": f"n{size}", "optim.max_steps": steps}, [1, 0, 0, 1], trained_on=size)
    return results_of(maker.grid("data_scaling"))


def styled(make, results: Results) -> Figure:
    with rc_context(STYLE):
        return make(results)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_bars_are_as_long_as_the_scores_and_carry_the_papers_marks(tmp_path):
    figure = styled(bars.figure, finetuning(Maker(tmp_path)))
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [25, 75]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["ReAct prompt", "tuned"]
    assert legend(figure) == ["the paper, Llama-2-7B", "the paper, GPT-3.5"]
    offsets = [np.asarray(c.get_offsets()) for c in axes.collections if c.get_label().startswith("the paper")]
    assert [points.tolist() for points in offsets] == [[[14.8, 0], [26.2, 1]], [[31.4, 0], [39.2, 1]]]


def test_series_are_told_apart_by_hatches_within_groups(tmp_path):
    maker = Maker(tmp_path)
    for backbone in ("a", "b"):
        maker.cell({**PROMPTED, "backbone": backbone}, [1, 0])
        maker.cell({**TUNED, "backbone": backbone}, [1, 0])
    figure = styled(bars.figure, results_of(maker.grid("finetuning")))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a", "b"]
    assert legend(figure)[:2] == ["ReAct prompt", "tuned"]
    assert [bar.get_hatch() for bar in figure.axes[0].patches] == ["", "", "///", "///"]


def test_the_papers_number_for_the_very_backbone_is_marked_as_its_own(tmp_path):
    maker = Maker(tmp_path)
    maker.cell({**PROMPTED, "backbone": "gpt35", "task": "hotpotqa"}, [1, 0])
    assert legend(styled(bars.figure, results_of(maker.grid("prompting")))) == ["the paper"]


def test_curves_run_over_what_was_trained_on_next_to_the_papers(tmp_path):
    figure = styled(curves.figure, scaling(Maker(tmp_path)))
    (axes,) = figure.axes
    assert legend(figure) == ["tuned · by epochs", "tuned · 60 updates", "ReAct prompt", "the paper, Llama-2-7B",
                              "the paper, GPT-3.5"]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["tuned · by epochs"].get_xdata()) == [25, 100]
    assert list(lines["the paper, GPT-3.5"].get_ydata()) == [35.0, 38.2, 39.2, 39.2]
    assert axes.get_xscale() == "log" and list(axes.get_xticks()) == [25, 100, 200, 500, 1000]
    assert len({line.get_marker() for line in axes.lines}) == 5  # the one across has none


def test_a_curve_without_a_number_on_its_axis_becomes_bars(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(PROMPTED, [1, 0])
    results = results_of(maker.grid("data_scaling"))
    assert [path.name for path in draw(results, tmp_path / "data_scaling")] == ["data_scaling.png", "data_scaling.svg"]


def test_rounds_are_shares_of_the_questions_up_to_twelve():
    assert shares(np.array([1, 1, 2, 12, 30])).tolist() == [0, 40, 20] + [0] * 9 + [40]
    assert shares(np.array([], dtype=np.int64)).tolist() == [0] * 13


def test_a_histogram_has_a_panel_a_row_with_the_reference_behind(tmp_path):
    maker = Maker(tmp_path)
    for method in ("react", "react_cot", "react_io", "react_io_cot"):
        maker.cell({**TUNED, "method": method}, [1, 0])
    results = results_of(maker.grid("multi_method"))
    figure = styled(histograms, results)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in shown] == [
        "ReAct (reference)", "ReAct + CoT", "ReAct + IO", "ReAct + IO + CoT"
    ]
    assert [len(axes.patches) for axes in shown] == [1, 2, 2, 2]
    names = [path.name for path in draw(results, tmp_path / "multi_method")]
    assert names == [f"multi_method{end}" for end in (".png", ".svg", "-rounds.png", "-rounds.svg")]


@pytest.mark.parametrize("make", [finetuning, scaling])
def test_the_same_numbers_give_the_same_bytes(tmp_path, make):
    for folder in ("one", "two"):
        draw(make(Maker(tmp_path / folder)), tmp_path / folder / "figure")
    for name in ("figure.png", "figure.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_names_stay_text(tmp_path):
    maker = Maker(tmp_path)
    for note in ("<script>alert(1)</script>", "$x$ and $\\frac"):
        maker.cell({**TUNED, "note": note}, [1, 0])
    _, svg = draw(results_of(maker.grid("sweep")), tmp_path / "sweep")
    text = svg.read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "$x$ and $\\frac" in text and not re.search(r"<dc:date>|Matplotlib v", text)


def test_without_results_there_is_nothing_to_draw(tmp_path):
    maker = Maker(tmp_path)
    maker.failed(TUNED, "no weights; choose another backbone")
    assert draw(results_of(maker.grid("multi_method")), tmp_path / "figure") == []


def test_a_figure_that_cant_be_written_is_a_sentence(tmp_path):
    stem = tmp_path / "missing" / "figure"
    with pytest.raises(StorageError, match=r"cannot write .*figure\.png \(No such file or directory\); free"):
        draw(finetuning(Maker(tmp_path)), stem)
