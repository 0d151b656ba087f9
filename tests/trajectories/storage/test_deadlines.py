"""A deadline over a call that has none: what it gives, what it raises, and when it is left."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from pathlib import Path

import pytest

from fireact.errors import DataError
from fireact.trajectories.storage import download
from fireact.trajectories.storage.deadlines import of_download, within

PLACE: ContextVar[str] = ContextVar("place", default="outside")


def test_it_gives_and_raises_what_the_call_does_and_sees_the_caller_s_context() -> None:
    PLACE.set("inside")
    assert within(5, lambda word: (word, PLACE.get()), "said") == ("said", "inside")
    with pytest.raises(KeyError, match="gone"):
        within(5, {}.__getitem__, "gone")


def test_a_call_without_end_is_left_and_keeps_no_process_alive() -> None:
    started, never, before = time.monotonic(), threading.Event(), threading.enumerate()
    with pytest.raises(TimeoutError, match=r"^no end within 0.05 s$"):
        within(0.05, never.wait)
    assert time.monotonic() - started < 1
    assert all(thread.daemon for thread in threading.enumerate() if thread not in before)
    never.set()


def test_a_download_has_time_by_its_size() -> None:
    assert of_download(0) == of_download(None) == 60 + 2**12
    assert of_download(2**26) == 60 + 2**10


def test_whatever_the_hub_s_library_raises_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIREACT_DATA", raising=False)
    name = next(name for name, file in download.REGISTRY.items() if file.hub)

    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("of a client that nobody expected")

    monkeypatch.setattr(download, "hf_hub_download", broken)
    with pytest.raises(DataError, match=rf"^{name} can't be downloaded from https://.* \(RuntimeError\); put it at"):
        download.fetch(name, tmp_path)
