"""What a model says of its calls: readers of each documented way to write them, tried against a template's own text.

Each reader takes a generated turn, its reasoning and its end token apart, and gives (content, calls): plain text with
no calls is an answer. Its ``ParseError`` is a call that can't be read as one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fireact.errors import ParseError
from fireact.formats.calls import Call, call_of, json_of, malformed, schemas, value_in
from fireact.trajectories.tool_schema import ToolSchema

Said = tuple[str, list[Call]]
Reader = Callable[[str, Sequence[ToolSchema]], Said]

_ANALYSIS = re.compile(  # SentencePiece's decoder puts spaces after control tokens
    r"(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*analysis\s*<\|message\|>(.*?)(?:<\|end\|>|\Z)", re.DOTALL
)
_FUNCTION = re.compile(r"<tool_call>\s*<function=([^>\n]+)>(.*?)</function>\s*</tool_call>\s*", re.DOTALL)
_PARAMETER = re.compile(r"\s*<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>\s*", re.DOTALL)
_NAMED = re.compile(r"\s*([\w.-]+)(?:\[CALL_ID\]\w+)?\[ARGS\]\s*")


def hermes(text: str, tools: Sequence[ToolSchema]) -> Said:
    """``<tool_call>{"name": …, "arguments": {…}}</tool_call>``, once or more: Hermes, Qwen 2.5 and 3, and many more."""
    content, begin, rest = text.partition("<tool_call>")
    calls = []
    while begin:
        value, rest = value_in(rest)
        calls.append(_call(value))
        ended, closing, rest = rest.partition("</tool_call>")
        between, begin, rest = rest.partition("<tool_call>")
        if ended.strip() or not closing or between.strip():
            malformed()
    if "</tool_call>" in content:
        malformed()
    return content.strip(), calls


def functions(text: str, tools: Sequence[ToolSchema]) -> Said:
    """``<tool_call><function=name><parameter=key>value</parameter></function></tool_call>``: Qwen 3 Coder, 3.5 and
    later. A value is JSON unless its schema calls it a text."""
    content, begin, rest = text.partition("<tool_call>")
    rest, calls = begin + rest, list[Call]()
    schemas = {tool.name: json.loads(tool.parameters).get("properties", {}) for tool in tools}
    while rest:
        if (found := _FUNCTION.match(rest)) is None or _PARAMETER.sub("", found[2]).strip():
            malformed()
        about = schemas.get(found[1].strip(), {})
        arguments = {key: _typed(value, about.get(key)) for key, value in _PARAMETER.findall(found[2])}
        calls.append((found[1].strip(), arguments))
        rest = rest[found.end() :]
    if "</tool_call>" in content:
        malformed()
    return content.strip(), calls


def llama3(text: str, tools: Sequence[ToolSchema]) -> Said:
    """``{"name": …, "parameters": {…}}`` as the whole turn, several with ``;`` between, after ``<|python_tag|>`` or
    not: Llama 3.1 and later."""
    spoken = text.strip()
    rest = spoken.removeprefix("<|python_tag|>")
    if rest == spoken and not re.match(r'\{\s*"(?:type|name)"', spoken):
        return spoken, []
    calls = []
    while rest:
        value, rest = value_in(rest)
        calls.append(_call(value))
        rest = rest.strip().removeprefix(";")
    return "", calls or malformed()


def mistral(text: str, tools: Sequence[ToolSchema]) -> Said:
    """``[TOOL_CALLS]`` and a list of objects, or, since its tokenizer's version 11, ``[TOOL_CALLS]name[ARGS]{…}``."""
    content, begin, rest = text.partition("[TOOL_CALLS]")
    if not begin:
        return content.strip(), []
    if rest.lstrip().startswith("["):
        values, rest = value_in(rest)
        if rest.strip() or not values:
            malformed()
        return content.strip(), [_call(value) for value in values]
    calls = []
    while begin:
        if (named := _NAMED.match(rest)) is None:
            malformed()
        value, rest = value_in(rest[named.end() :])
        calls.append(_call({"name": named[1], "arguments": value}))
        between, begin, rest = rest.partition("[TOOL_CALLS]")
        if between.strip():
            malformed()
    return content.strip(), calls


def channels(text: str, tools: Sequence[ToolSchema]) -> Said:
    """gpt-oss' messages: ``to=functions.name`` in a header whose body is JSON is a call, other bodies are content."""
    content, calls = [], []
    for message in _messages(_ANALYSIS.sub("", text)):
        header, begin, body = message.partition("<|message|>")
        if not begin:
            malformed()
        if (called := re.search(r"\bto=([\w.-]+)", header)) is not None:
            value, rest = value_in(body)
            if rest.strip():
                malformed()
            calls.append(_call({"name": called[1].removeprefix("functions."), "arguments": value}))
        else:
            content.append(body.strip())
    return "\n\n".join(filter(None, content)), calls


READERS: Mapping[str, Reader] = {
    "hermes": hermes, "functions": functions, "mistral": mistral, "channels": channels, "llama3": llama3,
}  # fmt: skip


def analysis(text: str) -> tuple[str, str]:
    """(what stands in gpt-oss' channel for reasoning, the rest)."""
    reasoning = [part.strip() for part in _ANALYSIS.findall(text)]
    return "\n\n".join(filter(None, reasoning)), _ANALYSIS.sub("", text)


def of_tokenizer(tokenizer: Any, prompt: str) -> Reader | None:
    """The tokenizer's own parser of responses, if it has one: transformers' by its ``response_template``.

    It wants the ``prompt`` before the response, of which it looks at the end. (A ``response_schema``, as tokenizers had
    in transformers' earlier versions, is dropped by every version from 5.17 on.)
    """
    if getattr(tokenizer, "response_template", None) is None:
        return None
    return lambda text, tools: _parsed(lambda: tokenizer.parse_response(text, prefix=prompt, tools=schemas(tools)))


def _parsed(parse: Callable[[], Any]) -> Said:
    try:
        message = parse()
    except Exception as error:  # patterns and templates from elsewhere: what they raise is not to be known
        raise ParseError(f"the tokenizer's parser refuses it ({error})") from error
    called = [call.get("function", call) for call in message.get("tool_calls") or ()]
    return str(message.get("content") or "").strip(), [call_of(each.get("name"), each["arguments"]) for each in called]


def _call(value: Any) -> Call:
    """A call from its object, whose arguments some models call parameters."""
    if not isinstance(value, dict):
        malformed()
    return call_of(value.get("name"), value.get("arguments", value.get("parameters")))


def _messages(text: str) -> Iterator[str]:
    return filter(str.strip, re.split(r"<\|end\|>|<\|start\|>\s*assistant|<\|call\|>|<\|return\|>", text))


def _typed(value: str, about: Any) -> Any:
    if isinstance(about, Mapping) and about.get("type") == "string":
        return value
    try:
        return json_of(value)
    except ParseError:
        return value
