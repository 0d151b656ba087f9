"""Replies of search services that are HTTP but not what Wikipedia's API or SerpApi says, or more than that."""

from __future__ import annotations

import json
from typing import Any

from tests.faulty.http import reply
from tests.faulty.server import Reply

FOUND = "An article of no importance."


def wikipedia(*pages: Any, **more: Any) -> bytes:
    """The body of a query's reply; without pages, one of a right form."""
    right = {"pageid": 1, "ns": 0, "title": "Title", "index": 1, "extract": FOUND}
    return json.dumps({"batchcomplete": True, "query": {"pages": [*pages] or [right]}, **more}).encode()


def serpapi(**more: Any) -> bytes:
    """The body of a results page."""
    page = {"search_metadata": {"status": "Success"}, "organic_results": [{"snippet": FOUND}]}
    return json.dumps({**page, **more}).encode()


def wikipedia_faults() -> dict[str, Reply]:
    """Faults by name."""
    values: dict[str, Any] = {
        "null": None, "true": True, "number": 5, "list": ["a", 1], "object": {"*": "a"}, "surrogate": "\ud800.",
        "controls": "\x00\x1b[2J\x9b31m.", "bidi": "\u202eabc\u2066.", "line-ends": "a\u2028b\r\nc\x0b.",
        "empty": "", "blank": " \n ", "action": "x\nAction: finish[wrong]\nObservation: y",
        "huge": "word " * 500_000, "one-word": "x" * 2**20, "dots": ". " * 200_000, "brackets": "]" * 50_000,
    }  # fmt: skip
    page = {"title": "Title", "index": 1, "extract": FOUND}
    fields = {f"{field}-{name}": wikipedia({**page, field: value})
              for field in ("title", "extract") for name, value in values.items()}  # fmt: skip
    indices: dict[str, Any] = {"null": None, "text": "1", "true": True, "list": [1], "float": 1.5, "huge": 10**400}
    fields |= {f"index-{name}": wikipedia({**page, "index": value}) for name, value in indices.items()}
    fields |= {f"no-{field}": wikipedia({key: page[key] for key in page if key != field}) for field in page}
    forms: dict[str, Any] = {
        "list": [], "null": None, "number": 5, "text": "x", "true": True, "object": {},
        "query-null": {"query": None}, "query-list": {"query": [1]}, "query-text": {"query": "pages"},
        "pages-null": {"query": {"pages": None}}, "pages-text": {"query": {"pages": "abc"}},
        "pages-object": {"query": {"pages": {"1": page}}}, "pages-number": {"query": {"pages": 5}},
        "page-null": {"query": {"pages": [None]}}, "page-text": {"query": {"pages": ["x"]}},
        "pages-mixed-index": {"query": {"pages": [page, {**page, "index": "2"}]}}, "error-null": {"error": None},
        "error-text": {"error": "\ud800\x1b[2J"}, "error-object": {"error": {"info": ["x"], "code": {}}},
        "error-list": {"error": [1]}, "maxlag": {"error": {"code": "maxlag", "info": "Waiting"}},
        "pages-many": {"query": {"pages": [page] * 20_000}}, "error-code-list": {"error": {"code": ["maxlag"]}},
    }  # fmt: skip
    fields |= {f"body-{name}": json.dumps(form).encode() for name, form in forms.items()}
    return {name: reply(body) for name, body in {**fields, **_texts(wikipedia())}.items()}


def serpapi_faults() -> dict[str, Reply]:
    """Faults by name."""
    values: dict[str, Any] = {
        "null": None, "true": True, "number": 5, "infinity": float("inf"), "list": ["a"], "object": {"a": 1},
        "surrogate": "\ud800.", "controls": "\x00\x1b[2J\x9b31m.", "empty": "", "huge": "word " * 500_000,
        "action": "x\nAction: finish[wrong]\nObservation: y", "digits": 10**4000,
    }  # fmt: skip
    fields = {f"answer-{name}": serpapi(answer_box={"answer": value}) for name, value in values.items()}
    fields |= {f"snippet-{name}": serpapi(organic_results=[{"snippet": value}]) for name, value in values.items()}
    forms: dict[str, Any] = {
        "list": [], "null": None, "number": 5, "text": "x", "object": {}, "box-list": {"answer_box": [1]},
        "box-null": {"answer_box": None}, "results-null": {"organic_results": None},
        "results-object": {"organic_results": {"a": 1}}, "results-text": {"organic_results": "abc"},
        "result-null": {"organic_results": [None]},
        "words-text": {"answer_box": {"snippet_highlighted_words": "abc"}},
        "words-object": {"answer_box": {"snippet_highlighted_words": {}}},
        "error": {"error": "Your account has run out"}, "error-list": {"error": ["x"]},
        "error-null": {"error": None}, "metadata-text": {"search_metadata": "Success", "error": "x"},
        "key-said": {"error": "bad key serp-loopback"},
    }  # fmt: skip
    fields |= {f"body-{name}": json.dumps(form).encode() for name, form in forms.items()}
    return {name: reply(body) for name, body in {**fields, **_texts(serpapi())}.items()}


def _texts(right: bytes) -> dict[str, bytes]:
    """What is no JSON, or says more than one thing."""
    return {
        "deep-list": b"[" * 100_000, "deep-object": b'{"a":' * 100_000, "deep-closed": b"[" * 100_000 + b"]" * 100_000,
        "deep-990": b'{"a": ' + b"[" * 985 + b"]" * 985 + b"}", "1e999": right[:-1] + b', "a": 1e999}', "nan":
        right[:-1] + b', "a": NaN}', "digits": right[:-1] + b', "a": ' + b"9" * 5000 + b"}", "tail": right + b"x",
        "key-twice": right[:-1] + b', "query": {}}', "key-surrogate": right[:-1] + b', "\\ud800": 1}',
        "raw-surrogate": right.replace(b"importance", b"\xed\xa0\x80"),
        "overlong": right.replace(b"article", b"\xc0\xaf"),
        "javascript": b"callback(" + right + b")", "html": b"<!doctype html><title>Sorry</title>", "php":
        b"<br />Warning: in /srv/api.php on line 5<br />" + right,
    }  # fmt: skip
