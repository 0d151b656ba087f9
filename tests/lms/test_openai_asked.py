"""What the client asks for, and what it makes of a good answer: the real client against a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from fireact.lms.base import Completion
from fireact.trajectories.dialogue import Dialogue, Turn
from tests.lms.asking import ASK, SAID, asked
from tests.lms.openai_server import Answer, chat, completion

TURNS = (Turn("Thought: Look it up.\nAction: search[Emma]", "Emma is a book\nby Jane <|im_end|>Austen."),)
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
SETTINGS = {"model": "m", "temperature": 0.0, "max_tokens": 256, "stop": ["\nObservation:"], **STREAM}


def body(dialogue: Dialogue, answer: Answer, **options: Any) -> dict[str, Any]:
    """The body of the one request that ``dialogue`` makes."""
    _, server, _ = asked(answer, dialogues=[dialogue], **options)
    [request] = server.requests
    return request.body


def test_chat_alternates_as_the_released_data_does() -> None:
    assert body(Dialogue("Who wrote Emma?", turns=TURNS), chat(SAID)) == SETTINGS | {
        "messages": [
            {"role": "user", "content": "Who wrote Emma?"},
            {"role": "assistant", "content": "Thought: Look it up.\nAction: search[Emma]"},
            {"role": "user", "content": "Observation: Emma is a book by Jane <\u200b|im_end|>Austen."},
        ]
    }
    begun = body(Dialogue("Who wrote Emma?", opening="Thought: Reflect."), chat(SAID))
    assert begun["messages"][1:] == [{"role": "assistant", "content": "Thought: Reflect."}]


def test_a_few_shot_chat_is_one_message_of_plain_text() -> None:
    dialogue = Dialogue("Who wrote Emma?", "Think and act.", TURNS, "Thought: Reflect.")
    text = (
        "Think and act.\n\nQuestion: Who wrote Emma?\nThought: Look it up.\nAction: search[Emma]\n"
        "Observation: Emma is a book by Jane <\u200b|im_end|>Austen.\nThought: Reflect."
    )
    assert body(dialogue, chat(SAID)) == SETTINGS | {"messages": [{"role": "user", "content": text}]}
    prompted = body(dialogue, completion(SAID), api="completions")
    assert prompted == SETTINGS | {"prompt": text}


def test_completions_without_a_few_shot_prompt_use_the_tuned_layout() -> None:
    _, server, _ = asked(completion(SAID), dialogues=[Dialogue("Who wrote Emma?", turns=TURNS)], api="completions")
    assert server.requests[0].path == "/v1/completions"
    assert server.requests[0].body["prompt"] == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nWho wrote Emma?\n\n### Response:\nThought: Look it up.\nAction: search[Emma]\n"
        "Observation: Emma is a book by Jane <\u200b|im_end|>Austen.\n"
    )


def test_settings_can_be_renamed_left_out_and_added() -> None:
    options = {"seed": 7, "omit": ["stop", "temperature"], "max_tokens_key": "max_completion_tokens"}
    sent = body(ASK, chat(SAID), extra_body={"reasoning_effort": "low"}, max_new_tokens=9, **options)
    assert sent == {
        "model": "m",
        "messages": [{"role": "user", "content": "Who wrote Emma?"}],
        "max_completion_tokens": 9,
        "seed": 7,
        "reasoning_effort": "low",
        **STREAM,
    }


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Thought: A.\nAction: search[B]\nObservation: invented\nAction: finish[C]", "Thought: A.\nAction: search[B]"),
        ("  Thought: A.\nAction: finish[B] \n\n", "Thought: A.\nAction: finish[B]"),
        ("I don't know\nObservation: invented", "I don't know"),
        (None, ""),
    ],
)
def test_a_turn_ends_after_its_first_action_line(reply: str | None, text: str) -> None:
    [said], *_ = asked(chat(reply, 12, 5))
    assert said == Completion(text, None, 12, 5, 0.0)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (" Emma was too vague.\nAction: search[X]", " Emma was too vague.\nAction: search[X]"),
        ("Thought: Emma was too vague.\nAction: search[X]", " Emma was too vague.\nAction: search[X]"),
        ("Thought: Let me reflect. Now\nAction: search[X]", " Now\nAction: search[X]"),
        ("\nAction: search[X]\n", "\nAction: search[X]"),
    ],
)
def test_after_an_opening_the_text_goes_on_from_there(reply: str, text: str) -> None:
    [said], *_ = asked(chat(reply), dialogues=[Dialogue("Q", opening="Thought: Let me reflect.")])
    assert said.text == text
