"""Replies that are HTTP but not what a model's endpoint says, or more than that: as JSON, and as a stream of events."""

from __future__ import annotations

import json
from typing import Any

from tests.faulty.http import chunked, reply
from tests.faulty.server import Reply, drip, flood, reset, silence, then

SAID = "Action: finish[right]"
_STREAM = b"text/event-stream"
_OPEN = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def whole(text: Any = SAID, usage: Any = (50, 7), **message: Any) -> bytes:
    """The body of a chat reply."""
    counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1]} if isinstance(usage, tuple) else usage
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return json.dumps({"id": "c-1", "object": "chat.completion", "choices": [choice], "usage": counts}).encode()


def event(text: Any, reason: Any = None, **more: Any) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "c-1", "choices": [choice], **more}).encode() + b"\n\n"


END = event("", "stop") + b'data: {"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 7}}\n\n'
DONE = b"data: [DONE]\n\n"


def model_faults() -> dict[str, Reply]:
    """Faults by name."""
    return {**_texts(), **_forms(), **_numbers(), **_events(), **_endless()}


def _texts() -> dict[str, Reply]:
    """Texts that are hard to keep."""
    said = {
        "surrogate-high": "Thought: \ud800.\nAction: finish[right]", "surrogate-low": "Action: finish[\udfff]",
        "surrogate-reversed": "Action: finish[\ude00\ud83d]", "nul": "Thought: \0.\nAction: finish[\0]",
        "controls": "".join(map(chr, range(32))) + "\nAction: finish[\x7f\x9b]",
        "line-ends": "A\u2028B\u2029C\x85D\r\nAction: " "finish[a\rb]",
        "escape": "\x1b]0;gone\x07\x1b[2JAction: finish[\x1b[31m]", "bidi": "Action: finish[\u202eabc\u2066]",
        "noncharacters": "Action: finish[\ufffe\uffff\U0010ffff]",
        "combining": "Action: finish[a" + "\u0301" * 5000 + "]", "long-line": "Action: finish[" + "x" * 2**20 + "]",
        "many-lines": "\n" * 2**18, "many-actions": "Action: x[\n" * 2**15, "think-unclosed": "<think>" * 1000,
        "think-nested": "<think>" * 500 + "</think>" * 500 + SAID, "brackets": "Action: " + "search[" * 20_000,
        "spaces": "Action:" + " " * 100_000 + "finish[right] x", "end-token": "<|im_end|>" + SAID,
    }  # fmt: skip
    return {f"text-{name}": reply(whole(text)) for name, text in said.items()} | {
        "stream-surrogates-apart": chunked(event("Action: finish[\ud83d"), event("\ude00]"), END, DONE, kind=_STREAM),
        "stream-surrogate": chunked(event("Action: finish[\ud83d"), event("]"), END, DONE, kind=_STREAM),
        "stream-utf-8-cut": chunked(*(event("Action: finish[é]").replace(b"\\u00e9", b"\xc3\xa9")[at : at + 1]
                                      for at in range(99)), END, DONE, kind=_STREAM),
    }


