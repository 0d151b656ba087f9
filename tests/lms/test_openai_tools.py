"""lm.api=tools: what is sent of tools, calls and results, and what is read of a server's calls."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fireact.errors import ConfigError, DataError
from fireact.formats.calls import schemas
from fireact.journal.journaled import answer_of, completion_of
from fireact.lms.base import Completion
from fireact.trajectories.dialogue import Dialogue, Turn
from fireact.trajectories.records import Step
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema
from tests.lms.asking import ASK, asked
from tests.lms.openai_server import Answer, Stream, chat, streamed

TABLE = ToolSchema("table", "A cell.", '{"type": "object", "properties": {"row": {"type": "integer"}, "of": {}}}')
TURNS = (
    Turn("", "Ada\nHolt", step=Step("I look.", "search", "Ada")),
    Turn("", "7", step=Step("", "table", '{"row": 3, "of": "né"}')),
    Turn("", "nothing", step=Step("", "search", "York", continues=True)),
    Turn("???", "That turn held no action.", step=Step("???", "", "")),
)


def call(name: str, arguments: Any, number: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": f"x{number}", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def answered(*calls: Any, content: str | None = None, finish: str = "tool_calls", **message: Any) -> Answer:
    answer = chat(content)
    choice = answer.body["choices"][0]
    choice["message"] |= {"tool_calls": list(calls), **message}
    choice["finish_reason"] = finish
    return answer


def steps(*answers: Any, dialogue: Dialogue = ASK, **options: Any) -> Any:
    [completion], _, _ = asked(*answers, dialogues=(dialogue,), api="tools", **options)
    if isinstance(completion, Exception):
        raise completion
    return completion


def test_what_is_sent() -> None:
    dialogue = Dialogue("Who?", system="Be brief.", turns=TURNS, tools=(SEARCH_TOOL, TABLE))
    [completion], server, _ = asked(chat("Ada"), dialogues=(dialogue,), api="tools", stream=False)
    assert completion.steps == (Step("", "finish", "Ada"),)
    assert completion.text == "Ada" and (completion.tokens_in, completion.tokens_out) == (10, 5)
    [request] = server.requests
    assert request.path == "/v1/chat/completions" and "stop" not in request.body
    assert request.body["tools"] == schemas([SEARCH_TOOL, TABLE])
    assert request.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [
            {"id": "call00000", "type": "function", "function": {"name": "search", "arguments": '{"query": "Ada"}'}}]},
        {"role": "tool", "content": "Ada\nHolt", "tool_call_id": "call00000"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call00001", "type": "function",
             "function": {"name": "table", "arguments": '{"row": 3, "of": "né"}'}},
            {"id": "call00002", "type": "function", "function": {"name": "search", "arguments": '{"query": "York"}'}}]},
        {"role": "tool", "content": "7", "tool_call_id": "call00001"},
        {"role": "tool", "content": "nothing", "tool_call_id": "call00002"},
        {"role": "assistant", "content": "???"},
        {"role": "user", "content": "That turn held no action."},
    ]  # fmt: skip


def test_calls_are_read() -> None:
    dialogue = replace(ASK, tools=(SEARCH_TOOL, TABLE))
    two = answered(call("search", '{"query": "Ada"}'), call("table", {"row": 3}, 1), content="I look.")
    said = steps(two, dialogue=dialogue)
    assert said.text == "I look."
    assert said.steps == (Step("I look.", "search", "Ada"), Step("", "table", '{"row": 3}', continues=True))
    without = answered(call("search", '{"query": "Ada"}'))
    del without.body["choices"][0]["message"]["content"]
    assert steps(without).steps == (Step("", "search", "Ada"),)


def test_streamed_calls_are_read() -> None:
    def delta(**said: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": said, "finish_reason": None}]}

    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "search", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": text}} for text in ('{"que', 'ry": "A', 'da"}')]
    second = {"index": 1, "id": "b", "function": {"name": "search", "arguments": '{"query": "York"}'}}
    events = [delta(role="assistant", content="I look."), delta(tool_calls=[first]),
              *(delta(tool_calls=[piece]) for piece in pieces), delta(tool_calls=[second]),
              {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}]  # fmt: skip
    said = steps(Stream(events))
    assert said.steps == (Step("I look.", "search", "Ada"), Step("", "search", "York", continues=True))
    assert said.tokens_out == 6  # pieces that hold words, where the server counts nothing
    whole = [call("search", '{"query": "Ada"}'), call("search", '{"query": "York"}', 1)]  # as some, without an index
    events = [delta(tool_calls=[each]) for each in whole] + [events[-1]]
    assert steps(Stream(events)).steps == (Step("", "search", "Ada"), Step("", "search", "York", continues=True))


def test_a_turn_is_not_cut_where_its_text_looks_like_react() -> None:
    said = steps(streamed("Action: search[x]\n", "more"))
    assert said.steps == (Step("", "finish", "Action: search[x]\nmore"),)


@pytest.mark.parametrize("arguments", ["{", "[1]", '{"q": "Ada"}', '{"query": 3}', "Ada", None])
def test_a_malformed_call_is_a_turn_without_an_action(arguments: Any) -> None:
    [step] = steps(answered(call("search", arguments), content="I look.")).steps
    assert (step.action, step.thought) == ("", f"I look.\nsearch {arguments}")
    [step] = steps(answered(call("delete", "{}"))).steps
    assert (step.action, step.thought) == ("", "delete {}")


@pytest.mark.parametrize("message", [{"tool_calls": "search"}, {"tool_calls": [3]}, {"tool_calls": [{"id": "x"}]}])
def test_what_is_no_call_at_all_is_another_kind_of_server(message: Any) -> None:
    answer = chat(None)
    answer.body["choices"][0]["message"] |= message
    with pytest.raises(Exception, match="does not answer as an OpenAI-compatible server"):
        steps(answer, max_retries=0)


@pytest.mark.parametrize("api", ["chat", "tools"])
def test_a_reply_without_text_keeps_its_reason(api: Any) -> None:
    def reason(answer: Any) -> str:
        [completion], _, _ = asked(answer, api=api)
        assert completion.text == "" and completion.steps in (None, (Step("", "", ""),))
        return completion.reason

    assert reason(answered(finish="stop", refusal="I can't help\nwith that.")) == "I can't help"
    assert reason(answered(finish="content_filter")) == "content_filter"
    assert reason(answered(finish="length")) == "length"
    assert reason(answered(finish="stop")) == ""
    said = {"choices": [{"index": 0, "delta": {"refusal": "No"}}]}
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    assert reason(Stream([said, ended])) == "No"
    ended["choices"][0]["finish_reason"] = "content_filter"
    assert reason(Stream([ended])) == "content_filter"


def test_an_answer_that_was_cut_off_is_none() -> None:
    said = steps(answered(content="It was Ad", finish="length"))
    assert (said.steps, said.reason) == ((Step("It was Ad", "", ""),), "")


def test_what_it_can_not_say_is_refused() -> None:
    with pytest.raises(ConfigError, match="^lm.api=tools asks without few-shot text"):
        steps(chat("x"), dialogue=replace(ASK, few_shot="Look:"))
    with pytest.raises(ConfigError, match="^lm.api=tools asks without few-shot text"):
        steps(chat("x"), dialogue=replace(ASK, prefill="Thought:"))
    with pytest.raises(DataError, match="calls delete, which is none of its tools"):
        steps(chat("x"), dialogue=replace(ASK, turns=(Turn("", "x", step=Step("", "delete", "")),)))
    with pytest.raises(ConfigError, match="^lm.extra_body.tools can't be set there; lm.api=tools sends"):
        steps(chat("x"), extra_body={"tools": []})


def test_reasoning_is_kept_with_the_first_call() -> None:
    answer = answered(call("search", '{"query": "Ada"}'), reasoning_content="Whose?")
    said = steps(answer, thinking="keep")
    assert said.steps == (Step("<think>\nWhose?\n</think>", "search", "Ada"),)
    assert steps(answer).steps == (Step("", "search", "Ada"),)


def test_a_journal_keeps_calls_and_reads_old_rows() -> None:
    plain = Completion("x", (1, 2), 3, 4, 0.5)
    row = {"text": "x", "ids": [1, 2], "tokens_in": 3, "tokens_out": 4, "cost_usd": 0.5}
    assert json.loads(answer_of(plain)) == row
    assert completion_of(answer_of(plain)) == plain
    called = replace(plain, steps=(Step("I look.", "search", "Ada"), Step("", "search", "b", continues=True)))
    assert completion_of(answer_of(called)) == called
    refused = replace(plain, text="", reason="content_filter")
    assert completion_of(answer_of(refused)) == refused
