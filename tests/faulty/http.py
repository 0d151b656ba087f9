"""Faults of HTTP itself, whatever is served: each is made of the body that would have been right."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

from tests.faulty.server import Reply, drip, flood, reset, silence, then

_OK = b"HTTP/1.1 200 OK\r\n"


def reply(body: bytes, *headers: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json") -> bytes:
    """A well-formed reply, with these headers besides."""
    lines = [b"HTTP/1.1 " + status, b"content-type: " + kind, b"content-length: %d" % len(body), b"connection: close"]
    return b"\r\n".join([*lines, *headers, b"", body])


def chunked(*chunks: bytes, kind: bytes = b"application/json", end: bytes = b"0\r\n\r\n") -> bytes:
    """A reply in chunks of HTTP."""
    head = _OK + b"content-type: " + kind + b"\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def http_faults(body: bytes, url: Callable[[], str]) -> dict[str, Reply]:
    """Faults by name. ``url`` is the server's own, for redirects to it."""
    plain = {**_first_lines(body), **_headers(body), **_bodies(body), **_codings(body)}
    return {**plain, **_later(body, url), **_slow(body)}


def _first_lines(body: bytes) -> dict[str, Reply]:
    length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    rest = b"\r\ncontent-type: application/json\r\n" + length + body
    lines = {
        "version-9.9": b"HTTP/9.9 200 OK", "version-none": b"200 OK", "version-text": b"HTTP/x.y 200 OK",
        "version-0.9": b"HTTP/0.9 200 OK", "no-reason": b"HTTP/1.1 200", "status-99": b"HTTP/1.1 99 Low",
        "status-000": b"HTTP/1.1 000 Zero", "status-999": b"HTTP/1.1 999 High", "status-600": b"HTTP/1.1 600 Six",
        "status-text": b"HTTP/1.1 OK", "status-negative": b"HTTP/1.1 -200 OK",
        "status-5000-digits": b"HTTP/1.1 " + b"2" * 5000 + b" OK",
        "reason-bytes": b"HTTP/1.1 200 \xff\xfe\x00\x1b[2J", "reason-1MB": b"HTTP/1.1 200 " + b"O" * 2**20,
        "http-2-preface": b"PRI * HTTP/2.0\r\n\r\nSM", "empty-line": b"", "status-418": b"HTTP/1.1 418 T",
    }  # fmt: skip
    return {name: line + rest for name, line in lines.items()} | {
        "tls-alert": b"\x15\x03\x01\x00\x02\x02\x16",
        "ssh-banner": b"SSH-2.0-OpenSSH_9.6\r\n",
        "smtp-banner": b"220 mail ESMTP\r\n",
        "binary": bytes(range(256)) * 16,
        "nothing": b"",
    }


def _headers(body: bytes) -> dict[str, Reply]:
    return {
        "header-no-colon": reply(body, b"this is no header"),
        "header-no-name": reply(body, b": value"),
        "header-nul": reply(body, b"x-a: \x00\x00"),
        "header-name-nul": reply(body, b"x\x00a: 1"),
        "header-bytes": reply(body, b"x-a: \xff\xfe\x80"),
        "header-escape": reply(body, b"x-a: \x1b]0;gone\x07"),
        "header-1MB": reply(body, b"x-a: " + b"a" * 2**20),
        "headers-10000": reply(body, *(b"x-%d: 1" % number for number in range(10_000))),
        "header-folded": reply(body, b"x-a: one\r\n two"),
        "header-bare-lf": reply(body, b"x-a: one\nx-b: two"),
        "header-bare-cr": reply(body, b"x-a: one\rx-b: two"),
        "header-cookies": reply(body, *(b"set-cookie: a%d=b; Max-Age=-1e9; Expires=never" % n for n in range(50))),
        "kind-none": reply(body).replace(b"content-type: application/json\r\n", b""),
        "kind-empty": reply(body, kind=b""),
        "kind-odd": reply(body, kind=b";;;=;\"\\"),
        "kind-text": reply(body, kind=b"text/plain"),
        **{f"charset-{name[:20]}": reply(body, kind=b"application/json; charset=" + name.encode()) for name in (
            "utf-7", "utf-16", "utf-32", "nonsense", ";", "zlib", "hex", "rot13", "idna", "punycode", "undefined",
            "unicode_escape", "mbcs", "a" * 5000)},
        "charset-twice": reply(body, kind=b"application/json; charset=utf-16; charset=latin-1"),
        "charset-encoded": reply(body, kind=b"application/json; charset*=utf-8''%ff%fe"),
    }  # fmt: skip


