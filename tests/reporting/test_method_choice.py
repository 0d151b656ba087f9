from __future__ import annotations

from fireact.reporting.method_choice import NOTE, choice_rows
from fireact.reporting.rows import read_rows
from tests.reporting.grids import PROMPTED, TUNED, Maker

IO, COT = {**PROMPTED, "acting": "io"}, {**PROMPTED, "acting": "cot"}
REFLEXION = {**TUNED, "method": "reflexion"}


def choices(maker: Maker):
    grid, rows = read_rows(maker.grid("multi_method"))
    assert grid.failed == []
    return choice_rows(rows)


def test_random_is_the_mean_and_oracle_the_right_one_with_fewest_rounds(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(IO, [1, 0, 0, 0], [1, 1, 1, 1])
    maker.cell(COT, [0, 0, 0, 0], [1, 1, 1, 1])
    maker.cell(TUNED, [1, 1, 0, 0], [3, 4, 4, 5])
    maker.cell(REFLEXION, [0, 1, 1, 0], [6, 2, 7, 8])
    (random, oracle), notes = choices(maker)
    assert notes == [NOTE]
    assert random.axes == {"backbone": "smollm2_135m", "acting": "random", "task": "miniwiki", "search": "bm25",
                           "data": "miniwiki", "size": "n100"}
    assert random.questions["right"].to_list() == [0.5, 0.5, 0.25, 0]
    assert sorted(random.rounds.tolist()) == [1] * 8 + [2, 3, 4, 4, 5, 6, 7, 8]
    assert oracle.axes["acting"] == "oracle"
    assert oracle.questions["right"].to_list() == [1, 1, 1, 0]
    assert oracle.rounds.tolist() == [1, 2, 7]  # nobody is right on the last question, so it took no rounds
    assert (random.usd, oracle.seconds, oracle.tuned, oracle.prompted) == (None, None, False, False)


def test_a_prompted_method_asked_once_stands_for_every_seed(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(IO, [0, 0])
    maker.cell(COT, [0, 0])
    for seed, right in (("0", [1, 0]), ("1", [0, 0]), ("2", [1, 1])):
        maker.cell({**TUNED, "seed": seed}, right)
    for seed, right in (("0", [0, 0]), ("2", [0, 0])):
        maker.cell({**REFLEXION, "seed": seed}, right)
    (_, oracle), _ = choices(maker)
    assert list(oracle.seeds) == ["0", "2"]
    assert oracle.questions["right"].to_list() == [1, 0.5]


def test_without_a_partner_on_the_same_questions_there_is_no_choice_but_a_note(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(IO, [0, 0, 1])
    maker.cell(TUNED, [1, 0])
    maker.cell(REFLEXION, [1, 0])
    rows, notes = choices(maker)
    assert rows == []
    assert notes == ["No choice among the methods: IO prompted and CoT prompted did not answer the same questions."]


def test_adapters_that_were_tuned_elsewhere_can_be_chosen_among_too(tmp_path):
    maker = Maker(tmp_path)
    maker.cell(IO, [1, 0])
    maker.cell(COT, [0, 0])
    for axes in (TUNED, REFLEXION):
        (maker.cell(axes, [0, 0]).fit / "metrics.json").unlink()
    (_, oracle), _ = choices(maker)
    assert oracle.questions["right"].to_list() == [1, 0]
