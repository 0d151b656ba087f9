"""Which keys a row of foreign data may hold: nothing that could change what is learnt is passed over in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from fireact.errors import DataError, quoted

# Says where a row comes from and never what it teaches; in any case of letters.
METADATA = frozenset((
    "id", "idx", "index", "uid", "uuid", "guid", "row_id", "example_id", "question_id", "conversation_id",
    "source", "origin", "dataset", "dataset_name", "subset", "split", "url", "license", "author", "annotator",
    "created", "created_at", "updated_at", "date", "time", "timestamp", "create_time", "update_time",
    "category", "tags", "topic", "domain", "difficulty", "lang", "language", "model", "generator", "version",
    "metadata", "run_id", "thread_id", "session_id", "user_id",
))  # fmt: skip
# What a server, or a logger, adds to a message; nothing in it is said to a model, however deep.
LOGGED = frozenset(("cache_control", "citations", "index", "logprobs", "signature", "usage", "token_usage", "timing"))
PREFERENCES = ("chosen", "rejected", "preferred_output", "non_preferred_output")  # TRL's columns, and OpenAI's
_WRITE_CALL = "write the call in 'content', as a line 'Action: search[…]', and its result as the next user message"
# What would change the row, and how to do without; where such a key holds nothing, it says nothing.
_INSTEAD = {
    "system": "write its text at the head of the question",
    "history": "make a row of each earlier exchange, or write it at the head of the question",
    "tools": "describe the tools in the question, and write calls as lines 'Action: search[…]'",
    "functions": "describe them in the question, and write calls as lines 'Action: search[…]'",
    "tool_calls": _WRITE_CALL,
    "function_call": _WRITE_CALL,
    "name": "write who speaks in 'content'",
    "weight": "every turn of the model is learnt, so only 1 is possible; leave such rows out",
    "refusal": "write it in 'content', or leave the row out",
    "audio": "only text is learnt; leave the row out",
    "annotations": "only text is learnt; remove them",
    **dict.fromkeys(("image", "images", "videos", "audios"), "only text is learnt; leave the row out"),
    "chat_template_kwargs": "say how the template is filled by backbone.thinking, and remove it",
    **dict.fromkeys(("reasoning_content", "reasoning", "thinking"), "write it at the head of 'content', between "
                    "<think> and </think>"),
    **dict.fromkeys(PREFERENCES, "of two answers fine-tuning learns one; write the one to learn as "
                    "'completion' beside its 'prompt', and remove both"),
    "label": "a rating is not learnt from; leave out the rows that are rated bad, and remove it",
    "labels": "ratings are not learnt from; leave out the rows that are rated bad, and remove them",
}


def check(row: Mapping[str, Any], read: Collection[str], what: str, counts: Counter[str]) -> None:
    """Refuse keys of ``row``, called ``what``, that are neither ``read`` nor harmless; metadata is counted by name.

    Raises:
        DataError: a key could change what is learnt; names it and says what to do.
    """
    for key, value in row.items():
        if key in read or (key in _INSTEAD and _is_empty(value)) or (key == "weight" and _is_one(value)):
            continue
        if key.lower() in LOGGED:
            counts[f"ignored_field {key.lower()}"] += 1
            continue
        if key.lower() in METADATA:
            _check_metadata(value, f"{quoted(key)} of {what}", counts)
            counts[f"ignored_field {key.lower()}"] += 1
            continue
        if key in _INSTEAD:
            raise DataError(f"{what} has the field {quoted(key)}, which is not read: {_INSTEAD[key]}")
        raise DataError(f"{what} has the unknown field {quoted(key)}, which may change what is learnt; remove it")


def _check_metadata(value: Any, what: str, counts: Counter[str]) -> None:
    """Refuse an object among metadata that holds more than metadata."""
    if isinstance(value, Mapping) and all(map(_is_plain, value.values())):
        check(value, (), what, counts)
    elif not _is_plain(value):
        raise DataError(f"{what} holds an object or list inside another, which may change what is learnt; remove it")


def _is_plain(value: Any) -> bool:
    """Whether it is a text, a number, … or a list of such."""
    inside = value if isinstance(value, list) else [value]
    return not any(isinstance(member, list | Mapping) for member in inside)


def text(row: Mapping[str, Any], key: str, what: str = "") -> str:
    """The text in a field.

    Raises:
        DataError: there is none.
    """
    value = row.get(key)
    if isinstance(value, list) and value:
        raise DataError(f"{what}expected the field {key!r} to be text; it is a list of parts: write them as one text")
    if not isinstance(value, str):
        raise DataError(f"{what}expected the field {key!r} to be text")
    return value


def _is_empty(value: Any) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def _is_one(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 1
