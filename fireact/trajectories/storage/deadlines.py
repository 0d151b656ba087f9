"""One deadline for a whole call of a library that knows only how long it waits between two bytes."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_PATIENCE_S, _SLOWEST = 60.0, 64 * 2**10  # a download takes no longer than so many seconds, and one for so many bytes
_UNKNOWN_SIZE = 2**28  # bytes that a file of unknown size is taken for

T = TypeVar("T")


def of_download(size: int | None) -> float:
    """Seconds that a download of ``size`` bytes may take."""
    return _PATIENCE_S + (size or _UNKNOWN_SIZE) / _SLOWEST


def within(seconds: float, call: Callable[..., T], *args: Any) -> T:
    """What ``call`` gives or raises; its thread is left behind where it takes too long, and ends with the process.

    Raises:
        TimeoutError: it has taken so many ``seconds``.
    """
    done, context = threading.Event(), contextvars.copy_context()
    given: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            given.append(context.run(call, *args))
        except BaseException as error:
            raised.append(error)
        finally:
            done.set()

    threading.Thread(target=run, daemon=True).start()
    if not done.wait(seconds):
        raise TimeoutError(f"no end within {seconds:g} s")
    if raised:
        raise raised[0]
    return given[0]
