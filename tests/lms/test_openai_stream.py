"""Streams over a real socket: the same turns as whole replies, left where the turn ends, and never without end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from fireact.errors import ModelError
from fireact.lms.base import Completion
from fireact.lms.openai import OpenAI, streaming
from fireact.trajectories.dialogue import Dialogue, Turn, split_reasoning
from tests.lms.asking import ASK, SAID, asked
from tests.lms.openai_server import Answer, Loopback, Request, Stream, chat, completion, error, streamed

WHOLE = {"chat": chat, "completions": completion}
SAYINGS = [
    SAID,
    f"{SAID}\n",
    f"  {SAID} \n\n",
    f"{SAID}\nThought: And on.\nAction: finish[B]",
    f"{SAID}\nObservation: invented\nAction: finish[B]",
    "Thought: [1] lists a[0] and Action: b[c].\nAction: search[x[0] and [y]] \nmore",
    "Thought: A.\nAction: search[B\nand C]\nAction: finish[D]\nE",
    "I don't know\nObservation: invented\nAction: finish[B]\n",
    "Thought: é 😀.\nAction: finish[😀]\n",
    "I don't know.",
    "",
    f"<think>\nI could\nAction: finish[no]\n</think>\n\n{SAID}\n",
]


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("text", SAYINGS)
def test_a_stream_says_what_a_whole_reply_says(text: str, api: str) -> None:
    cuts = [[text[at : at + size] for at in range(0, len(text), size)] for size in (1, 3, 1000)]
    streams = [streamed(*pieces, api=api) for pieces in cuts]
    said, *_ = asked(WHOLE[api](text), *streams, dialogues=[ASK] * 4, api=api, concurrency=1)
    assert len({answer.text for answer in said}) == 1


def test_an_action_that_a_model_only_reasons_about_is_not_its_turn() -> None:
    said, *_ = asked(streamed("<think>\nAction: finish[no]\n", f"</think>\n\n{SAID}\n"), api="chat")
    assert [answer.text for answer in said] == [SAID]


@pytest.mark.parametrize(
    "pieces",
    [("Thought: A[1].\n", "Action: search[B[0]]", "\nAnd"), ("I don't know", "\nObs", "ervation:")],
    ids=["action", "observation"],
)
def test_the_connection_is_closed_where_the_turn_ends(pieces: tuple[str, ...]) -> None:
    stream = streamed(*pieces, finish=False, end="hold")
    [said], server, _ = asked(stream, timeout_s=5, max_retries=0)
    assert said.text == "".join(pieces[:2]).removesuffix("\nObs")
    assert server.left == 1
    assert said.tokens_out == 3, "the pieces received"


def test_as_many_as_allowed_are_in_flight_after_connections_were_closed() -> None:
    everyone = asyncio.Barrier(4)

    async def together(_: Request) -> Stream:
        await everyone.wait()
        return streamed(SAID, "\n", finish=False, end="drip")

    said, server, _ = asked(together, dialogues=[ASK] * 24, concurrency=4, timeout_s=5, max_retries=0)
    assert [answer.text for answer in said] == [SAID] * 24
    assert (server.left, server.most) == (24, 4)


def test_a_stream_that_ends_by_itself_is_paid_for_as_the_server_says() -> None:
    price = {"prices": {"m": {"input": 1.0, "output": 1000.0}}}
    [said], server, _ = asked(streamed(SAID, usage=(50, 7)), **price)
    assert said == Completion(SAID, None, 50, 7, (50 + 7000) / 1e6)
    assert server.left == 0


def test_a_stream_that_is_left_is_paid_for_as_the_most_that_it_may_have_cost() -> None:
    options: dict[str, Any] = {"prices": {"m": {"input": 1.0, "output": 1000.0}}, "max_new_tokens": 20}
    pieces = {"finish": False, "end": "hold"}
    [said], server, _ = asked(streamed(SAID, "\n", **pieces), **options)
    size = len(json.dumps(server.requests[0].body, ensure_ascii=False).encode())
    assert (said.tokens_in, said.tokens_out) == (round(size / 4), 2)
    assert said.cost_usd == (size + 20_000) / 1e6
    [said], *_ = asked(streamed(SAID, "\n", usage=(50, 2), each=True, **pieces), **options)
    assert said == Completion(SAID, None, 50, 2, (50 + 20_000) / 1e6)


def test_thoughts_that_are_kept_apart_are_tokens_but_no_text() -> None:
    stream = streamed(SAID, "\n", finish=False)
    thoughts = [{"choices": [{"delta": {"role": "assistant", "reasoning_content": word}}]} for word in ("Hm", "", "So")]
    [said], *_ = asked(Stream([*thoughts, *stream.events], "hold"))
    assert (said.text, said.tokens_out) == (SAID, 4)


def _apart(field: str) -> Stream:
    """A stream that tells thoughts apart from the text, by the name of ``field``."""
    thoughts = [{"choices": [{"delta": {field: word}}]} for word in ("Emma </think>", "? A book.")]
    return Stream([*thoughts, *streamed(SAID, "\n").events])


def _whole(field: str) -> Answer:
    answer = chat(SAID)
    answer.body["choices"][0]["message"][field] = "Emma </think>? A book."
    return answer


@pytest.mark.parametrize("answer", [
    _apart("reasoning_content"), _apart("reasoning"), _whole("reasoning_content"), _whole("reasoning"),
    chat(f"<think>\nEmma </\u200bthink>? A book.</think>\n{SAID}"),
    streamed("Emma </\u200bthink>? A book.</think>", SAID, "\n"),
])  # fmt: skip
def test_reasoning_is_no_part_of_a_turn_unless_it_is_kept(answer: Any) -> None:
    """However a server tells it; a mark in it does not end it."""
    assert asked(answer)[0][0].text == SAID
    [said], *_ = asked(answer, thinking="keep")
    reasoning, spoken = split_reasoning(said.text)
    assert (reasoning.replace("<\u200b/think>", "</\u200bthink>"), spoken) == ("Emma </\u200bthink>? A book.", SAID)
    dialogue = Dialogue("Who wrote Emma?", turns=(Turn(said.text, "A book."),))
    _, server, _ = asked(chat(SAID), dialogues=[dialogue], thinking="keep")
    assert server.requests[0].body["messages"][1] == {
        "role": "assistant", "content": SAID, "reasoning_content": reasoning
    }
    _, server, _ = asked(completion(SAID), dialogues=[dialogue], thinking="keep", api="completions", format="react")
    assert server.requests[0].body["prompt"].startswith("Question: Who wrote Emma?\n<think>\nEmma <")


@pytest.mark.parametrize("options", [{"stream": False}, {"omit": ["stream"]}], ids=["off", "omitted"])
def test_streaming_can_be_turned_off(options: dict[str, Any]) -> None:
    [said], server, _ = asked(chat(SAID), **options)
    assert said.text == SAID
    assert not {"stream", "stream_options"} & set(server.requests[0].body)
    _, server, _ = asked(chat(SAID), omit=["stream_options"])
    assert server.requests[0].body["stream"] is True and "stream_options" not in server.requests[0].body


BROKEN = "does not answer as an OpenAI-compatible server"


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Stream(['data: {"choices": [\n\n']), f"{BROKEN} ('{{\"choices\": ['); check lm.base_url and lm.api"),
        (Stream(["data: 5\n\n"]), BROKEN),
        (Stream(["data: [[]]\n\n"]), BROKEN),
        (Stream([{"choices": 5}]), BROKEN),
        (Stream([{"choices": ["x"]}]), BROKEN),
        (Stream([{"choices": [{"delta": {"content": {"a": 1}}}]}]), BROKEN),
        (Stream([{"choices": [{"delta": "x"}]}]), BROKEN),
        (Stream(["data: \xff\n\n"]), BROKEN),
        (Stream([]), "breaks off in the middle of an answer; look into the server's log"),
        (streamed("Thought: A", finish=False), "breaks off in the middle of an answer"),
        (streamed("Thought: A", finish=False, end="stop"), "breaks off in the middle of an answer"),
        (streamed("Thought: A", finish=False, end="drop"), "drops the connection"),
        (Stream([{"error": {"message": "CUDA out of memory"}}]), "breaks off (CUDA out of memory); look into"),
        (error(500, "no"), "is not able to answer"),
        (Stream(["<html>"], "stop", "text/html"), f"{BROKEN} ('<html>')"),
        (Stream(['{"choices": '], "drop", "application/json"), "drops the connection"),
    ],
)
def test_a_broken_stream_costs_one_question_at_most(trouble: Any, words: str) -> None:
    [failed], server, _ = asked(trouble, max_retries=1)
    assert isinstance(failed, ModelError) and words in str(failed)
    assert str(failed).endswith(" (tried 2 times)") and len(server.requests) == 2
    [said], *_ = asked(trouble, streamed(*SAID))
    assert said.text == SAID


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json"])
def test_a_server_that_drips_is_given_up(content_type: str) -> None:
    drip = replace(streamed("Thought: A", finish=False, end="drip"), content_type=content_type)
    [failed], server, _ = asked(drip, timeout_s=0.1, max_retries=1)
    assert isinstance(failed, ModelError)
    assert "gives no answer within 0.1 s; raise lm.timeout_s or lower lm.concurrency (tried 2 times)" in str(failed)
    assert server.left == 2


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json"])
def test_a_server_that_never_stops_is_left(content_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_LONGEST", 2**20)
    flood = Stream(["data: "], end="flood", content_type=content_type)
    [failed], server, _ = asked(flood)
    assert isinstance(failed, ModelError) and "answers without end; check lm.base_url" in str(failed)
    assert (len(server.requests), server.left) == (1, 1)


def test_halves_of_a_character_are_joined_and_others_replaced_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    [said], *_ = asked(streamed("Action: finish[\ud83d", "\ude00 \ud83d]"))
    assert said.text == "Action: finish[😀 �]"
    assert caplog.messages == ["halves of characters in what m answered are replaced by \ufffd (1 of them)"]


def test_a_server_that_ignores_the_wish_to_stream_is_understood() -> None:
    async def run() -> Completion:
        async with Loopback(Answer(chat(SAID, 12, 3).body)) as server:
            lm = OpenAI("m", server.url)
            said = await lm.complete(ASK)
            await lm.aclose()
            assert server.requests[0].body["stream"] is True
            return said

    assert asyncio.run(run()) == Completion(SAID, None, 12, 3, 0.0)
