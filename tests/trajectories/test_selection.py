from __future__ import annotations

from pathlib import Path

import pytest

from fireact.errors import ConfigError
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from fireact.trajectories.selection import Rules, Selection, export

QUESTIONS = [Question(f"q{i}", f"Who wrote book number {i}?", "Y", "test", "train") for i in range(6)]
RIGHT, WRONG = Score(1.0, 1.0, True), Score(0.0, 0.4, False)


def trajectory(
    number: int, score: Score = RIGHT, ending: Ending = Ending.FINISH, text: str = "", query: str = ""
) -> Trajectory:
    question = Question(f"q{number}", text or QUESTIONS[number].text, "Y", "test", "train")
    steps = Step("t", "search", query or str(number), "o"), Step("t", "finish", "Y")
    return Trajectory(question, "react", steps, ending, "Y", score)


def select(*trajectories: Trajectory, target: int | None = None, **rules: object) -> Selection:
    selection = Selection(QUESTIONS, Rules(**rules), target)  # type: ignore[arg-type]
    for one in trajectories:
        selection(one)
    return selection


def kept(selection: Selection) -> list[str]:
    return [trajectory.question.id for trajectory in selection.kept]


@pytest.mark.parametrize(
    ("rules", "one", "reason"),
    [
        ({}, trajectory(0), ""),
        ({}, trajectory(0, WRONG), "wrong"),
        ({}, trajectory(0, WRONG, Ending.STEP_LIMIT), "step_limit"),
        ({"right": False}, trajectory(0, WRONG, Ending.STEP_LIMIT), ""),
        ({"right": False, "min_f1": 0.4}, trajectory(0, WRONG), ""),
        ({"right": False, "min_f1": 0.41}, trajectory(0, WRONG), "low_f1"),
        ({"max_rounds": 2}, trajectory(0), ""),
        ({"max_rounds": 1}, trajectory(0), "too_many_rounds"),
        ({"max_chars": 81}, trajectory(0), ""),
        ({"max_chars": 80}, trajectory(0), "too_long"),
    ],
)
def test_every_rule_has_its_reason(rules: dict[str, object], one: Trajectory, reason: str) -> None:
    selection = select(one, **rules)
    assert (len(selection.kept), selection.dropped) == ((0, {reason: 1}) if reason else (1, {}))


def test_the_order_of_the_questions_decides_not_of_the_finish() -> None:
    trajectories = [trajectory(i, WRONG if i == 1 else RIGHT) for i in range(6)]
    for order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 0, 5, 1, 3, 4]):
        selection = select(*(trajectories[i] for i in order), target=3)
        assert kept(selection) == ["q0", "q2", "q3"]
        assert selection.dropped == {"wrong": 1, "surplus": 2}


def test_it_is_enough_once_the_first_questions_yield_the_target() -> None:
    selection = select(trajectory(1), trajectory(2), trajectory(3), target=2)
    assert not selection.enough(), "question 0 is still under way and might change which two are the first"
    selection(trajectory(0))
    assert selection.enough() and kept(selection) == ["q0", "q1"]
    assert not select(*map(trajectory, range(6))).enough(), "no target"


def test_the_same_question_is_kept_once_whatever_was_done() -> None:
    same = trajectory(1, text="who wrote the BOOK, number 0")
    assert select(trajectory(0), same).dropped == {"same_question": 1}
    assert select(trajectory(0), same, similarity=None).dropped == {"same_question": 1}


def test_near_duplicates_do_the_same_for_nearly_the_same_question() -> None:
    first, other = trajectory(0, query="x"), trajectory(1, query="X.")
    # Of {who, wrote, book, number, 0} and the same with 1, four of six words are shared.
    assert select(first, other, similarity=4 / 6).dropped == {"near_duplicate": 1}
    assert select(first, other, similarity=4 / 6 + 0.01).dropped == {}
    assert select(first, other, similarity=None).dropped == {}
    assert select(first, trajectory(1, query="y"), similarity=0.1).dropped == {}


def test_near_duplicates_are_found_whichever_words_differ() -> None:
    words = [f"{'w' * length}{length}" for length in range(1, 11)]
    for gone in range(10):
        texts = " ".join(words), " ".join(words[:gone] + words[gone + 1 :])
        pair = [trajectory(i, text=text, query="x") for i, text in enumerate(texts)]
        assert select(*pair, similarity=0.9).dropped == {"near_duplicate": 1}
        assert select(*pair, similarity=0.91).dropped == {}


def test_a_likeness_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="select.similarity=1.5 is no likeness; choose one above 0 and up to 1"):
        Rules(similarity=1.5)


def test_the_summary_says_what_was_dropped_and_missed() -> None:
    trajectories = [trajectory(0), trajectory(1, WRONG), trajectory(2, WRONG), trajectory(3, WRONG, Ending.BUDGET)]
    assert select(*trajectories, target=5).summary() == (
        "kept 1 of 4 asked (dropped 2 wrong, 1 budget), 4 fewer than the target"
    )
    assert select(*trajectories).summary() == "kept 1 of 4 asked (dropped 2 wrong, 1 budget)"
    assert select(*trajectories).counts() == {"kept": 1, "dropped": 3, "dropped_by_reason": {"wrong": 2, "budget": 1}}


def test_an_export_says_what_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = [trajectory(0), trajectory(1, WRONG, Ending.STEP_LIMIT), trajectory(2)]
    (path,) = export(["chat"], kept, tmp_path)
    assert len(path.read_text().splitlines()) == 2
    assert capsys.readouterr().out == (
        "export=chat leaves out 1 of 3 trajectories, which it can't hold (trajectories.jsonl does); the first is q1: "
        "it ended by step_limit, without an answer; write it to=jsonl\n"
    )
    export([], kept, tmp_path)
    export(["alpaca"], kept[::2], tmp_path)
    assert capsys.readouterr().out == ""
