"""A file over HTTP: gone on with where it was cut off, and within one deadline for all of it."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from fireact.trajectories.storage.deadlines import of_download, within
from fireact.trajectories.storage.watching import Watch

_ATTEMPTS, _CUT_OFF = 4, (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError)
_SILENCE_S = 30.0  # between two pieces


def transfer(url: str, file: Path, size: int | None) -> Path:
    """Download ``url``, of ``size`` bytes if that is known, beside ``file``; returns where it lies.

    What an attempt, or an earlier call, has downloaded is kept and gone on with. The caller sees to it that nobody else
    downloads it at the same time, and checks the content.

    Raises:
        OSError: it can't be written, or took too long (TimeoutError).
        httpx.HTTPError: it can't be had.
    """
    part = file.with_name(f"{file.name}.part")
    seconds = of_download(size)
    again = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(max=30),
        retry=retry_if_exception_type(_CUT_OFF),
        reraise=True,
    )
    within(seconds, again, _go_on, url, part, size, time.monotonic() + seconds)
    return part


def _go_on(url: str, part: Path, size: int | None, deadline: float) -> None:
    """Download what ``part`` lacks; ``deadline`` is on the monotonic clock, after which nothing is written."""
    with part.open("ab") as out:
        done = out.tell()
        if size and done == size:
            return
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
        with httpx.stream("GET", url, headers=headers, timeout=_SILENCE_S, follow_redirects=True) as reply:
            reply.raise_for_status()
            if time.monotonic() > deadline:
                raise TimeoutError
            if reply.status_code != httpx.codes.PARTIAL_CONTENT:  # from its beginning, whatever was asked for
                out.truncate(done := 0)
            total = size or done + int(reply.headers.get("content-length", 0))
            with Watch(f"downloading {url}", total) as watch:
                for chunk in reply.iter_raw():
                    if time.monotonic() > deadline:
                        raise TimeoutError
                    out.write(chunk)
                    watch(done := done + len(chunk))
