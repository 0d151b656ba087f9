"""Names and answers that Markdown, a spreadsheet or UTF-8 would take for something else."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest

from fireact.reporting.markdown import Table
from fireact.reporting.report import write_report
from fireact.reporting.results import results_of
from fireact.reporting.tables import table_of
from tests.conftest import ROOT
from tests.reporting.grids import TUNED, Maker

NOTES = ["None", "NaN", "null", "", "=cmd()", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "-5", "+1e-5", "\tx", "\ud800",
         "\x1b]0;x\x07", "a\u202eb"]  # fmt: skip


def test_a_csv_keeps_texts_as_texts_and_computes_none(tmp_path):
    maker = Maker(tmp_path)
    for note in NOTES:
        maker.cell({**TUNED, "note": note}, [1, 0])
    maker.cell(TUNED, [1, 0])
    maker.failed({**TUNED, "note": "x"}, "=HYPERLINK(0)")
    text = table_of(results_of(maker.grid("sweep"))).csv
    read = pl.read_csv(io.StringIO(text), schema_overrides={"note": pl.String})
    assert read["note"].to_list() == [
        "None", "NaN", "null", "", "'=cmd()", "'-2+3+cmd|' /C calc'!A0", "'@SUM(A1)", "-5", "+1e-5", "'\tx", "\\ud800",
        "\\x1b]0;x\\x07", "a\\u202eb", None, "x",
    ]  # fmt: skip
    assert read["failed"][-1] == "'=HYPERLINK(0)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\rb\nc", "a b c"),
        ("[here](http://x)", r"[here]\(http://x)"),
        ("[here][x]", r"[here]\[x]"),
        ("_all_ of loss_on", r"\_all\_ of loss_on"),
        ("~~no~~", r"\~\~no\~\~"),
        ("12.5 [2.2, 47.1]", "12.5 [2.2, 47.1]"),
        ("< 0.001", "< 0.001"),
        ("\x1b[31mred\x9b0m \u202eback", r"\\x1b[31mred\\x9b0m \\u202eback"),
    ],
)
def test_nothing_in_a_cell_acts_as_markdown(text, shown):
    line = Table("t", ["a"], [[text]]).markdown().splitlines()[4]
    assert line.rstrip(" |") == f"| {shown}"


def test_a_command_of_backticks_stays_in_its_block(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(TUNED, [1, 0])
    grid = replace(maker.grid("sweep"), command="python train.py 'name=```\n# not a heading'")
    lines = write_report(grid, tmp_path)[0].read_text(encoding="utf-8").splitlines()
    assert lines[-4:] == ["````", "python train.py 'name=```", "# not a heading'", "````"]


def test_names_that_utf8_cannot_hold_reach_every_file_escaped(tmp_path):
    maker = Maker(tmp_path)
    for note in ("\ud800", "x"):
        maker.cell({**TUNED, "note": note}, [1, 0])
    paths = write_report(maker.grid("prompting"), tmp_path)
    markdown, csv, *_ = (path.read_text(encoding="utf-8") for path in paths[:2])
    assert r"\\ud800" in markdown and r"\ud800" in csv


def test_what_runs_import_loads_neither_frames_nor_figures():
    code = """
import sys
import fireact.reporting.compare, fireact.reporting.grid, fireact.reporting.page, fireact.reporting.statistics
print({"polars", "matplotlib", "torch"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