def _forms() -> dict[str, Reply]:
    """JSON of another form, and what is none."""
    bodies: dict[str, Any] = {
        "list": [], "null": None, "number": 5, "text": "x", "true": True, "object": {},
        "choices-null": {"choices": None}, "choices-empty": {"choices": []}, "choices-text": {"choices": "abc"},
        "choices-object": {"choices": {"0": {}}}, "choices-number": {"choices": 5},
        "choice-null": {"choices": [None]}, "choice-text": {"choices": ["x"]},
        "message-list": {"choices": [{"message": [{"content": "x"}]}]},
        "message-null": {"choices": [{"message": None}]}, "message-text": {"choices": [{"message": "content"}]},
        "error-with-200": {"error": {"message": "CUDA out of memory"}},
        "error-text-with-200": {"error": "no", "choices": []},
    }  # fmt: skip
    contents = {
        "null": None, "true": True, "number": 5, "float": 1.5, "list": [{"type": "text", "text": SAID}],
        "object": {"a": "b"}, "false": False, "nested-surrogate": {"\ud800": ["\udfff"]},
    }  # fmt: skip
    right = whole()
    texts = {
        "deep-list": b"[" * 100_000, "deep-object": b'{"a":' * 100_000,
        "deep-closed": b"[" * 100_000 + b"]" * 100_000,
        "deep-content": right.replace(b'"Action: finish[right]"', b"[" * 5000 + b"]" * 5000),
        "deep-990": right.replace(b'"Action: finish[right]"', b"[" * 990 + b"]" * 990),
        "key-twice": right.replace(b'"index": 0', b'"index": 0, "message": null, "index": 9'),
        "choices-twice": right[:-1] + b', "choices": []}', "tail": right + b"x",
        "single-quotes": right.replace(b'"', b"'"), "comment": b"/* */" + right, "unquoted": b"{choices: []}",
        "raw-newline": right.replace(b"Action:", b"A\nction:"),
        "bad-escape": right.replace(b"Action", b"\\x41ction"), "half-escape": right.replace(b"Action", b"\\uD8"),
        "raw-utf-8-surrogate": right.replace(b"right", b"\xed\xa0\x80"),
        "overlong-utf-8": right.replace(b"right", b"\xc0\xaf"),
    }  # fmt: skip
    return {
        **{f"body-{name}": reply(json.dumps(body).encode()) for name, body in bodies.items()},
        **{f"content-{name}": reply(whole(content)) for name, content in contents.items()},
        **{f"json-{name}": reply(text) for name, text in texts.items()},
        "tool-calls": reply(whole(None, tool_calls=[{"id": "\ud800", "function": {"name": 5, "arguments": None}}])),
        "refusal": reply(whole(None, refusal="I can't.")),
        "id-surrogate": reply(whole().replace(b"c-1", b"\\ud800")),
    }


def _numbers() -> dict[str, Reply]:
    usages: dict[str, Any] = {
        "negative": (-50, -7), "text": ("50", "7"), "null": (None, None), "true": (True, True), "float": (50.5, 7.5),
        "huge": (10**400, 10**400), "beyond": (50, 10_000), "list": [1, 2], "string": "many", "zero": (0, 0),
        "nested": {"prompt_tokens": {"a": 1}, "completion_tokens": []}, "missing": None,
        "surrogate": {"\ud800": "\udfff"},
    }  # fmt: skip
    literals = {
        "1e999": b"1e999", "nan": b"NaN", "infinity": b"-Infinity", "minus-zero": b"-0", "5000-digits": b"9" * 5000,
        "1e-999": b"1e-999", "plus": b"+7", "leading-zero": b"007",
    }  # fmt: skip
    return {
        **{f"usage-{name}": reply(whole(usage=usage)) for name, usage in usages.items()},
        **{f"number-{name}": reply(whole().replace(b'"completion_tokens": 7', b'"completion_tokens": ' + literal))
           for name, literal in literals.items()},
        "index-1e999": reply(whole().replace(b'"index": 0', b'"index": 1e999')),
        "index-other": chunked(event("x").replace(b'"index": 0', b'"index": 7'), DONE, kind=_STREAM),
    }


