"""Compressed replies: unpacked as they come, in whatever pieces, and never beyond the bound."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from fireact.trajectories.storage.inflating import Garbled, TooLong, inflated

TEXT = b"words, words, words " * 100_000
RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)
PACKED = {"gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT), " X-GZIP ": gzip.compress(TEXT), "": TEXT,
          "identity": TEXT, "Deflate": RAW.compress(TEXT) + RAW.flush()}  # fmt: skip


def unpacked(packed: bytes, coding: str, longest: int = 2**24, size: int = 1000) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(packed), size):
            yield packed[at : at + size]

    async def run() -> bytes:
        return b"".join([piece async for piece in inflated(pieces(), coding, longest)])

    return asyncio.run(run())


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("size", [1, 7, 10**7])
def test_it_is_unpacked_in_whatever_pieces_it_comes(coding: str, size: int) -> None:
    if size > 1 or len(PACKED[coding]) < 10**5:
        assert unpacked(PACKED[coding], coding, size=size) == TEXT


@pytest.mark.parametrize("coding", PACKED)
def test_no_more_is_unpacked_than_the_bound(coding: str) -> None:
    assert unpacked(PACKED[coding], coding, len(TEXT)) == TEXT
    with pytest.raises(TooLong):
        unpacked(PACKED[coding], coding, len(TEXT) - 1)


@pytest.mark.parametrize(
    ("packed", "coding", "words"),
    [
        (PACKED["gzip"][:-1], "gzip", "gzip that is cut off"),
        (PACKED["deflate"][:-9], "deflate", "deflate that is cut off"),
        (TEXT, "gzip", "no gzip: Error -3 while decompressing data: incorrect header check"),
        (b"\x07\xff" * 50, "deflate", "no deflate: Error -3 while decompressing data: invalid block type"),
        (TEXT, "br", "a Content-Encoding that was not asked for, 'br'"),
        (TEXT, "gzip, gzip", "a Content-Encoding that was not asked for, 'gzip, gzip'"),
    ],
)
def test_what_can_t_be_unpacked_is_said(packed: bytes, coding: str, words: str) -> None:
    with pytest.raises(Garbled, match=f"^{words}$"):
        unpacked(packed, coding)


def test_nothing_is_nothing_in_any_coding() -> None:
    assert unpacked(b"", "gzip") == b""
