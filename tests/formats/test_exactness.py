"""Every kind of template with every kind of tokenizer: the prompt is the official one, the context of a row is that
prompt, what is learnt is read back; how many rows there are is measured."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from fireact.formats import SEGMENTS, text_format
from fireact.formats.exactness import measure
from fireact.trajectories.dialogue import Dialogue
from tests.formats.small import TEMPLATES, TOKENIZERS, episode


@pytest.fixture(scope="module", params=TOKENIZERS)
def small(request: pytest.FixtureRequest) -> Any:
    tokenizer = TOKENIZERS[request.param]()
    tokenizer.kind = request.param
    return tokenizer


@pytest.mark.parametrize("thinking", ["none", "keep"])
@pytest.mark.parametrize("kind", TEMPLATES)
def test_chat_is_exact(small: Any, kind: str, thinking: Any) -> None:
    template, one_row, one_row_reasoning = TEMPLATES[kind]
    small.chat_template = template
    today = {"date": str(datetime.date.today())}
    found = measure("chat", small, episode(thinking == "keep"), thinking, today)
    assert found.faults == ()
    if small.kind != "merging":
        assert found.rows == (1 if (one_row if thinking == "none" else one_row_reasoning) else 3)


@pytest.mark.parametrize("layout", ["alpaca", "react"])
def test_plain_text_is_exact(small: Any, layout: str) -> None:
    found = measure(layout, small, episode())
    assert found.faults == ()
    assert found.rows == (3 if small.kind == "merging" else 1)


def test_sentencepiece_adds_no_space_in_the_middle_of_a_row() -> None:
    """Stretches encoded one by one had one each, and lost it after the begin token."""
    tokenizer = TOKENIZERS["SentencePiece"]()
    dialogue = episode()
    [example] = text_format("react", tokenizer).examples(dialogue, finished=True)
    [before] = text_format("react", tokenizer, encoding=SEGMENTS).examples(dialogue, finished=True)
    text = "".join(segment.text for segment in example.segments).removesuffix("</s>")
    assert list(example.ids) == [*tokenizer(text).input_ids, tokenizer.eos_token_id]
    assert example.ids != before.ids
    assert "".join(s.text for s in before.segments) == f"<s>{text}</s>"
    assert tokenizer.decode(before.ids).count("\n Thought") == 2 and "\n Thought" not in tokenizer.decode(example.ids)


def test_two_tokens_that_a_tokenizer_puts_before_every_text_stand_before_plain_prompts(word: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    marks = [("<|im_start|>", 2), ("<|channel|>", 4)]
    word.backend_tokenizer.post_processor = TemplateProcessing("<|im_start|> <|channel|> $A", special_tokens=marks)
    assert text_format("react", word).prompt(Dialogue("Who?"))[:2] == [2, 4]
    assert measure("react", word, episode()).faults == ()


@pytest.fixture
def word() -> Any:
    return TOKENIZERS["byte level"]()


def test_white_space_that_a_tokenizer_cuts_by_what_follows_is_measured(smollm2: Any) -> None:
    """Two spaces before a line break are a token at a prompt's end, and two before more text."""
    found = measure("react", smollm2.tokenizer(), replace(episode(), question="Who?  "))
    assert (found.rows, found.faults) == (2, ())


def test_rows_of_the_embedded_backbone_are_those_of_stretches(smollm2: Any) -> None:
    """What was tuned before goes on with the very same tokens."""
    tokenizer = smollm2.tokenizer()
    dialogues = [episode(), replace(episode(), question="A?\nA. x\nB. y"), replace(episode(), question="é 12 345 «x»")]
    for layout in ("react", "alpaca", "chat"):
        for dialogue in dialogues:
            for everything in (False, True):
                now, before = (
                    text_format(layout, tokenizer, encoding=encoding).examples(dialogue, True, everything)
                    for encoding in ("whole", SEGMENTS)
                )
                assert [(row.ids, row.targets) for row in now] == [(row.ids, row.targets) for row in before]
            for number in range(3):
                half = replace(dialogue, turns=dialogue.turns[:number], prefill="Thought: so")
                assert text_format(layout, tokenizer).prompt(half) == text_format(
                    layout, tokenizer, encoding=SEGMENTS
                ).prompt(half)