def _events() -> dict[str, Reply]:
    word, nothing = event(SAID), {"prompt_tokens": 0, "completion_tokens": 0}
    finished = event(SAID, "stop", usage={"prompt_tokens": 50, "completion_tokens": 7})
    streams = {
        "nothing": [], "only-done": [DONE], "no-done": [END], "data-empty": [b"data:\n\n"],
        "data-blank": [b"data: \n\n"] * 9, "data-null": [b"data: null\n\n"], "data-number": [b"data: 5\n\n"],
        "data-text": [b'data: "x"\n\n'], "data-torn": [b'data: {"choices": [\n\n'],
        "data-lines": [b'data: {"choices":\ndata: []}\n\n'], "data-bytes": [b"data: \xff\xfe\n\n"],
        "data-deep": [b"data: " + b"[" * 100_000 + b"\n\n"], "data-1e999": [event("x").replace(b"null", b"1e999")],
        "data-digits": [b"data: " + b"9" * 5000 + b"\n\n"], "no-colon": [b"data\n\n", b"nonsense\n\n"],
        "html": [b"<html>\n\n"], "field-unknown": [b"x: 1\nretry: 1e999\nid: \0\nevent: \xc2\x85\n", word],
        "event-error": [b"event: error\ndata: {}\n\n"],
        "error": [event("Thought"), b'data: {"error": {"message": "out of memory"}}\n\n'],
        "error-list": [b'data: {"error": [1]}\n\n'], "error-true": [b'data: {"error": true}\n\n'],
        "error-surrogate": [b'data: {"error": {"message": "\\ud800"}}\n\n'],
        "after-done": [word, END, DONE, event("more"), b"data: [\n\n"], "cr": [word.replace(b"\n", b"\r")],
        "no-blank-line": [word.replace(b"\n\n", b"\n")] * 2, "bom": [b"\xef\xbb\xbf", word],
        "delta-null": [b'data: {"choices": [{"delta": null}]}\n\n'],
        "delta-list": [b'data: {"choices": [{"delta": []}]}\n\n'], "content-list": [event([SAID])],
        "content-object": [event({"a": 1})], "content-true": [event(True)], "content-number": [event(5)],
        "choices-null": [b'data: {"choices": null}\n\n'], "choices-text": [b'data: {"choices": "ab"}\n\n'],
        "usage-negative": [event(SAID, "stop", usage={"prompt_tokens": -1, "completion_tokens": -1})],
        "usage-text": [event(SAID, "stop", usage="many")],
        "usage-twice": [finished, event("", None, usage=nothing)],
        "reason-true": [event(SAID, True)],
        "role-only": [b'data: {"choices": [{"delta": {"role": "assistant"}, "finish_reason": "stop"}]}\n\n'],
        "thoughts-only": [b'data: {"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": "a"}]}\n\n'],
        "line-1MB": [b": " + b"x" * 2**20 + b"\n\n", word], "whole-reply": [b"data: " + whole() + b"\n\n"],
    }  # fmt: skip
    return {f"stream-{name}": chunked(*events, kind=_STREAM) for name, events in streams.items()} | {
        "stream-cut": _OPEN + event("Thought: so") + b'data: {"cho',
        "stream-length-short": _OPEN[:-2] + b"content-length: 9\r\n\r\n" + word + END + DONE,
        "stream-kind-json": chunked(word, END, DONE),
    }


def _endless() -> dict[str, Reply]:
    said, piece = event("Thought: so"), event("on and on ")
    return {
        "endless-silence": then(_OPEN + said, silence),
        "endless-comments": then(_OPEN + said, drip(b": keep-alive\n\n", 0.002)),
        "endless-comment-flood": then(_OPEN + said, flood(b": keep-alive\n\n" * 100)),
        "endless-words": then(_OPEN, flood(piece)),
        "endless-blank-words": then(_OPEN, flood(event("") * 20)),
        "endless-line": then(_OPEN + b"data: ", flood(b"x" * 2**16)),
        "endless-slow-words": then(_OPEN, drip(piece, 0.001)),
        "endless-after-turn": then(_OPEN + event(SAID + "\n"), flood(piece)),
        "endless-after-done": then(_OPEN + event(SAID) + END + DONE, drip(b": still here\n\n")),
        "reset-in-stream": then(_OPEN + said, reset),
        "reset-after-turn": then(_OPEN + event(SAID) + END + DONE, reset),
    }  # fmt: skip
