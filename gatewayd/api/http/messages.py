"""HTTP/1.1 messages (RFC 9112): write a request, read the head of its answer and its body, each strictly.

http.client reads a wrong Content-Length as none, takes signs and underscores in the length of a chunk, and drops the fields behind
a faulty line. With each of these, a body that was cut off could pass for a whole one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.api.endpoint import other_protocol
from gatewayd.errors import TooLarge

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Mapping

__all__ = ["HEAD_BYTES", "Cut", "Head", "Malformed", "body_of", "is_kept", "read_head", "request_head"]

#: How much may come before a body, interim answers included.
HEAD_BYTES = 1 << 16
#: How long a line and how many fields a head may have.
_LINE, _FIELDS = 1 << 14, 100
_PIECE = 1 << 16

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: A field of a head. No part of the pattern gives back what it took.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++)[ \t]*+:([\t\x20-\x7e\x80-\xff]*+)")
_NAME, _SENT = re.compile(_TOKEN.pattern.decode()), re.compile(r"[\t\x20-\x7e]*")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([0-9]{3})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
#: What has no body (RFC 9112 section 6.3), and the first status whose body need not be known to be whole.
_BODILESS, _REDIRECT = frozenset({204, 304}), 300
_SWITCHING, _OK, _LAST = 101, 200, 599


class Malformed(Exception):
    """What came is no answer of HTTP/1.1; the text says what is wrong, without the server's words: they may repeat a secret."""


