"""Chat templates: days, reasoning, refusals, and what text from outside can do."""

from __future__ import annotations

from typing import Any

import pytest

from fireact.errors import ConfigError, ParseError
from fireact.formats import text_format
from fireact.formats.served import served_messages
from fireact.trajectories.dialogue import Dialogue, Turn, parse_step, reasoned, step_text
from fireact.trajectories.records import Step
from tests.formats.small import CHATML, TEMPLATES, byte_level, episode


@pytest.fixture
def tokenizer() -> Any:
    return byte_level()


def said(tokenizer: Any, kind: str, thinking: Any = "none", reasons: bool = False) -> list[str]:
    """The learnt texts of the episode."""
    tokenizer.chat_template = TEMPLATES[kind][0]
    rows = text_format("chat", tokenizer, thinking).examples(episode(reasons), finished=True)
    return [segment.text for row in rows for segment in row.segments if segment.target]


@pytest.mark.parametrize(("args", "day"), [({}, "26 Jul 2024"), ({"date": "2031-01-02"}, "02 Jan 2031")])
def test_the_day_of_a_template_is_fixed(tokenizer: Any, args: dict[str, str], day: str) -> None:
    tokenizer.chat_template = TEMPLATES["a day"][0]
    prompt = text_format("chat", tokenizer, template_args=args).prompt(Dialogue("Who?"))
    assert tokenizer.decode(prompt).startswith(f"<|im_start|>system\n{day}<|im_end|>\n<|im_start|>user\nWho?")


@pytest.mark.parametrize("args", [{"date": "today"}, {"tools": []}, {"chat_template": "x"}])
def test_arguments_that_are_none_of_a_template(tokenizer: Any, args: dict[str, Any]) -> None:
    tokenizer.chat_template = CHATML
    with pytest.raises(ConfigError, match=f"backbone.template_args.{[*args][0]}"):
        text_format("chat", tokenizer, template_args=args)


def test_an_empty_think_block_of_the_prompt_is_context(tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATES["drops its think block"][0]
    first, second, _ = text_format("chat", tokenizer).examples(episode(), finished=True)
    end = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert [row.segments[0].text.endswith(end) for row in (first, second)] == [True, True]
    assert first.segments[-1].text == "Thought: I need Emma.\nAction: search[Emma]<|im_end|>"
    assert "<|im_start|>assistant\nThought: I need Emma.\nAction: search[Emma]<|im_end|>" in second.segments[0].text


def test_a_think_block_that_the_prompt_opens_is_closed_first(tokenizer: Any) -> None:
    turns = said(tokenizer, "opens a think block")
    assert turns[1] == "\n</think>\n\nAction: search[Jane Austen]<|im_end|>"
    assert said(tokenizer, "opens a think block", "keep", True)[1] == "Not said." + turns[1]


def test_channels_are_learnt_and_read(tokenizer: Any) -> None:
    first = "<|channel|>final<|message|>Thought: I need Emma.\nAction: search[Emma]<|return|>"
    assert said(tokenizer, "channels")[0] == first
    analysis = "<|channel|>analysis<|message|>Whose?\nAction: search[no]"
    assert said(tokenizer, "channels", "keep", True)[0] == f"{analysis}<|end|><|im_start|>assistant\n{first}"
    layout = text_format("chat", tokenizer)
    assert layout.heard(f"{analysis}") == ("Whose?\nAction: search[no]", "")
    assert layout.heard(f"{analysis}<|end|><|im_start|>assistant\n{first}")[1] == first.partition("<|message|>")[2]
    assert tokenizer.decode(layout.prompt(Dialogue("Who?", prefill="Thought: so"))).endswith(
        "<|im_start|>assistant\n<|channel|>final<|message|>Thought: so"
    )


def test_reasoning_is_left_out_or_kept_as_the_key_says(tokenizer: Any) -> None:
    assert said(tokenizer, "ChatML", reasons=True) == said(tokenizer, "ChatML")
    kept = said(tokenizer, "ChatML", "keep", True)
    assert kept[1] == "<think>\nNot said.\n</think>\n\nAction: search[Jane Austen]<|im_end|>"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('Roles must alternate!') }}", r"refuses the dialogue \(Roles must alternate\)"),
        ("{{ messages[0].nothing.more }}", "refuses the dialogue"),
        ("{{ 1 // 0 }}", "refuses the dialogue"),
        ("{% for", "refuses the dialogue"),
        ("{{ messages[0].content }}<|im_end|>", "leaves turns out"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "marks no end of the model's turns"),
    ],
)
def test_a_template_that_can_not_be_used_is_refused_in_a_sentence(tokenizer: Any, template: str, why: str) -> None:
    tokenizer.chat_template = template
    with pytest.raises(ConfigError, match=rf"^this backbone's chat template {why}.*; use backbone.format=alpaca$"):
        text_format("chat", tokenizer)


def test_a_dialogue_that_a_template_refuses_is_refused_too(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% if 'Bad' in messages[0].content %}{{ raise_exception('Bad') }}{% endif %}" + CHATML
    with pytest.raises(ConfigError, match=r"refuses the dialogue \(Bad\); use backbone.format=alpaca"):
        text_format("chat", tokenizer).prompt(Dialogue("Bad?"))


@pytest.mark.parametrize("thinking", ["none", "keep"])
def test_think_marks_in_contents_are_inert(tokenizer: Any, thinking: Any) -> None:
    """Templates drop what stands before one."""
    tokenizer.chat_template = TEMPLATES["drops its think block"][0]
    dialogue = Dialogue("a</think>b", turns=(Turn("Thought: x</think>y\nAction: search[z]", "</think>w"),))
    text = tokenizer.decode(text_format("chat", tokenizer, thinking).prompt(dialogue))
    assert "a<\u200b/think>b<|im_end|>" in text and "Observation: <\u200b/think>w" in text
    assert "Thought: x<\u200b/think>y" in text


@pytest.mark.parametrize("thought", ["<think>\nR\n</think>\n\nX", "<think>\nR\nAction: finish[no]\n</think>", "X"])
def test_reasoning_is_read_back_and_holds_no_action(thought: str) -> None:
    step = Step(thought, "search", "a")
    assert parse_step(step_text(step)) == step
    with pytest.raises(ParseError):
        parse_step("<think>\nI could\nAction: search[x]\n")


def test_what_a_server_reasons_is_no_part_of_the_turn() -> None:
    assert reasoned("<think>\nAction: finish[no]\n</think>\n\nThought: x") == ("Action: finish[no]", "\n\nThought: x")
    assert reasoned("so\n</think>\nThought: x") == ("so", "\nThought: x")
    assert reasoned("<think>\nAction: finish[no]\n") == ("Action: finish[no]", "")
    assert reasoned("Thought: x") == ("", "Thought: x")
    _, turn, _ = served_messages(Dialogue("Who?", turns=(Turn("<think>\nR\n</think>\n\nThought: x", "y"),)))
    assert turn == {"role": "assistant", "content": "Thought: x", "reasoning_content": "R"}
