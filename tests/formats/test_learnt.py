"""Turns that are context alone, and what a system message says, in every format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fireact.errors import DataError
from fireact.formats import SEGMENTS, text_format
from fireact.formats.exactness import measure
from fireact.formats.served import served_messages, served_text
from fireact.training.rows import RowMaker
from fireact.trajectories.dialogue import Dialogue
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from tests.formats.small import CHATML, TEMPLATES, TOKENIZERS, byte_level, episode

SYSTEM = "You look things up.\nBe brief."
REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHATML
SAYING = CHATML.replace("{% if m.role == 'user' %}<|im_start|>user", "{% if m.role != 'assistant' %}"
                        "<|im_start|>{{ m.role }}")  # fmt: skip
STEPS = (Step("I need Emma.", "search", "Emma", "Emma is a book"), Step("", "search", "Jane Austen", "wrote Emma"),
         Step("Austen wrote it.", "finish", "Jane Austen"))  # fmt: skip


def unlearnt(dialogue: Dialogue, *numbers: int) -> Dialogue:
    turns = [replace(turn, learnt=number not in numbers) for number, turn in enumerate(dialogue.turns)]
    return replace(dialogue, turns=tuple(turns))


def trajectory(*learnt: bool, system: str = "") -> Trajectory:
    steps = tuple(replace(step, learnt=is_learnt) for step, is_learnt in zip(STEPS, learnt, strict=True))
    question = Question("q", "Who wrote Emma?", "Jane Austen", "t", "train", system=system)
    return Trajectory(question, "react", steps, Ending.FINISH, "Jane Austen", Score(1, 1, True))


@pytest.mark.parametrize("kind", ["byte level", "SentencePiece"])  # the third makes a row of each turn
@pytest.mark.parametrize(("layout", "encoding"), [("react", "whole"), ("alpaca", SEGMENTS), ("chat", "whole"),
                                                  ("chat", SEGMENTS)])  # fmt: skip
def test_a_turn_that_is_not_learnt_is_context(kind: str, layout: str, encoding: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    tokenizer.chat_template = CHATML
    form = text_format(layout, tokenizer, encoding=encoding)
    everything = form.examples(episode(), finished=True)
    some = form.examples(unlearnt(episode(), 1), finished=True)
    assert [row.ids for row in some] == [row.ids for row in everything]
    [said] = [segment.text for row in everything for segment in row.segments if "Action: search[Jane" in segment.text]
    assert [segment.text for row in some for segment in row.segments if segment.target] == [
        segment.text for row in everything for segment in row.segments if segment.target and segment.text != said
    ]
    for row, full in zip(some, everything, strict=True):
        masked = [at for at, (now, then) in enumerate(zip(row.targets, full.targets, strict=True)) if now != then]
        assert tokenizer.decode([row.ids[at] for at in masked]).strip() == said.strip()
        assert list(row.barred) == [at in masked for at in range(len(row.ids))]
    assert form.prompt(unlearnt(episode(), 1)) == form.prompt(episode())


def test_an_end_token_after_a_turn_that_is_not_learnt_is_context_too() -> None:
    [row] = text_format("react", byte_level()).examples(unlearnt(episode(), 2), finished=True)
    assert row.segments[-2].text.endswith("finish[Jane Austen]\n") and row.segments[-1].text == "</s>"
    assert not any(segment.target for segment in row.segments[-2:])
    [old] = text_format("react", byte_level(), encoding=SEGMENTS).examples(unlearnt(episode(), 2), finished=True)
    assert (old.segments[-1].text, old.targets[-1]) == ("Action: search[Jane Austen]\n", True)


def test_where_each_turn_is_a_row_one_that_is_not_learnt_has_none() -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = TEMPLATES["drops its think block"][0]
    form = text_format("chat", tokenizer)
    first, _, third = form.examples(episode(), finished=True)
    one, other = form.examples(unlearnt(episode(), 1), finished=True)
    assert one == first
    assert (other.ids, other.targets) == (third.ids, third.targets)
    # what stands in its context was not learnt, so no token of that context may be, even where all are
    assert list(other.barred) == [not target for target in other.targets]


@pytest.mark.parametrize("loss_on", ["targets", "all"])
def test_rows_learn_nothing_of_such_a_turn(loss_on: str) -> None:
    tokenizer = byte_level()
    maker = RowMaker(text_format("react", tokenizer), loss_on)
    [full], _ = maker.rows([trajectory(True, True, True)])
    [row], _ = maker.rows([trajectory(True, False, True)])
    assert row.ids.tolist() == full.ids.tolist()
    masked = row.ids[full.targets & ~row.targets].tolist()
    assert tokenizer.decode(masked) == "Action: search[Jane Austen]\n"
    assert bool((row.targets & ~full.targets).any()) is False


def test_a_trajectory_without_a_turn_to_learn_is_refused() -> None:
    with pytest.raises(DataError, match="^no turn of the trajectory of q is to be learnt; leave it out, or mark"):
        RowMaker(text_format("react", byte_level())).rows([trajectory(False, False, False)])


@pytest.mark.parametrize("encoding", ["whole", SEGMENTS])
@pytest.mark.parametrize(
    ("layout", "head"),
    [("react", f"Question: {SYSTEM}\n\nWho wrote Emma?\n"),
     ("alpaca", f"### Instruction:\n{SYSTEM}\n\nWho wrote Emma?\n")],
)  # fmt: skip
def test_plain_layouts_begin_the_question_with_the_system_text(layout: str, head: str, encoding: str) -> None:
    tokenizer = byte_level()
    form = text_format(layout, tokenizer, encoding=encoding)
    dialogue = replace(episode(), system=SYSTEM)
    assert head in tokenizer.decode(form.prompt(replace(dialogue, turns=())))
    [row] = form.examples(dialogue, finished=True)
    assert head in row.segments[0].text
    assert form.prompt(replace(dialogue, system=" ")) == form.prompt(episode())


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (SAYING, f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nWho wrote Emma?<|im_end|>"),
        (REFUSING, f"<|im_start|>user\n{SYSTEM}\n\nWho wrote Emma?<|im_end|>"),
        (CHATML.replace("{% else %}", "{% elif m.role == 'assistant' %}"),  # drops it
         f"<|im_start|>user\n{SYSTEM}\n\nWho wrote Emma?<|im_end|>"),
    ],
)  # fmt: skip
def test_a_chat_template_says_the_system_text_where_it_can(template: str, said: str) -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = template
    form = text_format("chat", tokenizer)
    dialogue = replace(episode(), system=SYSTEM)
    [row] = form.examples(dialogue, finished=True)
    assert row.segments[0].text == said + "\n<|im_start|>assistant\n"
    assert tokenizer.decode(form.prompt(replace(dialogue, turns=()))) == row.segments[0].text
    assert measure("chat", tokenizer, dialogue).verdict == "exact, one row a trajectory"


def test_a_server_is_sent_a_system_message() -> None:
    asked: Any = Dialogue("Who?", system=SYSTEM)
    assert served_messages(asked) == [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Who?"}]
    shown = replace(asked, few_shot="Look:")
    assert served_messages(shown) == [
        {"role": "system", "content": SYSTEM}, {"role": "user", "content": "Look:\n\nQuestion: Who?\n"}
    ]  # fmt: skip
    assert served_text(asked, "react") == f"Question: {SYSTEM}\n\nWho?\n"


def test_a_system_text_is_in_the_rows_of_a_trajectory() -> None:
    tokenizer = byte_level()
    [row], _ = RowMaker(text_format("react", tokenizer)).rows([trajectory(True, True, True, system=SYSTEM)])
    assert tokenizer.decode(row.ids.tolist()).startswith(f"Question: {SYSTEM}\n\nWho wrote Emma?\n")
