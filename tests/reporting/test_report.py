from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from fireact.reporting.grid import UNFINISHED, read_grid
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


def test_a_damaged_cell_costs_the_others_nothing(tmp_path):
    made = maker(tmp_path)
    path = made.cells[1].run / "predictions.jsonl"
    path.write_text(path.read_text()[:-20])
    paths = write_report(made.grid("multi_method"), tmp_path)
    page, markdown = paths[-1].read_text(encoding="utf-8"), paths[0].read_text(encoding="utf-8")
    assert "line 4 is not JSON" in page and "line 4 is not JSON" in markdown
    assert page.count('class="cell"') == 2


def test_each_failed_cell_keeps_its_own_sentence(tmp_path):
    made = maker(tmp_path)
    for seed in ("1", "2"):  # which share a folder that was never made
        made.failed({**TUNED, "seed": seed}, f"the disk was full, for the {seed}. time")
    page = write_report(made.grid("finetuning"), tmp_path)[-1].read_text(encoding="utf-8")
    assert "for the 1. time</li>" in page and "for the 2. time</li>" in page


def test_metrics_that_say_too_little_are_a_failure_not_a_crash(tmp_path):
    made = maker(tmp_path)
    path = made.cells[1].run / "metrics.json"
    path.write_text('{"n": 4, "em": 0.5}')
    markdown = write_report(made.grid("multi_method"), tmp_path)[0].read_text(encoding="utf-8")
    assert "metrics.json lacks accuracy, cost\\_usd, seconds; a run".replace("\\", "") in markdown


def test_a_report_that_finds_no_files_leaves_the_old_one(tmp_path, capsys):
    made = maker(tmp_path)
    [text, *_] = write_report(made.grid("multi_method"), tmp_path)
    before = text.read_text(encoding="utf-8")
    for cell in made.cells:
        (cell.run / "predictions.jsonl").unlink()
    assert main([str(tmp_path)]) == 1
    assert "nothing of the report" in capsys.readouterr().err
    assert text.read_text(encoding="utf-8") == before


def test_all_of_it_may_be_moved_and_an_unfinished_cell_may_have_finished(tmp_path, monkeypatch):
    made = maker(tmp_path / "a")
    made.cells[0] = replace(made.cells[0], failed=UNFINISHED)
    made.grid("multi_method")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.chdir(tmp_path / "b")
    grid = read_grid(Path("."))
    assert [cell.failed for cell in grid.cells] == ["", "", ""]
    assert write_report(grid, Path("."))[-1].exists()


def test_an_adapter_from_elsewhere_has_scores_and_no_tuning(tmp_path):
    made = maker(tmp_path)
    (made.cells[1].fit / "metrics.json").unlink()
    markdown = write_report(made.grid("finetuning"), tmp_path)[0].read_text(encoding="utf-8")
    assert "Failed" not in markdown and "50.0" in markdown


def test_a_folder_without_a_grid_is_one_sentence(tmp_path):
    command = [sys.executable, "-m", "fireact.reporting.report", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    path = tmp_path / "grid.json"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{path} is missing; run the command that makes it to its end first\n"
