from __future__ import annotations

import pytest

from fireact.reporting.rows import read_rows
from tests.reporting.grids import PROMPTED, TUNED, Maker


def test_seeds_are_averaged_per_question_and_a_silent_run_has_no_rounds(tmp_path):
    maker = Maker(tmp_path)
    maker.cell({**TUNED, "seed": "0"}, [1, 0, 0], [2, 11, 0])
    maker.cell({**TUNED, "seed": "1"}, [1, 1, 0], [3, 4, 5], trained_on=102)
    _, (row,) = read_rows(maker.grid("sweep"))
    assert "seed" not in row.axes and row.seeds == pytest.approx({"0": 1 / 3, "1": 2 / 3})
    assert [name.split()[0] for name in row.questions["question"]] == ["q000", "q001", "q002"]
    assert row.questions["right"].to_list() == [1, 0.5, 0]
    assert row.rounds.tolist() == [2, 11, 3, 4, 5]
    assert row.mean("finished") == pytest.approx(5 / 6) and row.mean("f1") == pytest.approx((1 + 0.75 + 0.5) / 3)
    assert row.trained_on == 101 and row.usd == pytest.approx(0.01)
    # Seed 1 made 10 of the 11 steps of its epoch.
    assert row.rates == pytest.approx(
        {"adapter_mb": 0.003, "tokens_per_s": 100, "trajectories_per_s": (2 + 2 * 10 / 11) / 2}
    )
    assert row.scored_on == {"miniwiki with bm25[world] k=1"}


def test_a_cell_that_failed_or_lost_its_files_is_a_failure_not_a_crash(tmp_path):
    maker = Maker(tmp_path)
    maker.failed(PROMPTED, "no weights; choose another backbone")
    lost, empty = maker.cell(TUNED, [1]), maker.cell({**TUNED, "seed": "1"}, [1])
    (lost.run / "metrics.json").unlink()
    (empty.run / "predictions.jsonl").write_text("")
    grid, rows = read_rows(maker.grid("sweep"))
    assert rows == [] and [cell.axes["seed"] for cell in grid.cells] == ["0", "0", "1"]
    assert [cell.failed for cell in grid.cells] == [
        "no weights; choose another backbone",
        f"{lost.run / 'metrics.json'} is missing; run the command that makes it to its end first",
        f"{empty.run / 'predictions.jsonl'} holds no trajectory; remove its folder and run the command again",
    ]


def test_cells_that_differ_in_more_than_the_seed_stay_apart(tmp_path):
    maker = Maker(tmp_path)
    for axes in (TUNED, {**TUNED, "optim.epochs": "2"}, {**TUNED, "seed": "1"}, PROMPTED):
        maker.cell(axes, [1, 0])
    _, rows = read_rows(maker.grid("sweep"))
    assert [(len(row.seeds), row.tuned, row.prompted) for row in rows] == [
        (2, True, False), (1, True, False), (1, False, True)
    ]
