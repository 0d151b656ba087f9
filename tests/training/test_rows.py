"""Rows: the mask, what is trimmed, and what happens to trajectories that do not fit."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from fireact.errors import ConfigError, DataError
from fireact.formats import text_format
from fireact.training.rows import Row, RowMaker
from fireact.trajectories.dialogue import dialogue_of
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from tests.conftest import CHATML

STEPS = (
    Step("I need X.", "search", "X", "X is a book by Y."),
    Step("Y wrote it.", "finish", "Y", "Episode finished, reward = True"),
)
TRAJECTORY = Trajectory(
    Question("q1", "Who wrote X?", "Y", "task", "train"), "react", STEPS, Ending.FINISH, "Y", Score(1.0, 1.0, True)
)


def maker(tokenizer: Any, name: str = "alpaca", **options: Any) -> RowMaker:
    return RowMaker(text_format(name, tokenizer), **options)


def target_texts(row: Row, tokenizer: Any) -> list[str]:
    """The stretches of targets, decoded."""
    texts, at = [], 0
    ids, targets = row.ids.tolist(), row.targets.tolist()
    while at < len(ids):
        end = next((i for i in range(at, len(ids)) if targets[i] != targets[at]), len(ids))
        if targets[at]:
            texts.append(tokenizer.decode(ids[at:end]))
        at = end
    return texts


@pytest.mark.parametrize(
    ("name", "end"), [("alpaca", "\n<|im_end|>"), ("react", "\n<|im_end|>"), ("chat", "<|im_end|>")]
)
def test_targets_are_the_turns_and_the_end_token(tokenizer: Any, name: str, end: str) -> None:
    (row,), _ = maker(tokenizer, name).rows([TRAJECTORY])
    assert target_texts(row, tokenizer) == [
        "Thought: I need X.\nAction: search[X]" + end.removesuffix("<|im_end|>" if name != "chat" else ""),
        "Thought: Y wrote it.\nAction: finish[Y]" + end,
    ]
    assert row.targets[-1], "nothing follows the last target"
    assert "Episode finished" not in tokenizer.decode(row.ids.tolist())


def test_a_row_starts_with_what_an_acting_model_sees(tokenizer: Any) -> None:
    for name in ("alpaca", "react", "chat"):
        (row,), _ = maker(tokenizer, name).rows([TRAJECTORY])
        dialogue = dialogue_of(TRAJECTORY)
        for turns in range(2):
            prompt = text_format(name, tokenizer).prompt(replace(dialogue, turns=dialogue.turns[:turns]))
            assert row.ids[: len(prompt)].tolist() == prompt and row.targets[len(prompt)]


def test_loss_on_all_learns_everything_the_release_did(tokenizer: Any) -> None:
    (row,), _ = maker(tokenizer, loss_on="all").rows([TRAJECTORY])
    assert row.targets.all()
    assert tokenizer.decode(row.ids.tolist()).endswith(
        "Action: finish[Y]\nObservation: Episode finished, reward = True\n<|im_end|>"
    )


def test_an_unfinished_trajectory_has_no_end_token_and_no_last_observation(tokenizer: Any) -> None:
    unfinished = replace(TRAJECTORY, steps=STEPS[:1], ending=Ending.STEP_LIMIT)
    (row,), _ = maker(tokenizer).rows([unfinished])
    assert tokenizer.decode(row.ids.tolist()).endswith("Action: search[X]\n")


def test_a_failed_trajectory_needs_no_gold_answer_to_be_learnt(tokenizer: Any) -> None:
    """Its target is what was said, as in the released files, 49 rows of which are marked as failed."""
    wrong = replace(TRAJECTORY, question=replace(TRAJECTORY.question, answer=""), score=Score(0.0, 0.0, False))
    for loss_on in ("targets", "all"):
        [right_row, wrong_row], _ = maker(tokenizer, loss_on=loss_on).rows([TRAJECTORY, wrong])
        assert wrong_row.ids.tolist() == right_row.ids.tolist() and wrong_row.targets.equal(right_row.targets)


def test_too_long_is_dropped_split_or_an_error(tokenizer: Any) -> None:
    (whole,), _ = maker(tokenizer).rows([TRAJECTORY])
    other = replace(TRAJECTORY, question=replace(TRAJECTORY.question, id="short", text="W"), steps=STEPS[1:])
    limit = len(whole) - 1

    rows, fit = maker(tokenizer, max_length=limit).rows([TRAJECTORY, other])
    assert [row.question for row in rows] == ["short"] and fit.dropped == ["q1"] and fit.split == []
    assert fit.lost == {"task/react": 1}

    rows, fit = maker(tokenizer, max_length=limit, too_long="split").rows([TRAJECTORY, other])
    assert [row.question for row in rows] == ["q1", "short"] and fit.dropped == [] and fit.split == ["q1"]
    assert whole.ids[: len(rows[0])].tolist() == rows[0].ids.tolist()
    assert target_texts(rows[0], tokenizer) == ["Thought: I need X.\nAction: search[X]\n"]

    with pytest.raises(DataError, match=rf"q1 has {len(whole)} tokens, more than max_length={limit}"):
        maker(tokenizer, max_length=limit, too_long="error").rows([TRAJECTORY])
    with pytest.raises(DataError, match="exceeds max_length=5"):
        maker(tokenizer, max_length=5, too_long="split").rows([TRAJECTORY])


def test_split_cuts_at_a_step_whatever_is_learnt(tokenizer: Any) -> None:
    (whole,), _ = maker(tokenizer, loss_on="all").rows([TRAJECTORY])
    (piece,), _ = maker(tokenizer, loss_on="all", max_length=len(whole) - 1, too_long="split").rows([TRAJECTORY])
    assert tokenizer.decode(piece.ids.tolist()).endswith("Action: finish[Y]\n") and piece.targets.all()


def test_exactly_fitting_is_kept_whole(tokenizer: Any) -> None:
    (whole,), _ = maker(tokenizer).rows([TRAJECTORY])
    rows, fit = maker(tokenizer, max_length=len(whole)).rows([TRAJECTORY])
    assert rows[0].ids.tolist() == whole.ids.tolist() and fit.dropped == fit.split == []


def test_unknown_options(tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="loss_on=some is unknown"):
        maker(tokenizer, loss_on="some")
    with pytest.raises(ConfigError, match="too_long=cut is unknown"):
        maker(tokenizer, too_long="cut")


def test_a_template_that_changes_what_was_said_makes_each_turn_a_row(tokenizer: Any) -> None:
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = CHATML.replace("m['content'] }}", "m['content'] }}{% if loop.last %}!{% endif %}")
    rows, fit = maker(tokenizer, "chat").rows([TRAJECTORY])
    layout, dialogue = text_format("chat", tokenizer), dialogue_of(TRAJECTORY)
    assert [row.question for row in rows] == ["q1", "q1"] and fit.by_turn == 2
    for number, row in enumerate(rows):
        prompt = layout.prompt(replace(dialogue, turns=dialogue.turns[:number]))
        assert row.ids[: len(prompt)].tolist() == prompt
        assert row.targets.tolist() == [False] * len(prompt) + [True] * (len(row) - len(prompt))

    limit = len(rows[0])
    [first], fit = maker(tokenizer, "chat", max_length=limit, too_long="split").rows([TRAJECTORY])
    assert first.ids.tolist() == rows[0].ids.tolist() and fit.split == ["q1"]
    with pytest.raises(DataError, match=f"each of 1 trajectories exceeds max_length={limit}"):
        maker(tokenizer, "chat", max_length=limit).rows([TRAJECTORY])


def test_reasoning_that_is_not_learnt_is_counted(tokenizer: Any) -> None:
    thought = "<think>\nHm.\n</think>\n\nI need X."
    reasoning = replace(TRAJECTORY, steps=(replace(STEPS[0], thought=thought), STEPS[1]))
    [row], fit = maker(tokenizer).rows([reasoning])
    [plain], none = maker(tokenizer).rows([TRAJECTORY])
    assert (fit.reasoning, none.reasoning) == (1, 0) and row.ids.tolist() == plain.ids.tolist()
    [kept], fit = RowMaker(text_format("alpaca", tokenizer, "keep")).rows([reasoning])
    assert fit.reasoning == 0 and "<think>\nHm.\n</think>\n\nThought: I need X." in tokenizer.decode(kept.ids.tolist())