def _bodies(body: bytes) -> dict[str, Reply]:
    head = _OK + b"content-type: application/json\r\nconnection: close\r\n"
    sized: Callable[[bytes], bytes] = lambda length: head + b"content-length: " + length + b"\r\n\r\n" + body  # noqa: E731
    in_chunks = head + b"transfer-encoding: chunked\r\n\r\n"
    one = b"%x\r\n%b\r\n" % (len(body), body)
    return {
        "length-too-long": sized(b"%d" % (len(body) + 10)),
        "length-too-short": sized(b"%d" % (len(body) // 2)),
        "length-negative": sized(b"-5"),
        "length-text": sized(b"many"),
        "length-empty": sized(b""),
        "length-1e30": sized(b"1" + b"0" * 30),
        "length-5000-digits": sized(b"9" * 5000),
        "length-two": sized(b"%d\r\ncontent-length: 3" % len(body)),
        "length-list": sized(b"%d, %d" % (len(body), len(body))),
        "length-plus": sized(b"+%d" % len(body)),
        "length-none": head + b"\r\n" + body,
        "length-and-chunked": sized(b"3\r\ntransfer-encoding: chunked"),
        "chunk-size-text": in_chunks + b"zz\r\n" + body,
        "chunk-size-negative": in_chunks + b"-1\r\n" + body,
        "chunk-size-huge": in_chunks + b"f" * 40 + b"\r\n" + body,
        "chunk-size-max": in_chunks + b"7fffffffffffffff\r\n" + body,
        "chunk-size-empty": in_chunks + b"\r\n" + body,
        "chunk-no-end": in_chunks + b"%x\r\n%b" % (len(body), body),
        "chunk-torn": in_chunks + b"%x\r\n%b" % (len(body), body[:-4]),
        "chunk-no-last": in_chunks + one,
        "chunk-extension-1MB": in_chunks + b"%x;%b\r\n%b\r\n0\r\n\r\n" % (len(body), b"e" * 2**20, body),
        "chunk-trailers": in_chunks + one + b"0\r\nx-a: 1\r\nstatus: 500\r\n\r\n",
        "chunk-bytes": chunked(*(body[at : at + 1] for at in range(len(body)))),
        "coding-unknown": head + b"transfer-encoding: rot13\r\n\r\n" + body,
        "body-empty": reply(b""),
        "body-cut": head + b"content-length: %d\r\n\r\n" % len(body) + body[: len(body) // 2],
        "body-reset": then(head + b"content-length: %d\r\n\r\n" % len(body) + body[: len(body) // 2], reset),
        "body-bom": reply(b"\xef\xbb\xbf" + body),
        "body-utf-16": reply(body.decode().encode("utf-16")),
        "body-invalid-utf-8": reply(body.replace(b":", b":\xff\xfe", 1)),
        "body-nuls": reply(b"\x00" * 1000),
        "body-twice": reply(body + body),
        "body-html": reply(b"<!doctype html><title>502</title><h1>Bad Gateway</h1>", kind=b"text/html"),
        "status-204-with-body": reply(body, status=b"204 No Content"),
        "status-205": reply(b"", status=b"205 Reset Content"),
        "status-206": reply(body[:9], b"content-range: bytes 0-8/9999", status=b"206 Partial Content"),
        "status-304": reply(b"", status=b"304 Not Modified"),
        "status-101": reply(body, b"upgrade: websocket", b"connection: upgrade", status=b"101 Switching Protocols"),
    }


def _codings(body: bytes) -> dict[str, Reply]:
    """Compressed replies; the bombs are 256 MiB of blanks, once and twice compressed."""
    packed, bomb = gzip.compress(body), _bomb()
    return {
        "gzip": reply(packed, b"content-encoding: gzip"),
        "gzip-cut": reply(packed[:-12], b"content-encoding: gzip"),
        "gzip-checksum": reply(packed[:-8] + b"\0" * 8, b"content-encoding: gzip"),
        "gzip-not": reply(body, b"content-encoding: gzip"),
        "gzip-unsaid": reply(packed),
        "gzip-twice": reply(gzip.compress(packed), b"content-encoding: gzip, gzip"),
        "gzip-bomb": reply(bomb, b"content-encoding: gzip"),
        "gzip-bomb-twice": reply(gzip.compress(bomb), b"content-encoding: gzip, gzip"),
        "deflate": reply(zlib.compress(body), b"content-encoding: deflate"),
        "deflate-raw": reply(zlib.compress(body)[2:-4], b"content-encoding: deflate"),
        "deflate-garbage": reply(b"\x07\xff" * 50, b"content-encoding: deflate"),
        "brotli-garbage": reply(b"\x07\xff" * 50, b"content-encoding: br"),
        "zstd-garbage": reply(b"\x28\xb5\x2f\xfd" * 50, b"content-encoding: zstd"),
        "encoding-unknown": reply(body, b"content-encoding: rot13"),
        "encoding-empty": reply(body, b"content-encoding:"),
        "encodings-100": reply(body, b"content-encoding: " + b", ".join([b"gzip"] * 100)),
    }


def _bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b" " * 2**20) for _ in range(256)), packer.flush()])


def _later(body: bytes, url: Callable[[], str]) -> dict[str, Reply]:
    """What sends the client away or lets it wait."""

    def redirect(location: Callable[[], bytes], status: bytes = b"307 Temporary Redirect") -> Reply:
        async def script(reader: object, writer: object) -> None:
            writer.write(reply(b"", b"location: " + location(), status=status))  # type: ignore[attr-defined]
            await writer.drain()  # type: ignore[attr-defined]

        return script

    waits = {
        "seconds-huge": b"1000000000", "negative": b"-1", "text": b"soon", "superscript": "²".encode(), "empty": b"",
        "1e999": b"1e999", "nan": b"nan", "zone": b"Mon, 1 Jan 2001 00:00:00 -9999",
        "year": b"Fri, 31 Dec 9999 23:59:59 " b"+9999", "year-1": b"Mon, 1 Jan 0001 0:0:0 +2359",
        "date": b"Mon, 99 Foo 2001 99:99:99 GMT", "long": b"9" * 5000,
    }  # fmt: skip
    return {
        "redirect-loop": redirect(lambda: url().encode() + b"/loop"),
        "redirect-elsewhere": redirect(lambda: b"http://127.0.0.1:9/v1"),
        "redirect-302": redirect(lambda: b"http://127.0.0.1:9/v1", b"302 Found"),
        "redirect-file": redirect(lambda: b"file:///etc/passwd"),
        "redirect-javascript": redirect(lambda: b"javascript:alert(1)"),
        "redirect-bad-port": redirect(lambda: b"http://127.0.0.1:99999/"),
        "redirect-bad-host": redirect(lambda: b"http://[::/"),
        "redirect-bytes": redirect(lambda: b"http://\xff\xfe/"),
        "redirect-empty": redirect(lambda: b""),
        "redirect-none": reply(b"", status=b"301 Moved Permanently"),
        **{f"wait-{name}": reply(b"{}", b"retry-after: " + value, status=b"429 Too Many Requests")
           for name, value in waits.items()},
        "wait-ms": reply(b"{}", b"retry-after-ms: -1e400", status=b"503 Unavailable"),
        **{f"status-{status}": reply(b'{"error": {"message": "no"}}', status=b"%d No" % status)
           for status in (400, 405, 408, 409, 410, 413, 422, 425, 431, 451, 500, 501, 502, 503, 504, 507, 529)},
        "error-deep": reply(b"[" * 100_000, status=b"400 Bad Request"),
        "error-surrogate": reply(b'{"error": {"message": "\\ud800\\u001b[2J"}}', status=b"400 Bad Request"),
        "error-codec": reply(b"{}", status=b"400 Bad Request", kind=b"application/json; charset=zlib"),
        "error-list": reply(b'{"error": [1, null]}', status=b"500 Oops"),
        "error-code-list": reply(b'{"error": {"code": [], "message": {}}}', status=b"400 Bad Request"),
        "error-html": reply(b"<html>" * 1000, status=b"500 Oops", kind=b"text/html; charset=idna"),
        "error-1MB": reply(b'"' + b"x" * 2**20 + b'"', status=b"400 Bad Request"),
    }  # fmt: skip


def _slow(body: bytes) -> dict[str, Reply]:
    head = _OK + b"content-type: application/json\r\n"
    return {
        "silent": silence,
        "silent-after-status": then(_OK, silence),
        "silent-after-headers": then(head + b"content-length: 99\r\n\r\n", silence),
        "silent-in-body": then(head + b"content-length: 9999\r\n\r\n" + body, silence),
        "drip-status": drip(b"HTTP/1.1 200 OK\r\n"),
        "drip-headers": then(_OK, drip(b"x-a: 1\r\n")),
        "drip-body": then(head + b"content-length: 999999\r\n\r\n", drip(b" ")),
        "drip-chunks": then(head + b"transfer-encoding: chunked\r\n\r\n", drip(b"1\r\n \r\n")),
        "flood-body": then(head + b"\r\n", flood(b" " * 2**16)),
        "flood-headers": then(_OK, flood(b"x-a: 1\r\n" * 2**10)),
        "flood-100": flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        "flood-103": flood(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 100),
        "flood-chunks": then(head + b"transfer-encoding: chunked\r\n\r\n", flood(b"1\r\n \r\n" * 2**10)),
        "reset-at-once": reset,
        "reset-after-headers": then(head + b"content-length: 9\r\n\r\n", reset),
    }
