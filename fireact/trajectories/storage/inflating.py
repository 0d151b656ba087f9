"""What a service sends compressed, unpacked no further than a bound: a few KiB may stand for as many GiB."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator

CODINGS = "gzip, deflate"  # what a client may ask for
_PIECE = 2**18  # bytes that are unpacked at once


class TooLong(Exception):
    """A reply that goes on beyond the bound."""


class Garbled(Exception):
    """A reply that can't be unpacked; the message says why."""


async def inflated(chunks: AsyncIterable[bytes], coding: str, longest: int) -> AsyncIterator[bytes]:
    """``chunks`` unpacked as the Content-Encoding ``coding`` says, ``longest`` bytes at most, packed and unpacked.

    Raises:
        TooLong: there are more.
        Garbled: the coding is another one than gzip or deflate, or what came is not in it or cut off.
    """
    unpacker = _unpacker(coding)
    received = size = 0
    async for chunk in chunks:
        received += len(chunk)
        for piece in unpacker.pieces(chunk) if unpacker else (chunk,):
            size += len(piece)
            if max(received, size) > longest:
                raise TooLong
            yield piece
    if unpacker:
        unpacker.check_end()


class _Unpacker:
    def __init__(self, coding: str) -> None:
        self._coding, self._head, self._begun = coding, b"", False
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, as it begins

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        try:
            yield self._begin(chunk) if not self._begun else self._zlib.decompress(chunk, _PIECE)
            while self._zlib.unconsumed_tail:
                yield self._zlib.decompress(self._zlib.unconsumed_tail, _PIECE)
        except zlib.error as error:
            raise Garbled(f"no {self._coding}: {error}") from None

    def _begin(self, chunk: bytes) -> bytes:
        """What the first two bytes stand in front of, which tell the kinds of deflate apart."""
        self._head += chunk
        self._begun = len(self._head) > 1
        if not self._begun:
            return b""
        try:
            return self._zlib.decompress(self._head, _PIECE)
        except zlib.error:
            if self._coding != "deflate":
                raise
            self._zlib = zlib.decompressobj(wbits=-zlib.MAX_WBITS)  # without zlib's frame, as some servers send it
            return self._zlib.decompress(self._head, _PIECE)

    def check_end(self) -> None:
        if self._head and not self._zlib.eof:
            raise Garbled(f"{self._coding} that is cut off")


def _unpacker(coding: str) -> _Unpacker | None:
    name = coding.strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ("gzip", "x-gzip", "deflate"):
        raise Garbled(f"a Content-Encoding that was not asked for, {name[:40]!r}")
    return _Unpacker(name)
