from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fireact.reporting.grid import read_grid
from fireact.reporting.report import main, write_report
from tests.reporting.grids import PROMPTED, TUNED, Maker

ROOT = Path(__file__).resolve().parents[2]


def maker(folder) -> Maker:
    made = Maker(folder)
    made.cell(PROMPTED, [0, 0, 0, 1])
    made.cell(TUNED, [1, 1, 0, 1])
    made.cell({**TUNED, "method": "react_cot"}, [1, 1, 0, 0])
    return made


def test_a_report_is_tables_figures_and_a_page_made_alike_every_time(tmp_path, capsys):
    grid = maker(tmp_path).grid("multi_method")
    assert main([str(tmp_path)]) == 0
    names = [f"multi_method{end}" for end in (".md", ".csv", ".png", ".svg", "-rounds.png", "-rounds.svg")]
    paths = [tmp_path / name for name in [*names, "report.html"]]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in paths]
    assert paths[-1].read_text(encoding="utf-8").count("data:image/svg+xml") == 2
    before = [path.read_bytes() for path in paths]
    assert read_grid(tmp_path) == grid and write_report(grid, tmp_path) == paths
    assert [path.read_bytes() for path in paths] == before


def test_the_markdown_shows_the_pictures_and_the_command(tmp_path):
    write_report(maker(tmp_path).grid("multi_method"), tmp_path)
    assert (tmp_path / "multi_method.md").read_text(encoding="utf-8").splitlines()[-8:] == [
        "",
        "![multi_method](multi_method.png)",
        "",
        "![multi_method-rounds](multi_method-rounds.png)",
        "",
        "```",
        "python train.py experiment=multi_method",
        "```",
    ]


def test_a_sweeps_name_makes_a_file_in_the_grids_own_folder(tmp_path):
    paths = write_report(maker(tmp_path).grid("../my sweep"), tmp_path)
    assert [path.name for path in paths[:2]] == [".._my_sweep.md", ".._my_sweep.csv"]
    assert {path.parent for path in paths} == {tmp_path}


def test_a_report_of_nothing_but_failures_says_why(tmp_path):
    made = Maker(tmp_path)
    made.failed(TUNED, "no weights; choose another backbone")
    paths = write_report(made.grid("finetuning"), tmp_path)
    assert [path.name for path in paths] == ["finetuning.md", "finetuning.csv", "report.html"]
    assert "no weights; choose another backbone" in paths[0].read_text(encoding="utf-8")


def test_a_folder_without_a_grid_is_one_sentence(tmp_path):
    command = [sys.executable, "-m", "fireact.reporting.report", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    path = tmp_path / "grid.json"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{path} is missing; run the command that makes it to its end first\n"