class Cut(EOFError):
    """The server closed the connection before the end of its answer."""

    def __init__(self, message: str, status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of an answer."""

    #: The minor version of HTTP/1.
    minor: int
    status: int
    reason: str
    headers: Mapping[str, str]


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return the lines of a request before its body. Raises ValueError, without the value, for what can't be sent."""
    if not _TARGET.fullmatch(target):
        raise ValueError("expected a path that begins with a slash, in visible ASCII characters")
    # All at once: each by itself takes most of the time, and only a faulty one is to be named.
    fit = all(headers) and _NAME.fullmatch("".join(headers)) and _SENT.fullmatch("".join(headers.values()))
    if headers and not fit:
        faulty = next(name for name, value in headers.items() if not _NAME.fullmatch(name) or not _SENT.fullmatch(value))
        raise ValueError(f"the header {faulty!r} has a name or a value that can't be sent")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def read_head(reader: io.BufferedReader) -> Head:
    """Read the head of the final answer; interim ones are passed over, asked for or not (RFC 9110 section 15.2).

    Raises Malformed and Cut.
    """
    while True:
        minor, status, reason = _status(reader)
        try:
            headers = _headers(reader)
        except Cut as cut:
            raise (Cut(str(cut), status, reason) if status >= _OK else cut) from None
        if status >= _OK:
            return Head(minor=minor, status=status, reason=reason, headers=headers)


def _status(reader: io.BufferedReader) -> tuple[int, int, str]:
    line = reader.readline(_LINE)
    found = _STATUS.fullmatch(line.rstrip(b"\r\n"))
    status = int(found[2]) if found else 0
    reason = (found[3] or b"").decode("latin-1").strip() if found else ""
    if not line.endswith(b"\n") and len(line) < _LINE:
        known = status if _OK <= status <= _LAST else None
        raise Cut("the server closed the connection" + (" within its answer" if line else " without an answer"), known, reason)
    if not found or not line.endswith(b"\n"):
        protocol = other_protocol(line)
        raise Malformed(f"expected an answer of HTTP/1.1, got {protocol or 'something else'}")
    # We ask for no other protocol.
    if not _SWITCHING - 1 <= status <= _LAST or status == _SWITCHING:
        raise Malformed(f"expected a status of 200 to 599, got {status}")
    return int(found[1]), status, reason


def _headers(reader: io.BufferedReader) -> Mapping[str, str]:
    """Return fields by their names in lower case; the values of a repeated one are joined (RFC 9110 section 5.2)."""
    headers: dict[str, str] = {}
    key = ""
    for _ in range(_FIELDS + 1):
        line = _line(reader)
        if not line:
            return headers
        # An obsolete fold goes on with the field before it (section 5.2 of RFC 9112).
        folded = key if line[:1] in {b" ", b"\t"} else ""
        found = _FIELD.fullmatch(f"{folded}:".encode() + line if folded else line)
        if not found:
            raise Malformed("a line of the answer's head is no header field")
        key, text = found[1].decode("ascii").lower(), found[2].strip(b" \t").decode("latin-1")
        headers[key] = f"{headers[key]}{' ' if folded else ', '}{text}" if key in headers else text
    raise Malformed(f"the answer's head has more than {_FIELDS} fields")


def _line(reader: io.BufferedReader) -> bytes:
    line = reader.readline(_LINE)
    if line.endswith(b"\r\n"):
        return line[:-2]
    if line.endswith(b"\n"):
        return line[:-1]
    if len(line) < _LINE:
        raise Cut("the server closed the connection within its answer")
    raise Malformed(f"a line of the answer has more than {_LINE} bytes")


def is_kept(head: Head) -> bool:
    """Whether the connection may be used again after the end of the body (RFC 9112 section 9.3)."""
    return head.minor > 0 and "close" not in [each.strip() for each in head.headers.get("connection", "").lower().split(",")]


def body_of(reader: io.BufferedReader, method: str, head: Head, limit: int) -> Iterator[bytes]:
    """Yield the body in pieces of at most 64 KiB, and end only if it is whole. At most ``limit`` bytes are yielded.

    Raises Malformed, Cut and TooLarge.
    """
    room = limit
    for piece in _framed(reader, method, head):
        if len(piece) > room:
            yield piece[:room]
            raise TooLarge(
                f"the answer's body has more than {limit} bytes, which is its bound", advice="If it lasts, see to that server."
            )
        room -= len(piece)
        yield piece


def _framed(reader: io.BufferedReader, method: str, head: Head) -> Iterator[bytes]:
    coding, length = head.headers.get("transfer-encoding"), head.headers.get("content-length")
    if method == "HEAD" or head.status in _BODILESS:
        return iter(())
    if coding is not None:
        # Both are a fault, and may be somebody's trick (RFC 9112 section 6.3).
        if coding.lower() != "chunked" or length is not None:
            raise Malformed("the answer says in two ways, or in an unknown one, where its body ends")
        return _chunked(reader)
    if length is None:
        return _until_the_end(reader, head.status)
    if not _LENGTH.fullmatch(length):
        raise Malformed("the answer's Content-Length is no number")
    return _exactly(reader, int(length))


def _exactly(reader: io.BufferedReader, size: int) -> Iterator[bytes]:
    while size:
        if size < _PIECE:
            # What follows the body comes along in one read.
            reader.peek(1)
        piece = reader.read1(min(size, _PIECE))
        if not piece:
            raise Cut(f"the server closed the connection {size} bytes before the end of the body")
        size -= len(piece)
        yield piece


def _chunked(reader: io.BufferedReader) -> Iterator[bytes]:
    """See RFC 9112 section 7.1. Extensions and trailers are passed over."""
    while True:
        found = _CHUNK.fullmatch(_line(reader))
        if not found:
            raise Malformed("a chunk of the body does not say its length")
        size = int(found[1], 16)
        if not size:
            break
        yield from _exactly(reader, size)
        if _line(reader):
            raise Malformed("a chunk of the body has another length than it says")
    while _line(reader):
        pass


def _until_the_end(reader: io.BufferedReader, status: int) -> Iterator[bytes]:
    while piece := reader.read1(_PIECE):
        yield piece
    # An error's words are taken as they are; of anything else, nobody knows whether it is whole.
    if status < _REDIRECT:
        raise Malformed("the answer does not say where its body ends")
